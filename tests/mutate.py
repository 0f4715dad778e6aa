"""Does a test fail when the code is wrong? Applies mutations one by one and lists those that survive.

``python -m tests.mutate [WORD …]``: with words, only mutations whose name contains one of them. Everything happens in a
temporary copy of the tree. The exit code is 1 where a mutation survives without an explanation, 2 where one cannot be
applied any more or its tests cannot be run: then the table below has to follow the code.
"""

from __future__ import annotations

import importlib
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
import traceback
from dataclasses import dataclass
from pathlib import Path

import pytest

LIBRARIES = """aiosqlite alembic.command asyncpg av esper fastapi httpx librosa numba numpy obstore
    pydantic redis.asyncio scipy.signal sqlalchemy.ext.asyncio uvicorn websockets"""  # loaded once for all mutants
ROOT = Path(__file__).parents[1]

TASKS, LEASES = "services/jobs/tasks.py", "tests/services/jobs/test_tasks_leases.py -k sqlite"
LIFECYCLE = "tests/services/jobs/test_lifecycle.py -k sqlite"
VERSIONS = "tests/services/jobs/test_jobs_versions.py -k sqlite"
ACCOUNT, ACCOUNTS = "services/auth/account.py", "tests/services/auth/test_account.py -k sqlite"
SLOTS, SLOT_TESTS = "services/jobs/slots.py", "tests/services/jobs/test_slots.py -k sqlite"
FAIR, TURNS = "services/jobs/fair_scheduler.py", "tests/services/jobs/test_fair_scheduler.py -k sqlite"
CHOICE = "services/jobs/turns.py"
ROOM, CLAIMS = "services/worker/claims.py", "tests/services/worker/test_claims.py -k sqlite"
PLAN, CUTS = "ecs_core/rendering/plan.py", "tests/ecs_core/rendering/test_plan.py"
SEGMENT, FRAMES = "ecs_core/rendering/segment.py", "tests/ecs_core/rendering/test_same_frames.py"
WORLD, WORLDS = "ecs_core/ecs/world.py", "tests/ecs_core/ecs/test_world.py"
TABLE, TABLES = "ecs_core/ecs/table.py", "tests/ecs_core/ecs/test_table.py"
KERNEL, PAINTER = "ecs_core/kernels/raster.py", "ecs_core/raster/rasteriser.py"
RASTER = "tests/ecs_core/raster/test_rasteriser.py"
PICTURES, MARK_TESTS = "ecs_core/kernels/pictures.py", "tests/ecs_core/raster/test_marks.py"
FINISH, FINISH_TESTS = "ecs_core/kernels/finish.py", "tests/ecs_core/raster/test_finish.py"
BLOOM, TURNING = "ecs_core/raster/bloom.py", "ecs_core/raster/turning.py"
TEXTURE_TESTS = "tests/ecs_core/raster/test_textures.py"
COVER, LINES, TRACE = (f"ecs_core/kernels/{name}.py" for name in ("cover", "lines", "trails"))
TRAILS, TRAIL_TESTS = "ecs_core/systems/trails.py", "tests/ecs_core/systems/test_trails.py"
OUTLIVING, SMEARED = (f"tests/ecs_core/systems/test_{name}.py" for name in ("outliving_trails", "smeared_pictures"))
EXTRACTION = "ecs_core/systems/extraction.py"
LINE_TESTS = "tests/ecs_core/raster/test_lines.py"
SOFT, SOFT_TESTS = "ecs_core/kernels/soft.py", "tests/ecs_core/raster/test_soft_light.py"
SANDBOX, CALLS = "services/media/sandbox/enter.py", "services/media/sandbox/system_calls.py"
CONFINED = "tests/services/media/test_sandbox.py tests/services/media/test_system_calls.py"
TIMELINE, HEARD = "ecs_core/audio/timeline.py", "tests/ecs_core/ecs/test_world.py tests/ecs_core/systems"


@dataclass(frozen=True)
class Mutation:
    """A mistake: ``old`` occurs once in ``file`` and becomes ``new``; at least one of the ``tests`` must fail.

    ``equivalent`` says why none can, where nothing that anybody sees depends on it.
    """

    name: str
    file: str
    old: str
    new: str
    tests: str
    equivalent: str = ""


MUTATIONS = [
    # Leases
    Mutation("lease: attempts are not told apart", TASKS, " TaskRow.attempt == claim.attempt,", "", LEASES),
    Mutation(
        "lease: what is not running can be changed",
        TASKS,
        'claim.attempt, TaskRow.status == "running"\n',
        "claim.attempt\n",
        LEASES,
    ),
    Mutation(
        "lease: never extended",
        TASKS,
        "values(lease_until=db_now(self._lease), done=done)",
        "values(done=done)",
        LEASES,
    ),
    Mutation("lease: never expires", TASKS, ", TaskRow.lease_until < db_now())", ", TaskRow.attempt < 0)", LEASES),
    Mutation("lease: attempts are not counted", TASKS, ' "attempt": TaskRow.attempt + 1,', "", LEASES),
    Mutation("lease: one loss too many", TASKS, "if losses >= MAX_LOSSES", "if losses > MAX_LOSSES", LEASES),
    Mutation("lease: losses are not counted", TASKS, ", losses=TaskRow.losses + 1)", ")", LEASES),
    Mutation("lease: a restarted worker takes what others have", TASKS, ", TaskRow.worker == worker)", ")", LEASES),
    Mutation("tasks: one death too many", TASKS, "task.deaths >= MAX_DEATHS", "task.deaths > MAX_DEATHS", LIFECYCLE),
    Mutation(
        "tasks: the join does not wait for segments",
        TASKS,
        ', TaskRow.status == "waiting", ~unfinished)',
        ', TaskRow.status == "waiting")',
        LEASES,
    ),
    Mutation(
        "tasks: the join goes to the end of the queue",
        TASKS,
        'values(status="ready", virtual_time=turn)',
        'values(status="ready", virtual_time=1e9)',
        TURNS,
    ),
    Mutation(
        "tasks: no delay while the disk is full",
        TASKS,
        "db_now(RETRY_DELAY) if wait or wrong",
        "db_now(RETRY_DELAY) if wrong",
        TURNS,
    ),
    Mutation(
        "tasks: those of other versions are taken",
        TASKS,
        "own = [] if self._versions is None else",
        "own = [] if True else",
        VERSIONS,
    ),
    Mutation(
        "tasks: segments there are already are rendered again",
        TASKS,
        "if there.issuperset(keys[number]):",
        "if not keys[number]:",
        LIFECYCLE,
    ),
    Mutation("tasks: a plan noted twice has its segments twice", TASKS, "if number not in known:", "if True:", LEASES),
    Mutation("tasks: any task is taken for one that is offered", TASKS, "task.queued_at.is_not(None), ", "", LEASES),
    # Room
    Mutation(
        "room: nobody ever waits for it", ROOM, "is not None and await self._wait_for_room", "is None and not", CLAIMS
    ),
    # Turns
    Mutation(
        "turns: the oldest is never first", CHOICE, "while self._since_oldest >= OLDEST_EVERY:", "while False:", TURNS
    ),
    Mutation(
        "turns: offered only once", CHOICE, "TaskRow.queued_at < db_now(-OFFER_AGAIN)", "TaskRow.attempt < 0", LEASES
    ),
    Mutation(
        "turns: no owner has a cap", CHOICE, "task.slots is None or running[task.owner] < task.slots", "True", TURNS
    ),
    # The fair scheduler
    Mutation("fair: priorities upside down", FAIR, "number / WEIGHTS[priority]", "number * WEIGHTS[priority]", TURNS),
    Mutation(
        "fair: what waits holds the clock back",
        FAIR,
        "select(TaskRow.virtual_time).where(possible)",
        "select(TaskRow.virtual_time)",
        TURNS,
    ),
    Mutation("fair: a high priority queues behind one's own", FAIR, " JobRow.priority == priority,", "", TURNS),
    Mutation("fair: everybody queues behind everybody", FAIR, "JobRow.fairness_key == fairness_key, ", "", TURNS),
    Mutation(
        "fair: newcomers start at zero", FAIR, "ends = [await current_virtual_time(session)]", "ends = [0.0]", TURNS
    ),
    # Accounts and slots
    Mutation("account: a retry is charged in full", ACCOUNT, "price_of(job) - _paid(job))", "price_of(job))", ACCOUNTS),
    Mutation(
        "account: what was spent is kept again", ACCOUNT, "_share_done(job) - job.spent", "_share_done(job)", ACCOUNTS
    ),
    Mutation("account: begun frames are free", ACCOUNT, 'job.status != "queued" and not failed', "False", ACCOUNTS),
    Mutation("slots: one more than allowed", SLOTS, "or 0) <= job.slots", "or 0) <= job.slots + 1", SLOT_TESTS),
    # Cuts
    Mutation("cut: beyond the end", PLAN, "min(left, longest, max(", "min(longest, max(", CUTS),
    Mutation("cut: no taper", PLAN, "max(shortest, left // 4)", "max(shortest, left)", CUTS),
    Mutation("cut: a quarter is a half", PLAN, "max(1, longest // 4)", "max(1, longest // 2)", CUTS),
    Mutation("cut: groups of pictures cross cuts", PLAN, "gop=longest", "gop=2 * longest", CUTS),
    Mutation("cut: a song without a frame", PLAN, "if frames < 1:", "if frames < 0:", CUTS + " tests/ecs_core/scene"),
    # Segments and snapshots
    Mutation(
        "segment: frames in the wrong order",
        SEGMENT,
        "segment.stop - frame))][::-1]",
        "segment.stop - frame))]",
        FRAMES,
    ),
    Mutation(
        "segment: begins at its snapshot", SEGMENT, "        self.simulation.skip_to(segment.start)\n", "", FRAMES
    ),
    Mutation("snapshot: the frame stays", WORLD, "        self.frame = snapshot.frame\n", "", WORLDS),
    Mutation(
        "snapshot: shares its values",
        TABLE,
        "self._values[:, : self._rows].copy()",
        "self._values[:, : self._rows]",
        TABLES,
    ),
    Mutation("snapshot: shares its births", TABLE, "self.birth.copy(), ", "self.birth, ", TABLES),
    Mutation("snapshot: births begin anew", TABLE, "        self.next_birth = rows.next_birth\n", "", TABLES),
    # World and table
    Mutation(
        "world: the same draw twice in a frame", WORLD, "self._draws[key] = draw + 1", "self._draws[key] = draw", WORLDS
    ),
    Mutation("world: draws depend on frames before", WORLD, "        self._draws.clear()\n", "", WORLDS),
    Mutation("world: rows are never frozen", WORLD, "table.frozen = frozen", "table.frozen = False", WORLDS),
    Mutation("world: rows are never thawed", WORLD, "table.frozen = frozen", "table.frozen = True", WORLDS),
    Mutation("world: a renamed system draws anew", WORLD, "system.random_key or f", "f", WORLDS),
    Mutation("world: the n-th depends on the frame", WORLD, '*key, "nth"), nth)', '*key, "nth"), self.frame)', WORLDS),
    Mutation(
        "table: the born have what the dead had",
        TABLE,
        "        self._values[:, first:last] = self._at_birth\n",
        "",
        TABLES,
    ),
    Mutation("table: births are used again", TABLE, "self.next_birth += n", "self.next_birth = last", TABLES),
    Mutation("table: negative births", TABLE, "if n < 0:", "if n < -99:", TABLES),
    Mutation("table: the dead are found", TABLE, "np.where(self.birth[rows] == births, rows, -1)", "rows", TABLES),
    # The rasteriser
    Mutation(
        "raster: light that moved stays behind",
        PAINTER,
        "if not (drawn or self._touched.any() or before.any() or finishing is not None):",
        "if not (drawn or self._touched.any() or finishing is not None):",
        RASTER,
    ),
    Mutation(
        "marks: those that changed stay as they were",
        PAINTER,
        "if not same(old, new):",
        "if not same(old, new) and new is None:",
        MARK_TESTS,
    ),
    Mutation(
        "marks: the ground of other marks is kept",
        PAINTER,
        "if len(self._ground_marks) != count or not all(map(same, self._ground_marks, first)):",
        "if not self._ground_marks:",
        MARK_TESTS,
    ),
    Mutation(
        "marks: luma ignores its cell",
        "ecs_core/kernels/shares.py",
        "_to_pixels(narrow, before, n)\n    _to_pixels(wide, after, n)",
        "_to_pixels(narrow, before, n)\n    _to_pixels(narrow, after, n)",
        MARK_TESTS,
    ),
    Mutation(
        "marks: solid pictures hide what they should let through",
        PICTURES,
        "hides_here = solid != 0 and opacity == _ONE and adds == 0",
        "hides_here = solid != 0 and adds == 0",
        "tests/ecs_core/rendering/test_backdrops.py",
    ),
    Mutation(
        "backdrops: edges of pictures are soft",
        PICTURES,
        "f32(FRAME), FRAME if is_wide else 0\n",
        "f32(FRAME), 0\n",
        "tests/ecs_core/rendering/test_backdrops.py",
    ),
    Mutation(
        "backdrops: frames of a video come late",
        "ecs_core/raster/video_file.py",
        "int(ticks + Fraction(1, 2))",
        "int(ticks)",
        "tests/ecs_core/raster/test_video_file.py",
    ),
    Mutation(
        "raster: a new picture keeps the old one", PAINTER, "        self._before[:] = 1\n", "        pass\n", RASTER
    ),
    Mutation(
        "raster: a long list is not listed",
        PAINTER,
        "            kernels.raster.list_bands(low, high, self.height, BAND_ROWS, starts, listed, spans)\n",
        "",
        RASTER,
    ),
    Mutation(
        "raster: fine sprites gain light",
        KERNEL,
        "same total light\n            dim = reach * reach * (_ONE / (FINEST * FINEST))",
        "same total light\n            dim = _ONE",
        RASTER,
    ),
    Mutation(
        "raster: fine sprites flicker",
        KERNEL,
        "            reach = FINEST\n        out",
        "            pass\n        out",
        RASTER,
    ),
    Mutation(
        "raster: green is blue",
        KERNEL,
        "add8(light, at + green + j, wx, j, level * g)",
        "add8(light, at + green + j, wx, j, level * b)",
        RASTER,
    ),
    Mutation(
        "raster: the last block is not touched",
        KERNEL,
        "((x1 - 1) >> BLOCK_SHIFT) + 1)",
        "((x1 - 1) >> BLOCK_SHIFT))",
        RASTER,
    ),
    Mutation("raster: windows end early", KERNEL, "int(np.ceil(centre + reach))", "int(np.floor(centre))", RASTER),
    Mutation("cover: light is blended", COVER, "(_ONE - cover) * above + cover * light", "above", RASTER),
    Mutation("cover: fades change it", PAINTER, "float(kernels.cover.TOE) * light", "float(kernels.cover.TOE)", RASTER),
    Mutation("cover: the background stays", PAINTER, "            self._luminance.fill(0)\n", "", RASTER),
    Mutation("lines: no taper", LINES, "di, dq = i1 - i0, q - _ONE", "di, dq = _ZERO, q - _ONE", LINE_TESTS),
    Mutation("lines: sharp ends", LINES, "share = _along(along) - _along(along - ends)", "share = _ONE", LINE_TESTS),
    Mutation("lines: soft ones lie aside", LINES, "aside = _QUARTER if half else _ZERO", "aside = _ZERO", LINE_TESTS),
    Mutation(
        "soft light: it stays",
        SOFT,
        "drawn[i] = _ZERO",
        "pass",
        SOFT_TESTS,
    ),
    Mutation("lines: no budget", PAINTER, "return 1.0 if fits(1.0) else _largest(fits)", "return 1.0", LINE_TESTS),
    Mutation("trails: a jump is drawn", TRAILS, "            path.known[jumped] = 0\n", "", TRAIL_TESTS),
    Mutation(
        "trails: the end jumps", TRACE, "(px[n] - px[n - 1]) * (f32(1.0) - since)", "(px[n] - px[n - 1])", TRAIL_TESTS
    ),
    Mutation(
        "trails: the dead are counted",
        "ecs_core/ecs/components.py",
        "return rows if living is None else int(np.count_nonzero(living))",
        "return rows",
        OUTLIVING,
    ),
    Mutation(
        "trails: the dead are seen",
        EXTRACTION,
        "shown = sprites if living is None else sprites.where(living)",
        "shown = sprites",
        OUTLIVING,
    ),
    Mutation("trails: the dead fly on", TRAILS, "here[~living], v[~living] = before[~living], 0", "pass", OUTLIVING),
    Mutation(
        "pictures: copies are brighter", EXTRACTION, "light, cover = 1 / n, None", "light, cover = 2 / n, None", SMEARED
    ),
    Mutation(
        "bounds: what is seen dies",
        "ecs_core/systems/lifetime.py",
        "margins: F32 = np.maximum(seen, f32(bounds.margin))",
        "margins: F32 = np.full_like(seen, bounds.margin)",
        "tests/ecs_core/systems/test_lifetime.py",
    ),
    Mutation("finish: a fade changes it", PAINTER, "light = 1.0  # the finish", "pass  # the finish", FINISH_TESTS),
    Mutation("finish: only what is touched", PAINTER, "                self._touched.fill(1)\n", "", FINISH_TESTS),
    Mutation("finish: light is lost at half size", FINISH, "_add_doubled(half, plane, work[0])", "pass", FINISH_TESTS),
    Mutation("finish: bloom lies aside", BLOOM, "centre=0.25", "centre=0.9", FINISH_TESTS),
    Mutation("textures: a turned one ends early", TURNING, "np.maximum(reach, finest) + 4", "reach + 1", TEXTURE_TESTS),
    Mutation("textures: out of order", TURNING, "if not in_order:", "if True:", TEXTURE_TESTS),
    Mutation(
        "finish: bindings move it too early",
        "ecs_core/rendering/simulation.py",
        "next((copy(found) for",
        "next((found for",
        "tests/ecs_core/rendering/test_finish.py",
    ),
    # The sandbox
    Mutation("sandbox: memory", SANDBOX, "    _limit(resource.RLIMIT_AS, _mapped() + memory)\n", "", CONFINED),
    Mutation("sandbox: memory that it has counts", SANDBOX, "_mapped() + memory)", "memory)", CONFINED),
    Mutation(
        "sandbox: time",
        SANDBOX,
        "    _limit(resource.RLIMIT_CPU, seconds, seconds + _GRACE)\n",
        "",
        CONFINED,
    ),
    Mutation("sandbox: writing", SANDBOX, "    _limit(resource.RLIMIT_FSIZE, 0)\n", "", CONFINED),
    Mutation("sandbox: cores", SANDBOX, "    _limit(resource.RLIMIT_CORE, 0)\n", "", CONFINED),
    Mutation("sandbox: processes", SANDBOX, "    _limit(resource.RLIMIT_NPROC, 0)\n", "", CONFINED),
    Mutation("sandbox: threads", SANDBOX, 'if len(os.listdir("/proc/self/task")) > 1', "if False", CONFINED),
    Mutation("sandbox: system calls", SANDBOX, "            each.load()", "            each", CONFINED),
    Mutation("sandbox: sockets", CALLS, '"exit", "exit_group"', '"exit", "exit_group", "socket"', CONFINED),
    Mutation("sandbox: other programs", CALLS, '"exit", "exit_group"', '"exit", "exit_group", "execve"', CONFINED),
    Mutation("sandbox: writing files", CALLS, "(Condition(2, 0, _WRITING),)", "()", CONFINED),
    Mutation("sandbox: code", CALLS, 'Rule("mmap", (Condition(2, 0, _PROT_EXEC),))', 'Rule("mmap")', CONFINED),
    Mutation("sandbox: signals", CALLS, 'Rule("tgkill", (Condition(0, pid),))', 'Rule("tgkill")', CONFINED),
    Mutation("sandbox: others' limits", CALLS, "(Condition(0, 0), Condition(2, 0))", "(Condition(2, 0),)", CONFINED),
    Mutation(
        "sandbox: signals of files",
        CALLS,
        '*(Rule("fcntl", (Condition(1, command),)) for command in (_F_GETFD, _F_SETFD, _F_GETFL))',
        'Rule("fcntl")',
        CONFINED,
    ),
    Mutation(
        "sandbox: other interfaces",
        "services/media/sandbox/seccomp.py",
        "        _check(library.seccomp_attr_set(built, _ATTRIBUTE_FOREIGN, ctypes.c_uint32(_KILL)))\n",
        "        _check(library.seccomp_attr_set(built, _ATTRIBUTE_FOREIGN, ctypes.c_uint32(_ALLOW)))\n",
        CONFINED,
    ),
    Mutation(
        "sandbox: any file",
        "services/media/sandbox/landlock.py",
        '    rules = struct.pack("=Q", (1 << rights) - 1)\n',
        '    rules = struct.pack("=Q", 2)\n',
        CONFINED,
    ),
    Mutation("sandbox: capabilities", SANDBOX, "if _libc.capset(", "if False and _libc.capset(", CONFINED),
    # The timeline
    Mutation(
        "timeline: events of another frame",
        TIMELINE,
        "self.time(frame + 1)]",
        "self.time(frame + 2)]",
        HEARD,
    ),
    Mutation(
        "timeline: an event at the edge belongs to the frame before",
        TIMELINE,
        "np.searchsorted(self.events[event], edges)",
        'np.searchsorted(self.events[event], edges, "right")',
        HEARD,
    ),
    Mutation(
        "timeline: features are events",
        TIMELINE,
        "        if source in self.features:\n            return None\n",
        "",
        "tests/ecs_core/scene/test_bindings.py tests/ecs_core/test_plugin_api.py",
    ),
    Mutation(
        "timeline: a level at its threshold is high",
        PLAN,
        "(level > settings.bass_threshold)",
        "(level >= settings.bass_threshold)",
        CUTS + " tests/ecs_core/systems tests/ecs_core/scene",
    ),
]


def main(words: list[str]) -> int:
    """Apply the mutations whose name has one of the words, or all; returns the exit code."""
    chosen = [each for each in MUTATIONS if not words or any(word in each.name for word in words)]
    with tempfile.TemporaryDirectory(prefix="motes-mutants-") as name:
        tree = Path(name)
        files = subprocess.run(("git", "ls-files", "-z"), cwd=ROOT, capture_output=True, text=True, check=True)
        for file in filter(None, files.stdout.split("\0")):
            if (ROOT / file).is_file():
                (tree / file).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / file, tree / file)
        for kernels in ROOT.glob("ecs_core/**/__pycache__"):  # compiled, which numba knows by the times of the sources
            shutil.copytree(kernels, tree / kernels.relative_to(ROOT))
        return _try_all(tree, chosen)


def _try_all(tree: Path, chosen: list[Mutation]) -> int:
    sys.dont_write_bytecode = True  # a mutant may be as old as what it was
    for name in LIBRARIES.split():
        importlib.import_module(name)
    misfits = [each.name for each in chosen if (tree / each.file).read_text().count(each.old) != 1]
    for name in misfits:
        print(f"{name}: what it changes is not there exactly once")
    for tests in sorted({each.tests for each in chosen}):
        if (code := _run(tree, tests)) != 0:
            print(f"{tests}: pytest ended with {code} before anything was changed")
            misfits.append(tests)
    if misfits:
        return 2
    survivors, unclear = [], []
    for each in chosen:
        path, began = tree / each.file, time.monotonic()
        right, times = path.read_text(), (path.stat().st_atime_ns, path.stat().st_mtime_ns)
        path.write_text(right.replace(each.old, each.new))
        try:
            code = _run(tree, each.tests)
        finally:
            path.write_text(right)
            os.utime(path, ns=times)  # by which compiled kernels know their source
        said = {0: f"SURVIVED {each.equivalent and '(equivalent)'}", 1: "killed"}.get(code, f"UNCLEAR: pytest {code}")
        print(f"{said:10} {each.name}  ({time.monotonic() - began:.0f} s)", flush=True)
        if code == 0 and not each.equivalent:
            survivors.append(each)
        elif code not in (0, 1):
            unclear.append(each)
        elif code == 1 and each.equivalent:
            print("           although it is said to be equivalent")
            unclear.append(each)
    print(f"{len(chosen)} mutations, {len(survivors)} survived" + f", {len(unclear)} unclear" * bool(unclear))
    for each in survivors:
        print(f"  {each.name}: {each.file}, not noticed by {each.tests}")
    return 2 if unclear else 1 if survivors else 0


def _run(tree: Path, tests: str) -> int:
    """Pytest's exit code, of a process that is forked: it has all libraries, and nothing of ours."""
    if (process := os.fork()) == 0:
        code = 3
        try:
            os.chdir(tree)
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
            sys.path[:] = [str(tree), *(path for path in sys.path if path not in ("", str(ROOT)))]
            for name in [name for name in sys.modules if name.partition(".")[0] == "tests"]:
                del sys.modules[name]
            code = pytest.main(
                [
                    "-W",
                    "ignore:Module already imported",
                    "-q",
                    "-x",
                    "-p",
                    "no:cacheprovider",
                    "-m",
                    "not campaign",
                    *shlex.split(tests),
                ]
            )
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
