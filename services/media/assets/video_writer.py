"""VideoWriter: frames, as they arrive, into an MP4 by a process of ours. They are only numbers here.

The process has no credentials and reads nothing but them; this one, often the API, need not load FFmpeg.
"""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import suppress
from fractions import Fraction
from pathlib import Path

from services.media.assets.limits import FULL
from services.media.sandbox.decoding_processes import bare_environment

ENCODER = "services.media.assets.video_encoder"
_TIMEOUT = 60.0  # seconds from the last frame to the end of the process


class VideoWriter:
    """An MP4 with H.264 in BT.709 and no sound, of so many frames: bytes of Y, Cb and Cr in yuv420p, limited range.

    Blocking. Use as a context manager: the process ends with it.

    Raises:
        ConnectionResetError: the process was killed, or cannot be started; a retry may succeed.
        OSError: there is no room.
    """

    def __init__(self, path: Path, *, width: int, height: int, rate: Fraction, frames: int) -> None:
        numbers = map(str, (width, height, rate.numerator, rate.denominator, frames))
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-m", ENCODER, str(path), *numbers],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                env=bare_environment(),
                process_group=0,  # out of the terminal's group: Ctrl-C does not reach it
            )
        except OSError as error:  # for instance for lack of memory
            raise ConnectionResetError(f"the process that encodes cannot be started: {error.strerror}") from None

    def write(self, frame: bytes) -> None:
        """Add a frame."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(frame)
        except BrokenPipeError:
            raise self._error() from None

    def close(self) -> None:
        """Wait until all is written."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.close()
            code = self._process.wait(_TIMEOUT)
        except (BrokenPipeError, subprocess.TimeoutExpired):
            raise self._error() from None
        if code:
            raise self._error()

    def _error(self) -> OSError:
        self._process.kill()
        code = self._process.wait()
        if code in FULL:
            return OSError(code, os.strerror(code))
        return ConnectionResetError(f"the process that encodes ended with {code}")

    def __enter__(self) -> VideoWriter:
        return self

    def __exit__(self, *reason: object) -> None:
        assert self._process.stdin is not None
        if self._process.poll() is None:
            self._process.kill()
        with suppress(BrokenPipeError):
            self._process.stdin.close()
        self._process.wait()
