"""Light as it is seen: the weights of its luminance, and the curve to what is shown, as numbers; ``tone`` draws by it.

Without numba, as types are listed without a compiler.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

KR, KG, KB = (np.float32(weight) for weight in (0.2126, 0.7152, 0.0722))  # of luminance, ITU-R BT.709
A, B, C, D = (np.float32(number) for number in (6.2, 0.5, 1.7, 0.06))  # shown = x (A x + B) / (x (A x + C) + D)


def linear_shown_as(value: ArrayLike) -> NDArray[np.float64]:
    """The linear light that ``tone.filmic`` maps to display-encoded values in [0, 1); the same shape."""
    shown = np.asarray(value, np.float64)
    # A x² + B x = shown (A x² + C x + D)
    a, b, c, d = (float(constant) for constant in (A, B, C, D))
    square, linear = a * (1 - shown), b - c * shown
    light: NDArray[np.float64] = (np.sqrt(linear**2 + 4 * square * shown * d) - linear) / (2 * square)
    return light
