"""Limits of a decoding process, and what its exit code means. Imports no FFmpeg."""

from __future__ import annotations

import signal

from ecs_core.errors import AudioError

MAX_SONG_SECONDS = 3 * 3600  # seconds
MEMORY_LIMIT = 512 << 20  # bytes
CPU_LIMIT = 120  # seconds of CPU time


def exit_error(code: int, name: str) -> Exception:
    """The error that the exit code of a decoding process stands for."""
    if code == -signal.SIGKILL:  # by the kernel's OOM killer or an operator; not known to be the song's fault
        return ConnectionResetError(f"the decoder of {name} was killed")
    if code == -signal.SIGXCPU:
        return AudioError(f"{name}: takes more than {CPU_LIMIT} s of CPU time to decode")
    why = f" ({signal.Signals(-code).name})" if code < 0 and -code in set(signal.Signals) else ""
    return AudioError(f"{name}: the decoder crashed{why}; is the file damaged?")
