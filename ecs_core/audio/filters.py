"""Filter banks, mel and chroma: librosa's, worked out once a machine and kept, as importing librosa takes a second.

They lie beside numba's kernels: in ``NUMBA_CACHE_DIR`` where that is set, else in this package's ``__pycache__``.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

F32 = NDArray[np.float32]


def mel_filters(*, rate: int, window: int, bands: int, lowest: float) -> F32:
    """Triangular filters on the HTK mel scale from ``lowest`` Hz to half the rate: (window / 2 + 1, bands) float32.

    As ``librosa.filters.mel(..., htk=True)``, transposed: each filter has unit area in Hz (Slaney's normalisation).
    """

    def make() -> F32:
        from librosa.filters import mel  # noqa: PLC0415 - the second this module is about

        bank: F32 = mel(sr=rate, n_fft=window, n_mels=bands, fmin=lowest, fmax=rate / 2, htk=True)
        return bank

    return _kept(f"mel-{rate}-{window}-{bands}-{lowest:g}", (window // 2 + 1, bands), make)


def chroma_filters(*, rate: int, window: int) -> F32:
    """From power in bins to power in the twelve pitch classes, C first, A at 440 Hz: (window / 2 + 1, 12) float32.

    As ``librosa.filters.chroma(..., tuning=0)``, transposed: octaves around 300 Hz count most.
    """

    def make() -> F32:
        from librosa.filters import chroma  # noqa: PLC0415 - likewise

        bank: F32 = chroma(sr=rate, n_fft=window, tuning=0.0, norm=None, ctroct=4.2, octwidth=1.5)
        return bank

    return _kept(f"chroma-{rate}-{window}", (window // 2 + 1, 12), make)


def _kept(name: str, shape: tuple[int, int], make: Callable[[], F32]) -> F32:
    folder = Path(os.environ.get("NUMBA_CACHE_DIR") or Path(__file__).parent / "__pycache__")
    path = folder / f"{name}-{version('librosa')}.npy"
    try:
        kept: F32 = np.load(path)
    except (OSError, ValueError, EOFError):
        pass
    else:
        if kept.shape == shape and kept.dtype == np.float32:
            return kept
    filters = np.ascontiguousarray(make().T, np.float32)
    _keep(filters, path)
    return filters


def _keep(filters: F32, path: Path) -> None:
    part = path.with_suffix(f".{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with part.open("wb") as file:
            np.save(file, filters)
        os.replace(part, path)
    except OSError:  # a read-only installation: the bank is worked out each time
        with suppress(OSError):
            part.unlink()
