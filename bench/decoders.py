"""What it takes to start a decoder: forked by the decoding server, and as an interpreter of its own.

    python bench/decoders.py [--rounds 30]

CPU milliseconds from the order to the end of a tenth of a second of sound, in turns, and the memory of the server (PSS)
with a decoder loaded. ADR 40 says why there is a server.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import wave
from pathlib import Path

from services.media.sandbox.decoding import Decoding, SandboxedDecoder
from services.media.sandbox.decoding_processes import decoding_server

ALONE = "import services.media.song_decoder, services.media.sandbox.decoding_server"


def cpu_of(pid: int) -> float:
    """CPU milliseconds of a process and of its children that have ended."""
    times = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:15]
    return 1000 * sum(map(int, times)) / os.sysconf("SC_CLK_TCK")


def memory_of(pid: int) -> float:
    """Megabytes; shared memory is counted once."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1024


def decode(song: Path) -> int:
    """Decode the song; the pid of the server."""
    decoding = Decoding(decoder="services.media.song_decoder:measure", path=song, name="the song")
    with SandboxedDecoder(decoding) as process:
        server = int(Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()[1])
        process.receive()
    return server


def start_alone() -> float:
    """CPU milliseconds of a new interpreter that loads a decoder."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-c", ALONE], check=True, env={**os.environ, "OPENBLAS_NUM_THREADS": "1"})
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return 1000 * (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=30)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        song = Path(folder, "song.wav")
        with wave.open(str(song), "wb") as file:
            file.setparams((1, 2, 44_100, 0, "NONE", ""))
            file.writeframes(bytes(2 * 4410))
        server = decode(song)
        before, alone = cpu_of(server), []
        for _ in range(arguments.rounds):
            decode(song)
            alone.append(start_alone())
        forked = (cpu_of(server) - before) / arguments.rounds
        print(f"forked {forked:.1f} ms, as an interpreter of its own {statistics.median(alone):.0f} ms of CPU")
        print(f"the server: {memory_of(server):.0f} MB")
        decoding_server().close()


if __name__ == "__main__":
    main()
