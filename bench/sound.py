"""What the sound track of a video adds to the song: noise and distortion, delay and level, beside FFmpeg's default.

Each kind of sound is encoded as a render does and decoded again. Noise and distortion are all that is not the song at
its best-fitting level, in dB of the song's power (−40 dB is 1 % of its amplitude); for silence, in dB of full scale.
The level is what that fit found. The delay is the peak of the cross-correlation, in samples; both should be 0.

FFmpeg's default is ``ffmpeg -c:a aac -b:a 192k``; where no ffmpeg is installed, the same encoder in PyAV.

    python bench/sound.py                          # about a minute
    python bench/sound.py --only "tone 1 kHz" rock
"""

from __future__ import annotations

import argparse
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from music.fidelity import BIT_RATE, F32, Fidelity, as_motes, as_pyav, fidelity, heard_in, is_as_good
from music.instruments import RATE
from music.material import MATERIAL


def as_ffmpeg(song: F32) -> bytes:
    """The sound encoded into an MP4 by the installed ffmpeg."""
    with tempfile.TemporaryDirectory() as folder:
        raw, made = Path(folder) / "song.f32", Path(folder) / "song.mp4"
        raw.write_bytes(np.ascontiguousarray(song.T, "<f4").tobytes())
        told = ["-f", "f32le", "-ar", str(RATE), "-ac", str(len(song)), "-i", str(raw)]
        subprocess.run(["ffmpeg", "-v", "error", *told, "-c:a", "aac", "-b:a", str(BIT_RATE), str(made)], check=True)
        return made.read_bytes()


def measure(song: F32, encode: Callable[[F32], bytes]) -> tuple[Fidelity, float]:
    """The fidelity of an encoder, and the seconds of CPU time that it took."""
    before = _cpu()
    file = encode(song)
    spent = _cpu() - before
    return fidelity(song, *heard_in(file)), spent


def _cpu() -> float:
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=MATERIAL, metavar="SOUND", default=MATERIAL, help="default: all")
    arguments = parser.parse_args()
    default = "ffmpeg" if shutil.which("ffmpeg") else "PyAV"
    encoders: dict[str, Callable[[F32], bytes]] = {
        default: as_ffmpeg if default == "ffmpeg" else as_pyav,
        "standard and high": as_motes,
        "draft": lambda song: as_motes(song, "draft"),
    }
    # A draft is encoded with PyAV's default settings, which are listed but have no goal.
    print(f"noise and distortion, dB (delay in samples, level in dB, kbit/s); {default}: its default at 192 kbit/s")
    print(f"{'':17}" + "".join(f"{name:>32}" for name in encoders))
    good, spent, seconds = True, dict.fromkeys(encoders, 0.0), 0.0
    for name in arguments.only:
        song = MATERIAL[name]()
        seconds += song.shape[1] / RATE
        found: list[Fidelity] = []
        for encoder, encode in encoders.items():
            result, cost = measure(song, encode)
            found.append(result)
            spent[encoder] += cost
        good &= is_as_good(found[1], found[0])
        print(f"{name:17}" + "".join(f"{_row(each):>32}" for each in found), flush=True)
    print(f"{'CPU s per minute':17}" + "".join(f"{60 * cost / seconds:>32.2f}" for cost in spent.values()))
    sys.exit(0 if good else 1)


def _row(of: Fidelity) -> str:
    return f"{of.noise:.1f} ({of.delay}, {of.level:+.2f}, {of.bit_rate:.0f})"


if __name__ == "__main__":
    main()
