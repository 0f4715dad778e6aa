"""What a process that decodes a song may take, and what it means when it ends early. Imports no FFmpeg."""

from __future__ import annotations

import signal

from ecs_core.errors import AudioError

MAX_SONG_SECONDS = 3 * 3600  # seconds of a song
MEMORY_LIMIT = 512 << 20  # bytes
CPU_LIMIT = 120  # of the processor


def exit_error(code: int, name: str) -> Exception:
    """What it means that a process which decoded a song ended, with that code, before it was finished."""
    if code == -signal.SIGKILL:  # by a system short of memory, or an operator: not by the song, as far as is known
        return ConnectionResetError(f"what decodes {name} was killed")
    if code == -signal.SIGXCPU:
        return AudioError(f"{name}: takes more than {CPU_LIMIT} s of the processor to decode")
    why = f" ({signal.Signals(-code).name})" if code < 0 and -code in set(signal.Signals) else ""
    return AudioError(f"{name}: crashes what decodes it{why}: damaged?")
