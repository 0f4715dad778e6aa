"""``python -m ecs_core.audio.make_filter_banks``: write ``filter_banks.npz`` anew with the installed librosa.

Only this program and the tests import librosa. A change of the file changes features and therefore frames.
"""

from __future__ import annotations

import numpy as np
from librosa.filters import chroma, mel

from ecs_core.arrays import F32
from ecs_core.audio.filters import FILE, FilterBanks
from ecs_core.audio.spectrum import CHROMA_WINDOW, LOWEST, MEL_BANDS, RATE, WINDOW


def make_filter_banks() -> FilterBanks:
    """The filter banks as librosa computes them.

    Mel filters are triangles on the HTK scale from 27.5 Hz to half the rate, each with unit area in Hz (Slaney's
    normalisation). Chroma is tuned to A = 440 Hz; octaves around 300 Hz weigh most.
    """
    by_mel: F32 = mel(sr=RATE, n_fft=WINDOW, n_mels=MEL_BANDS, fmin=LOWEST, fmax=RATE / 2, htk=True)
    by_note: F32 = chroma(sr=RATE, n_fft=CHROMA_WINDOW, tuning=0.0, norm=None, ctroct=4.2, octwidth=1.5)
    return FilterBanks(*(np.ascontiguousarray(bank.T, np.float32) for bank in (by_mel, by_note)))


if __name__ == "__main__":
    np.savez_compressed(FILE, allow_pickle=False, **make_filter_banks()._asdict())
    print(FILE)
