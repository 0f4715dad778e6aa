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

from ecs_core import kernels
from ecs_core.arrays import F32

FILE = Path(__file__).with_name("filter_banks.npz")


class FilterBanks(NamedTuple):
    """Matrices that turn a row of bins into a row of bands; read-only.

    ``mel``, (513, 64) float32, turns amplitudes of a window of 1024 samples into mel bands; ``chroma``, (2049, 12)
    float32, turns powers of a window of 4096 samples into pitch classes, C first.
    """

    mel: F32
    chroma: F32


class WeightedSums:
    """Applies a matrix (bins, bands) float32 to rows, as a matrix product would, but the same on every processor."""

    def __init__(self, matrix: F32) -> None:
        bands, self._columns = (np.ascontiguousarray(each) for each in np.nonzero(matrix.T))
        self._weights = np.ascontiguousarray(matrix.T[bands, self._columns])
        self._starts = np.searchsorted(bands, np.arange(matrix.shape[1] + 1))

    def __call__(self, rows: F32) -> F32:
        """Rows (n, bins) float32 as rows (n, bands) float32."""
        sums = np.empty((len(rows), len(self._starts) - 1), np.float32)
        kernels.sums.weighted_sums(np.ascontiguousarray(rows), self._starts, self._columns, self._weights, sums)
        return sums


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
