"""libx264's settings: CPU and SSIM at equal size, for every preset of every particle type.

    python bench/x264.py                                      # 24 scenes at standard: some minutes on two quiet cores
    python bench/x264.py --quality draft                      # or high
    python bench/x264.py --count 2000                         # crowded scenes: other settings suit them
    python bench/x264.py --types snow --presets blizzard --candidates subme=1 bframes=0
    python bench/x264.py --renders subme=1 --rounds 5         # what it gains: whole renders, by turns

Frames from the middle of the demo song are drawn once and encoded from memory, as a render encodes a segment: by
SegmentWriter, with one thread. The reference has the product's settings. A candidate is encoded with the CRF of the
reference, and with the one that should give its size; CPU and SSIM at exactly that size lie on the line through both,
by the logarithm of the size. SSIM is that of luma by FFmpeg's filter, the mean of all frames, as −10·log10(1 − SSIM)
dB. CPU is that of the thread, of the references before and after it.

A candidate wins if it takes at least 3 % less CPU, loses at most 0.05 dB in the mean of all scenes, and at most 0.2 dB
in any. Candidates marked † change how many frames B-frames delay: ``VideoFormat.reordered`` would have to follow. Those
marked ‡ change what SSIM does not judge well (blocks in dark glows, psychovisual decisions, grain): look at pictures.

Results are kept in ``--results``, by scene and candidate: a run that was interrupted, or gets more candidates, goes on.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import statistics
import tempfile
import time
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from multiprocessing import get_context
from pathlib import Path

import av
from encoder_floor import SCENE, Frame, plan_of, raw_frames, render_in_fresh_process
from type_costs import config_of

from ecs_core.plugin_api import particle_types
from ecs_core.scene.scene import Scene
from ecs_core.video import encoding
from ecs_core.video.encoding import Picture, SegmentWriter
from ecs_core.video.format import QUALITIES, Quality, VideoFormat
from services.cli.demo_song import write_wav

CHEAPER, MEAN_LOSS, WORST_LOSS = 0.97, 0.05, 0.2  # of the CPU; dB
FROM = 8.0  # second of the demo song from which everything plays
DEFAULT = "default"  # a type without a preset
TURN = 4  # candidates between two references
NEAR = 0.005  # sizes that count as equal
_PROGRAM_OPTIONS = ("preset", "tune")  # all others are parameters of x264
_SHARED = ("me=dia", "mbtree=0", "aq-mode=0", "aq-mode=3", "weightp=0", "8x8dct=0", "cabac=0", "no-deblock=1", "psy=0")
_TUNES = ("tune=animation", "tune=grain", "tune=film", "tune=fastdecode")
CANDIDATES: Mapping[Quality, Sequence[str]] = {
    "standard": (
        "subme=0",
        "subme=1",
        "subme=3",
        "partitions=none",
        "partitions=i4x4,i8x8",
        "bframes=0",
        "bframes=1",
        "bframes=2",
        "b-adapt=0",
        "rc-lookahead=0",
        "rc-lookahead=5",
        "rc-lookahead=20",
        "rc-lookahead=40",
        "scenecut=0",
        *_SHARED,
        *_TUNES,
        "preset=ultrafast",
        "preset=superfast",
        "preset=faster",
        "subme=1:partitions=none",
        "subme=1:partitions=i4x4,i8x8",
        "subme=1:me=dia",
        "b-adapt=0:me=dia",
        "aq-mode=0:me=dia",
        "aq-mode=0:b-adapt=0",
        "aq-mode=0:b-adapt=0:me=dia",
        "aq-mode=0:subme=1",
        "aq-mode=0:b-adapt=0:subme=1",
        "aq-mode=0:b-adapt=0:subme=1:me=dia",
        "aq-mode=0:b-adapt=0:subme=0",
        "aq-mode=0:b-adapt=0:partitions=none",
        "aq-mode=0:b-adapt=0:subme=1:rc-lookahead=5",
        "b-adapt=0:subme=1",
    ),
    "draft": (
        "subme=1",
        "partitions=i4x4",
        "partitions=i4x4,i8x8",
        "bframes=1",
        "bframes=2",
        "aq-mode=1",
        "weightp=1",
        "8x8dct=1",
        "cabac=1",
        "deblock=0,0",
        "me=hex",
        "mbtree=1:rc-lookahead=10",
        "preset=superfast",
        "preset=veryfast",
        "tune=animation",
        "8x8dct=1:partitions=i8x8",
        "cabac=1:8x8dct=1",
        "cabac=1:weightp=1",
    ),
    "high": (
        "subme=2",
        "subme=4",
        "subme=5",
        "subme=6",
        "ref=1",
        "ref=2",
        "trellis=0",
        "partitions=none",
        "partitions=i4x4,i8x8",
        "bframes=0",
        "bframes=2",
        "rc-lookahead=10",
        "rc-lookahead=20",
        "weightp=1",
        "mixed-refs=0",
        *_SHARED,
        *_TUNES,
        "preset=veryfast",
        "preset=faster",
        "preset=fast",
        "ref=1:mixed-refs=0:trellis=0",
        "subme=6:ref=1:mixed-refs=0:trellis=0",
        "subme=5:ref=1:mixed-refs=0:trellis=0",
        "subme=5:ref=2:trellis=0:weightp=1",
    ),
}
_DELAYING = ("bframes", "preset=ultrafast")
_VISIBLE = ("aq-mode", "no-deblock", "deblock", "psy", "tune", "preset=ultrafast")


@dataclass(frozen=True)
class Setup:
    """What all scenes share: quality, size, seconds of video, and the number of particles if not that of the preset."""

    quality: Quality
    width: int
    height: int
    seconds: float
    count: int | None = None

    @property
    def reference(self) -> Mapping[str, str]:
        """The product's settings."""
        return encoding.X264_SETTINGS[self.quality]


@dataclass(frozen=True)
class Encoded:
    """One encoding: bytes of its packets, CPU seconds, and SSIM of luma in dB (0: not measured)."""

    size: int
    cpu: float
    ssim: float


@dataclass(frozen=True)
class Row:
    """A candidate in a scene, compared with the reference: at its CRF, and at its size.

    ``cpu`` and ``size`` are ratios, ``ssim`` is a difference in dB, ``crf`` what must be added for an equal size.
    """

    scene: str
    candidate: str
    size_at_crf: float
    cpu_at_crf: float
    ssim_at_crf: float
    crf: float
    cpu: float
    ssim: float


def options_of(candidate: str, reference: Mapping[str, str], *, crf: float) -> dict[str, str]:
    """The options of a candidate: the reference's, with its own instead."""
    given = dict(part.split("=", 1) for part in candidate.split(":")) if candidate else {}
    options = {**reference, "crf": f"{crf:.3f}"}
    options |= {name: value for name, value in given.items() if name in _PROGRAM_OPTIONS}
    parameters = [f"{name}={value}" for name, value in given.items() if name not in _PROGRAM_OPTIONS]
    return options | ({"x264-params": ":".join(parameters)} if parameters else {})


class Frames:
    """The frames of a scene in memory, and the encodings of them."""

    def __init__(self, video: VideoFormat, frames: Iterable[Frame], folder: Path) -> None:
        self._video, self._file = video, folder / "encoded.mp4"
        self._pictures = [_picture_of(video, frame) for frame in frames]

    def encode(self, options: Mapping[str, str], *, seen: bool = True) -> Encoded:
        """Encode them with these options, as a render does; ``seen``: measure SSIM, too."""
        began = time.thread_time()
        with SegmentWriter(self._file, self._video, x264=options) as writer:
            for picture in self._pictures:
                writer.write(picture)
        spent = time.thread_time() - began
        with av.open(str(self._file), "r") as container:
            size = sum(packet.size for packet in container.demux(video=0))
        return Encoded(size, spent, self._ssim() if seen else 0.0)

    def _ssim(self) -> float:
        """SSIM of luma, the mean over all frames, in dB."""
        graph, values = av.filter.Graph(), []
        graph.threads = 1
        base = 1 / self._video.fps
        width, height = self._video.width, self._video.height
        form = av.VideoFormat("yuv420p")
        ours, theirs = (graph.add_buffer(width=width, height=height, format=form, time_base=base) for _ in range(2))
        compare, sink = graph.add("ssim"), graph.add("buffersink")
        ours.link_to(compare, 0, 0)
        theirs.link_to(compare, 0, 1)
        compare.link_to(sink)
        graph.configure()
        with av.open(str(self._file), "r") as container:
            container.streams.video[0].codec_context.thread_count = 1
            for number, frame in enumerate(container.decode(video=0)):
                picture = self._pictures[number].frame
                for each, pushed in ((ours, frame), (theirs, picture)):
                    pushed.pts, pushed.time_base = number, base
                    each.push(pushed)
                found = sink.pull()
                assert isinstance(found, av.VideoFrame)
                values.append(float(found.metadata["lavfi.ssim.Y"]))
        assert len(values) == len(self._pictures)
        return -10 * math.log10(max(1e-7, 1 - statistics.fmean(values)))


def _picture_of(video: VideoFormat, frame: Frame) -> Picture:
    picture = Picture(video)
    planes = (picture.planes.luma, picture.planes.cb, picture.planes.cr)
    for target, source in zip(planes, frame, strict=True):
        target[:, : source.shape[1]] = source
    return picture


def measure(scene: str, setup: Setup, candidates: Sequence[str]) -> list[Row]:
    """Compare candidates with the reference in one scene."""
    with tempfile.TemporaryDirectory() as name:
        frames = _drawn(scene, setup, Path(name))
        crf = float(setup.reference["crf"])
        plain = options_of("", setup.reference, crf=crf)
        frames.encode(plain, seen=False)  # load everything
        reference = frames.encode(plain)
        before, rows = reference.cpu, []
        for first in range(0, len(candidates), TURN):
            turn = candidates[first : first + TURN]
            pairs = [_pair(frames, setup, candidate, crf, reference.size) for candidate in turn]
            after = frames.encode(plain, seen=False).cpu
            base = Encoded(reference.size, (before + after) / 2, reference.ssim)
            rows += [_row(scene, each, *pair, base) for each, pair in zip(turn, pairs, strict=True)]
            before = after
    return rows


def _drawn(scene: str, setup: Setup, folder: Path) -> Frames:
    """The frames of a scene, from the middle of the song."""
    kind, _, preset = scene.partition("/")
    config = {} if preset == DEFAULT else dict(particle_types().types[kind].preset(preset))
    more = {"width": setup.width, "height": setup.height, "fps": 30, "duration": FROM + setup.seconds}
    more |= config_of(kind, setup.count)
    song = folder / "song.wav"
    write_wav(song)
    plan = plan_of(Scene(kind, audio=song, config=config | more), setup.quality)
    return Frames(plan.video, raw_frames(plan, round(FROM * plan.video.fps)), folder)


def _pair(frames: Frames, setup: Setup, candidate: str, crf: float, size: int) -> tuple[Encoded, Encoded, float]:
    """A candidate at the reference's CRF, and near its size; and the difference in CRF."""
    one = frames.encode(options_of(candidate, setup.reference, crf=crf))
    off = 6 * math.log2(one.size / size)  # a picture takes half of the bits at a CRF higher by 6, roughly
    if abs(one.size / size - 1) < NEAR:
        return one, one, 0.0
    off = math.copysign(min(10.0, max(0.25, abs(off))), off)
    return one, frames.encode(options_of(candidate, setup.reference, crf=crf + off)), off


def _row(scene: str, candidate: str, one: Encoded, other: Encoded, off: float, reference: Encoded) -> Row:
    """Both encodings compared with the reference, and the line through them at its size."""
    slope = math.log(other.size / one.size)
    share = math.log(reference.size / one.size) / slope if off and slope else 0.0
    share = min(2.0, max(-0.5, share))
    return Row(
        scene,
        candidate,
        size_at_crf=one.size / reference.size,
        cpu_at_crf=one.cpu / reference.cpu,
        ssim_at_crf=one.ssim - reference.ssim,
        crf=share * off,
        cpu=(one.cpu + share * (other.cpu - one.cpu)) / reference.cpu,
        ssim=one.ssim + share * (other.ssim - one.ssim) - reference.ssim,
    )


def verdict(rows: Sequence[Row]) -> str:
    """Whether a candidate wins over all these scenes."""
    cpu = statistics.geometric_mean(row.cpu for row in rows)
    mean, worst = statistics.fmean(row.ssim for row in rows), min(row.ssim for row in rows)
    return "wins" if cpu <= CHEAPER and mean >= -MEAN_LOSS and worst >= -WORST_LOSS else ""


def marked(candidate: str) -> str:
    """The candidate, with what else it needs."""
    delaying = "†" if any(candidate.startswith(part) or f":{part}" in candidate for part in _DELAYING) else ""
    visible = "‡" if any(candidate.startswith(part) or f":{part}" in candidate for part in _VISIBLE) else ""
    return f"`{candidate}`{delaying}{visible}"


def table(rows: Sequence[Row]) -> str:
    """A line per candidate, the cheapest first."""
    by_candidate: dict[str, list[Row]] = {}
    for row in rows:
        by_candidate.setdefault(row.candidate, []).append(row)
    lines = [
        "| Candidate | Scenes | Size, same CRF | CPU, same CRF | SSIM, same CRF | CRF + | CPU | dearest | SSIM | worst "
        "| Worst scene | |",
        "|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---|---|",
    ]
    for candidate, of in sorted(by_candidate.items(), key=lambda each: statistics.fmean(row.cpu for row in each[1])):
        worst = min(of, key=lambda row: row.ssim)
        size, at_crf, cpu = (
            statistics.geometric_mean(getattr(row, name) for row in of) for name in ("size_at_crf", "cpu_at_crf", "cpu")
        )
        loss, crf, ssim = (
            statistics.fmean(getattr(row, name) for row in of) for name in ("ssim_at_crf", "crf", "ssim")
        )
        lines.append(
            f"| {marked(candidate)} | {len(of)} | {size:.2f} | {at_crf:.2f} | {loss:+.2f} | {crf:+.1f} | {cpu:.2f} | "
            f"{max(row.cpu for row in of):.2f} | {ssim:+.2f} | {worst.ssim:+.2f} | {worst.scene} | {verdict(of)} |"
        )
    winners = [candidate for candidate, of in by_candidate.items() if verdict(of)]
    return "\n".join([*lines, "", f"Cheaper at equal size and SSIM: {', '.join(map(marked, winners)) or 'none'}."])


def scenes_of(types: Sequence[str], presets: Sequence[str] | None) -> list[str]:
    """The types with each of their presets, and without one."""
    found = [(kind, preset) for kind in types for preset in (DEFAULT, *particle_types().types[kind].preset_names())]
    return [f"{kind}/{preset}" for kind, preset in found if presets is None or preset in presets]


def measure_all(scenes: Sequence[str], setup: Setup, candidates: Sequence[str], results: Path, jobs: int) -> list[Row]:
    """Compare in every scene, one process per core; what the file of results has already is not measured again."""
    key = {"setup": asdict(setup), "reference": dict(setup.reference)}
    known = [json.loads(line) for line in results.read_text().splitlines()] if results.exists() else []
    rows = [Row(**each["row"]) for each in known if {name: each[name] for name in key} == key]
    rows = [row for row in rows if row.scene in scenes and row.candidate in candidates]
    done = {(row.scene, row.candidate) for row in rows}
    results.parent.mkdir(parents=True, exist_ok=True)
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool, results.open("a") as file:
        todo = {scene: [each for each in candidates if (scene, each) not in done] for scene in scenes}
        running = {pool.submit(measure, scene, setup, left): scene for scene, left in todo.items() if left}
        for number, future in enumerate(as_completed(running), 1):
            for row in future.result():
                file.write(json.dumps({**key, "row": asdict(row)}) + "\n")
                rows.append(row)
            file.flush()
            print(f"{number}/{len(running)} {running[future]}", flush=True)
    return rows


def measure_renders(candidate: str, setup: Setup, rounds: int, seconds: float, crf: float) -> None:
    """Print whole renders with a candidate's settings, of those with the product's, by turns."""
    reference = setup.reference
    options = options_of(candidate, reference, crf=float(reference["crf"]) + crf)
    with tempfile.TemporaryDirectory() as name:
        song = Path(name, "song.wav")
        write_wav(song, seconds)
        size = {"width": setup.width, "height": setup.height}
        scene = Scene(
            "enhanced", audio=song, config={**SCENE, **size, "duration": seconds, "particle_count": setup.count or 2000}
        )
        sides: dict[str, list[float]] = {"product": [], candidate: []}
        sizes = {}
        for _ in range(rounds):
            for side, settings in (("product", reference), (candidate, options)):
                video = Path(name, "video.mp4")
                sides[side].append(render_in_fresh_process(scene, video, setup.quality, x264=settings)["render"])
                sizes[side] = video.stat().st_size
    before, after = (statistics.median(sides[side]) for side in ("product", candidate))
    print(
        f"{marked(candidate)}, CRF {crf:+g}: whole renders take {after / before:.3f} of those with the product's "
        f"settings ({before:.2f} → {after:.2f} s, median of {rounds}), size {sizes[candidate] / sizes['product']:.3f}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quality", choices=QUALITIES, default="standard")
    parser.add_argument("--types", nargs="+", choices=sorted(particle_types().types), metavar="TYPE")
    parser.add_argument("--presets", nargs="+", help=f"names of presets; {DEFAULT}: none (default: all)")
    parser.add_argument("--candidates", nargs="+", metavar="NAME=VALUE[:…]", help="default: a list for each quality")
    parser.add_argument("--seconds", type=float, default=2.0, help="of video of each scene: a segment has two")
    parser.add_argument("--size", default="1280x720")
    parser.add_argument("--count", type=int, help="of particles (default: as the preset has it)")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes (default: one per core)")
    parser.add_argument("--results", type=Path, default=Path("out/x264.jsonl"))
    parser.add_argument("--renders", metavar="CANDIDATE", help="measure whole renders with it, and nothing else")
    parser.add_argument("--crf", type=float, default=0.0, help="of --renders: what to add for an equal size")
    parser.add_argument("--rounds", type=int, default=3, help="of --renders")
    arguments = parser.parse_args()
    width, height = map(int, arguments.size.split("x"))
    setup = Setup(arguments.quality, width, height, arguments.seconds, arguments.count)
    if arguments.renders:
        measure_renders(arguments.renders, setup, arguments.rounds, 30.0, arguments.crf)
        return
    types = arguments.types or sorted(particle_types().types)
    scenes = scenes_of(types, arguments.presets)
    candidates = arguments.candidates or CANDIDATES[setup.quality]
    began = time.perf_counter()
    rows = measure_all(scenes, setup, candidates, arguments.results, arguments.jobs)
    took, particles = time.perf_counter() - began, setup.count or "the usual"
    told = " ".join(f"{name} {value}" for name, value in setup.reference.items())
    print(
        f"\nAgainst {told}: {len(scenes)} scenes, {setup.seconds:g} s each at {arguments.size} and 30 fps from "
        f"second {FROM:g} of the demo song, {particles} particles, one thread each, {arguments.jobs} at a time "
        f"({took:.0f} s). "
        "CPU is a ratio, SSIM a difference in dB; where no CRF is named, at the reference's size.\n"
    )
    print(table(rows))


if __name__ == "__main__":
    main()
