"""The sandboxed process of ``services.media.probe``: decodes a file and prints its duration and format.

``python -m services.media.probe_process FILE PARENT``
"""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path

from ecs_core.audio.decode import AudioFile
from ecs_core.errors import AudioError
from services.media import pyav_modules  # noqa: F401 - loaded before this process is confined
from services.media.decoding_limits import CPU_LIMIT, MAX_SONG_SECONDS, MEMORY_LIMIT
from services.media.sandbox import enter_sandbox
from services.processes.parent_death import end_with_parent


def main() -> None:
    """Print the duration and format of the file as a line of JSON."""
    path, parent = Path(sys.argv[1]), int(sys.argv[2])
    end_with_parent(parent, signal.SIGKILL)
    os.nice(5)
    lacking = enter_sandbox(memory=MEMORY_LIMIT, seconds=CPU_LIMIT, reads=[path])
    try:
        with AudioFile(path) as song:
            samples = 0
            for block in song.blocks():
                samples += block.shape[1]
                if samples > MAX_SONG_SECONDS * song.rate:  # longer songs are refused anyway
                    break
            facts = {"duration": samples / song.rate, "sample_rate": song.rate, "channels": song.channels}
    except AudioError as error:
        print(json.dumps({"error": str(error)}))
    except MemoryError:
        print(json.dumps({"error": f"{path}: needs more memory than a song should"}))
    else:
        print(json.dumps({**facts, "lacking": " and ".join(lacking)}))


if __name__ == "__main__":
    main()
