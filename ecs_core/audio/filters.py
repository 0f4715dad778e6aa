"""The filter banks of the analysis: librosa's mel and chroma matrices, shipped as data.

Importing librosa takes a second, and half a minute on a machine where it has to compile first; reading the matrices
takes a millisecond. :mod:`ecs_core.audio.make_filter_banks` writes the file.
"""

from __future__ import annotations

import functools
import hashlib
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ecs_core.arrays import F32

FILE = Path(__file__).with_name("filter_banks.npz")


class FilterBanks(NamedTuple):
    """Matrices that turn a row of bins into a row of bands; read-only.

    ``mel``, (513, 64) float32, turns amplitudes of a window of 1024 samples into mel bands; ``chroma``, (2049, 12)
    float32, turns powers of a window of 4096 samples into pitch classes, C first.
    """

    mel: F32
    chroma: F32


@functools.cache
def filter_banks() -> FilterBanks:
    """The filter banks, read once per process."""
    with np.load(FILE, allow_pickle=False) as file:
        banks = FilterBanks(file["mel"], file["chroma"])
    for bank in banks:
        bank.setflags(write=False)
    return banks


@functools.cache
def filter_banks_digest() -> str:
    """The SHA-256 of the file, in hexadecimal: other filters, other features, other frames."""
    return hashlib.sha256(FILE.read_bytes()).hexdigest()
