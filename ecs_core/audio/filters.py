"""The mel filter bank: librosa's, worked out once per machine and kept, because importing librosa takes a second.

It lies beside numba's kernels: in ``NUMBA_CACHE_DIR`` where that is set, else in this package's ``__pycache__``.
"""

from __future__ import annotations

import os
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
    folder = Path(os.environ.get("NUMBA_CACHE_DIR") or Path(__file__).parent / "__pycache__")
    path = folder / f"mel-{version('librosa')}-{rate}-{window}-{bands}-{lowest:g}.npy"
    try:
        kept: F32 = np.load(path)
    except (OSError, ValueError, EOFError):
        pass
    else:
        if kept.shape == (window // 2 + 1, bands) and kept.dtype == np.float32:
            return kept
    from librosa.filters import mel  # noqa: PLC0415 - the second this module is about

    bank = mel(sr=rate, n_fft=window, n_mels=bands, fmin=lowest, fmax=rate / 2, htk=True)
    filters = np.ascontiguousarray(bank.T, np.float32)
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
