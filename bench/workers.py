"""What more workers gain on one video: two of them really, and many by simulation from measured tasks.

    python bench/workers.py                                # both parts, a quarter of an hour on two quiet cores
    python bench/workers.py --parts 1 --rounds 5
    python bench/workers.py --parts 2 --copied             # the song is AAC, and need not be encoded

1. A video through the API of a service with two workers, and of one with one worker, beside two bare encoders and one:
   processes that encode their shares of the same frames, and of the song, from memory (``encoder_floor.py``). All four
   by turns. What two workers gain ÷ what two encoders gain (goal: at least 0.95).
2. A video of four minutes through a service with one worker, whose core is its own: when the pieces of the sound and
   the snapshots were ready, and how long each piece, each segment and the join took. From these follows how long 64
   workers with a core each would take, if they took the sound and then segments in order as soon as they are ready, and
   joined when all are done (goal: one worker takes at least 25 times as long). What passes between two tasks of the one
   worker is added to each task. With ``--copied`` the sound is the song's own packets, otherwise they are encoded.

The exit code is 1 if a goal is missed.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import av
from encoder_floor import Bench
from service import Watch, goal, serving, through_the_api, upload, with_workers

from ecs_core.scene.scene import Scene
from services.cli.demo_song import write_wav

OF_ENCODERS, MANY, FASTER = 0.95, 64, 25.0


def two_workers(seconds: float, rounds: int, size: tuple[int, int], folder: Path) -> bool:
    """Part 1: two workers and two encoders."""
    song = folder / "song.wav"
    write_wav(song, seconds)
    config = {"width": size[0], "height": size[1], "duration": seconds}
    bench = Bench.of(Scene("enhanced", audio=song, config=config))
    encoders: dict[int, list[float]] = {1: [], 2: []}
    workers: dict[int, list[float]] = {1: [], 2: []}
    with serving(folder / "one", workers=1) as one, serving(folder / "two", workers=2) as two:
        clients = {1: (one, upload(one, song)), 2: (two, upload(two, song))}
        for seed in range(rounds):
            for count, (client, audio) in clients.items():
                encoders[count].append(bench.encode_in_shares(folder, count))
                spent, _ = through_the_api(client, config | {"seed": seed}, audio)
                workers[count].append(spent)
            shown = [f"{times[1][-1]:.2f} s and {times[2][-1]:.2f} s" for times in (encoders, workers)]
            print(f"  one and two encoders: {shown[0]}; one and two workers: {shown[1]}", flush=True)
    gains = [statistics.median(times[1]) / statistics.median(times[2]) for times in (encoders, workers)]
    ratio = gains[1] / gains[0]
    print(f"{seconds:g} s of {size[0]}×{size[1]}: two encoders are {gains[0]:.2f} times as fast as one,")
    print(f"  two workers {gains[1]:.2f} times: {ratio:.3f} of that {goal(ratio >= OF_ENCODERS, f'{OF_ENCODERS}')}")
    return ratio >= OF_ENCODERS


@dataclass(frozen=True)
class Tasks:
    """Seconds of the tasks of a video, and when its sound and its segments were ready, after planning began."""

    plan: float
    sound_ready: list[float]
    sound: list[float]  # its pieces
    ready: list[float]
    segments: list[float]
    join: float
    between: float  # two tasks of a worker

    @staticmethod
    def of(watch: Watch, total: float) -> Tasks:
        """Those of a job that took so many seconds with one worker."""
        [plan], [join] = watch.spent("plan"), watch.spent("join")
        segments, sound, sound_ready = watch.spent("segment"), watch.spent("sound"), watch.ready("sound")
        between = max(0.0, total - plan - sum(sound) - sum(segments) - join) / (len(segments) + len(sound) + 2)
        return Tasks(plan, sound_ready, sound, watch.ready("segment"), segments, join, between)

    def with_workers(self, count: int) -> float:
        """Seconds with so many workers."""
        tasks = [each + self.between for each in (*self.sound, *self.segments)]
        ready = [*self.sound_ready, *self.ready]
        return with_workers(count, self.plan + self.between, ready, tasks, self.join + self.between)


def as_aac(song: Path) -> Path:
    """The song as AAC, in a file beside it."""
    with av.open(str(song)) as source, av.open(str(song.with_suffix(".m4a")), "w") as target:
        stream = target.add_stream("aac", rate=source.streams.audio[0].rate)
        for frame in source.decode(audio=0):
            target.mux(stream.encode(frame))
        target.mux(stream.encode(None))
    return song.with_suffix(".m4a")


def many_workers(seconds: float, size: tuple[int, int], folder: Path, *, copied: bool) -> bool:
    """Part 2: many workers."""
    song, watch = folder / "long.wav", Watch(folder / "long")
    write_wav(song, seconds)
    song = as_aac(song) if copied else song
    config = {"width": size[0], "height": size[1], "duration": seconds}
    with serving(folder / "long", workers=1) as client:
        time.sleep(1)  # until it is idle
        total, _ = through_the_api(client, config, upload(client, song), watch)
    tasks = Tasks.of(watch, total)
    found, one_by_one = tasks.segments, f"{seconds:g} s of {size[0]}×{size[1]} with one worker: {total:.1f} s"
    print(f"{one_by_one}: plan {tasks.plan:.2f} s (first snapshot after {tasks.ready[0]:.2f} s), {len(found)} segments")
    print(f"  {sum(found):.1f} s (median {statistics.median(found):.2f} s, longest {max(found):.2f} s),")
    print(f"  sound in {len(tasks.sound)} pieces {sum(tasks.sound):.2f} s, join {tasks.join:.2f} s,", end=" ")
    print(f"between tasks {1e3 * tasks.between:.0f} ms")
    base = tasks.with_workers(1)
    for count in (1, 2, 4, 8, 16, 32, MANY, 4 * MANY):
        spent = tasks.with_workers(count)
        print(f"  {count:3d} workers on as many cores: {spent:6.2f} s, {base / spent:4.1f} times as fast as one")
    spent = tasks.with_workers(MANY)
    after = spent - tasks.join - tasks.between - tasks.ready[-1]
    print(f"  of {spent:.2f} s: until the first snapshot {tasks.ready[0]:.2f}, until the last", end=" ")
    print(f"{tasks.ready[-1] - tasks.ready[0]:.2f}, segments and sound after that {after:.2f},", end=" ")
    print(
        f"join {tasks.join:.2f}; the sound took from {tasks.sound_ready[0]:.2f}"
        f" to {max(map(sum, zip(tasks.sound_ready, tasks.sound, strict=True))):.2f}"
    )
    gain = base / spent
    print(f"{MANY} workers: {gain:.1f} times as fast as one {goal(gain >= FASTER, f'at least {FASTER:g}')}")
    return gain >= FASTER


def main() -> None:
    """Run the parts that were asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parts", type=int, nargs="+", default=[1, 2], choices=[1, 2])
    parser.add_argument("--size", type=int, nargs=2, default=[1920, 1080], metavar=("WIDTH", "HEIGHT"))
    parser.add_argument("--rounds", type=int, default=3, help="of part 1")
    parser.add_argument("--seconds", type=float, nargs=2, default=[20.0, 240.0], help="of the videos of the two parts")
    parser.add_argument("--copied", action="store_true", help="the song of part 2 is AAC, which is copied")
    arguments = parser.parse_args()
    size = (arguments.size[0], arguments.size[1])
    parts: dict[int, Callable[[Path], bool]] = {
        1: lambda folder: two_workers(arguments.seconds[0], arguments.rounds, size, folder),
        2: lambda folder: many_workers(arguments.seconds[1], size, folder, copied=arguments.copied),
    }
    with tempfile.TemporaryDirectory() as name:
        good = [parts[part](Path(name)) for part in arguments.parts]
    raise SystemExit(0 if all(good) else 1)


if __name__ == "__main__":
    main()
