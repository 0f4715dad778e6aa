"""The filter banks that are shipped are those that librosa makes."""

from __future__ import annotations

import sys
import zipfile
from hashlib import sha256
from subprocess import run

import numpy as np
import pytest

from ecs_core.audio import filters
from ecs_core.audio.make_filter_banks import make_filter_banks

SHIPPED = filters.filter_banks()


@pytest.mark.campaign  # librosa compiles for a quarter of a minute; test_only_make_filter_banks_changes_them is short
@pytest.mark.parametrize("name", SHIPPED._fields)
def test_filter_banks_equal_those_of_librosa(name: str) -> None:
    made, shipped = getattr(make_filter_banks(), name), getattr(SHIPPED, name)
    assert (made.dtype, made.flags.c_contiguous) == (shipped.dtype, shipped.flags.c_contiguous) == (np.float32, True)
    np.testing.assert_array_equal(made.view(np.uint32), shipped.view(np.uint32))


def test_filter_banks_are_read_only() -> None:
    for bank in SHIPPED:
        with pytest.raises(ValueError, match="read-only"):
            bank[0, 0] = 1


def test_analysis_does_not_import_librosa() -> None:
    code = (
        "import sys, numpy; from ecs_core.audio.features import features_of; "
        "from ecs_core.audio.spectrum import spectrum_of; "
        "features_of(spectrum_of([numpy.ones((1, 44_100), numpy.float32)], rate=44_100)); "
        "print('librosa' in sys.modules)"
    )
    done = run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False"]


def test_only_make_filter_banks_changes_them() -> None:
    # After a change: run test_filter_banks_equal_those_of_librosa, which is a campaign, then put the digest here.
    assert filters.filter_banks_digest() == "11bceb4446f29ea78ddf8a991a1fdbfb481e2e0fddab085da7515a337fab018b"


def test_digest_is_that_of_the_file() -> None:
    assert zipfile.is_zipfile(filters.FILE)
    assert filters.filter_banks_digest() == sha256(filters.FILE.read_bytes()).hexdigest()
