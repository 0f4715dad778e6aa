"""Songs of every container, codec, layout, rate, tag and damage are decoded as ffmpeg decodes them."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import pytest

from tests.media.corpus import Case, cases, judge

ALL = tuple(cases())
FEW = ALL[:: len(ALL) // 50]  # of every format, in less than a minute of CPU time

pytestmark = pytest.mark.debian("ffmpeg")


def check(chosen: Iterable[Case], folder: Path) -> None:
    """Judge the cases, and report how many there are, how many differ, and why each that differs may."""
    if shutil.which("ffmpeg") is None:
        pytest.skip("needs ffmpeg")
    verdicts = []
    for number, case in enumerate(chosen):
        place = folder / str(number)
        place.mkdir()
        verdicts.append(judge(case, place))
        shutil.rmtree(place)
    differing = [verdict for verdict in verdicts if verdict.difference]
    print(f"{len(verdicts)} files, of which {len(differing)} differ from ffmpeg:")
    for reason, count in Counter(verdict.reason for verdict in differing).most_common():
        print(f"  {count}: {reason or 'NO REASON'}")
    unexplained = [f"{verdict.case}: {verdict.difference}" for verdict in differing if not verdict.reason]
    assert not unexplained, "\n".join(unexplained)


def test_some_of_the_corpus_is_decoded_as_by_ffmpeg(tmp_path: Path) -> None:
    check(FEW, tmp_path)


@pytest.mark.campaign
def test_all_of_the_corpus_is_decoded_as_by_ffmpeg(tmp_path: Path) -> None:
    check(ALL, tmp_path)
