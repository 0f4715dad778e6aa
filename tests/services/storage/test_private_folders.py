"""Folders for incomplete files are of one user alone, and those of dead processes are removed, of live ones never."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from ecs_core.errors import MotesError
from services.jobs.local_queue import LocalQueue
from services.storage import private_folders, work_folders
from services.storage.object_store import Storage
from services.storage.private_folders import private_folder, private_temporary_folders
from services.storage.work_folders import remove_dead_work_folders, work_folder
from tests.waiting import HANG


@pytest.fixture(autouse=True)
def _own_temporary_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "tmp"))


class TestPrivate:
    def test_a_new_one_is_for_this_user_alone(self, tmp_path: Path) -> None:
        before = os.umask(0)
        try:
            made = private_folder(tmp_path / "a")
        finally:
            os.umask(before)
        assert made.stat().st_mode & 0o777 == 0o700

    def test_what_others_can_read_is_closed(self, tmp_path: Path) -> None:
        (tmp_path / "a").mkdir()
        (tmp_path / "a").chmod(0o755)
        assert private_folder(tmp_path / "a").stat().st_mode & 0o777 == 0o700

    @pytest.mark.parametrize("mode", [0o777, 0o770, 0o1777])
    def test_what_others_can_write_to_is_refused(self, tmp_path: Path, mode: int) -> None:
        (tmp_path / "a").mkdir()
        (tmp_path / "a").chmod(mode)
        with pytest.raises(MotesError, match=f"can be written to by other users .mode {mode:o}.: remove it"):
            private_folder(tmp_path / "a")

    def test_another_users_is_refused(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (tmp_path / "a").mkdir(mode=0o700)
        mine = os.geteuid()
        monkeypatch.setattr(private_folders.os, "geteuid", lambda: mine + 1)
        with pytest.raises(MotesError, match=f"belongs to user {mine}, not to {mine + 1}"):
            private_folder(tmp_path / "a")

    def test_a_link_is_refused(self, tmp_path: Path) -> None:
        (tmp_path / "real").mkdir(mode=0o700)
        (tmp_path / "a").symlink_to(tmp_path / "real")
        with pytest.raises(MotesError, match="is a link or a file"):
            private_folder(tmp_path / "a")

    @pytest.mark.parametrize("spoil", ["mode", "link", "file"])
    def test_what_is_prepared_for_temporary_files_is_left_alone(self, tmp_path: Path, spoil: str) -> None:
        trap = tmp_path / "tmp" / f"scratch-{os.geteuid()}-0"
        if spoil == "mode":
            trap.mkdir()
            trap.chmod(0o777)
        elif spoil == "link":
            trap.symlink_to(tmp_path)
        else:
            trap.touch()
        [made] = private_temporary_folders("scratch")
        assert made != trap
        assert made.stat().st_mode & 0o777 == 0o700
        assert private_temporary_folders("scratch") == [made]

    def test_storage_and_queue_refuse_what_is_not_theirs(self, tmp_path: Path) -> None:
        for name in ("storage/.scratch", "queue"):
            (tmp_path / name).mkdir(parents=True)
            (tmp_path / name).chmod(0o777)
        with pytest.raises(MotesError, match="can be written to by other users"):
            Storage(f"file://{tmp_path}/storage")

        async def opened() -> None:
            async with LocalQueue.open(f"local://{tmp_path}/queue"):
                pass

        with pytest.raises(MotesError, match="can be written to by other users"):
            asyncio.run(opened())


def hold(scratch: Path, told: Callable[[str], None], end: Callable[[], object]) -> None:
    """What a process does that has a folder."""
    with work_folder(scratch, "another") as folder:
        (folder / "half").write_bytes(bytes(20))
        told(str(folder))
        end()


class TestWorkFolders:
    def test_the_folder_of_a_live_process_stays_and_of_a_killed_one_goes(self, tmp_path: Path) -> None:
        context = multiprocessing.get_context("fork")
        ours, theirs = context.Pipe()
        process = context.Process(target=hold, args=(tmp_path, theirs.send, theirs.recv))
        process.start()
        try:
            assert ours.poll(HANG)
            folder = Path(ours.recv())
            for each in (tmp_path, *tmp_path.rglob("*")):  # however long it has done nothing
                os.utime(each, (0, 0))
            assert remove_dead_work_folders(tmp_path) == 0
            assert (folder / "half").exists()
        finally:
            process.kill()
            process.join()
        assert remove_dead_work_folders(tmp_path, dry_run=True) == 20
        assert folder.exists()
        assert remove_dead_work_folders(tmp_path) == 20
        assert list(tmp_path.glob("another*")) == []

    def test_a_zombie_is_dead(self) -> None:
        process = subprocess.Popen((sys.executable, "-c", ""))
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        assert work_folders._began(process.pid) is None
        process.wait()
        assert work_folders._began(os.getpid())

    def test_a_pid_that_is_used_again_is_another_process(self, tmp_path: Path) -> None:
        (tmp_path / f"a.{work_folders._machine()}.{os.getpid()}.1.00000000").mkdir()
        remove_dead_work_folders(tmp_path)
        assert list(tmp_path.glob("a.*")) == []

    @pytest.mark.parametrize(("seconds", "stays"), [(0, True), (3000, True), (4000, False)])
    def test_another_machines_goes_only_when_nobody_touches_it(self, tmp_path: Path, seconds: int, stays: bool) -> None:
        folder = tmp_path / f"a.{'0' * 16}.{os.getpid()}.1.00000000"
        folder.mkdir()
        before = time.time() - seconds
        os.utime(folder, (before, before))
        remove_dead_work_folders(tmp_path)
        assert folder.exists() == stays

    def test_a_process_touches_its_folder(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(work_folders, "_TOUCH_EVERY", 0.01)
        with work_folder(tmp_path, "a/b") as folder:
            os.utime(folder, (0, 0))
            end = time.monotonic() + HANG
            while folder.stat().st_mtime == 0:
                assert time.monotonic() < end
                time.sleep(0.01)
            folder.rmdir()  # as another machine does that takes it for dead
            while not folder.exists():
                assert time.monotonic() < end
                time.sleep(0.01)
        assert list(tmp_path.glob("a-b*")) == []

    def test_without_knowing_the_machine_folders_expire(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(work_folders, "_BOOT", tmp_path / "missing")
        with work_folder(tmp_path, "a") as folder:
            remove_dead_work_folders(tmp_path)
            assert folder.exists()

    def test_files_of_other_versions_are_kept_for_days(self, tmp_path: Path) -> None:
        (tmp_path / "tmp").rmdir()
        (tmp_path / "worker-12345678").mkdir()
        (tmp_path / "worker-12345678.lock").touch()
        remove_dead_work_folders(tmp_path)
        assert len(list(tmp_path.iterdir())) == 2
        for each in tmp_path.iterdir():
            os.utime(each, (0, 0))
        remove_dead_work_folders(tmp_path)
        assert list(tmp_path.iterdir()) == []
