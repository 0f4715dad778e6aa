"""What is heard does not depend on the processor: BLAS chooses other code, with other roundings, for each."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from subprocess import run

import numpy as np
import pytest

from ecs_core.audio.filters import WeightedSums

PROGRAM = """
import hashlib, sys
from fractions import Fraction
from pathlib import Path
from ecs_core.audio.features import analyze

song = analyze(Path(sys.argv[1]))
timeline = song.timeline(Fraction(30), round(song.exact_duration * 30))
for name, values in sorted({**timeline.features, **timeline.events, **timeline.strengths}.items()):
    print(name, hashlib.sha256(values.tobytes()).hexdigest()[:12])
print("tempo", timeline.tempo)
"""


def heard(song: Path, **environment: str) -> list[str]:
    done = run(
        [sys.executable, "-c", PROGRAM, str(song)],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.splitlines()


@pytest.mark.compiled
def test_song_is_heard_alike_on_other_processors(demo_song: Path) -> None:
    here = heard(demo_song)
    assert len(here) > 30
    assert heard(demo_song, OPENBLAS_CORETYPE="Prescott") == here
    assert heard(demo_song, OPENBLAS_CORETYPE="Haswell", NPY_DISABLE_CPU_FEATURES="X86_V4") == here


def test_weighted_sums_are_those_of_a_matrix_product() -> None:
    rng = np.random.Generator(np.random.Philox(1))
    matrix = rng.uniform(0, 1, (40, 7)).astype(np.float32) * (rng.uniform(0, 1, (40, 7)) < 0.3)
    matrix[:, 2] = 0
    rows = rng.uniform(0, 1, (5, 40)).astype(np.float32)
    np.testing.assert_allclose(WeightedSums(matrix)(rows), rows @ matrix, rtol=1e-5)
