"""Work folders: a process's own folder for incomplete files, which others remove after it has died.

Its name says which process that is: the machine since it was started, the process's number and when it began. So the
same machine can tell whether it lives. A lock could not: on a network's file system each machine may have locks of its
own. Other machines cannot tell, nor containers with processes of their own, so a process touches its folder now and
then, and one that nobody has touched for an hour is theirs to remove, by the file system's clock.
"""

from __future__ import annotations

import os
import re
import secrets
import shutil
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path

_NAME = re.compile(r".*\.(?P<machine>[0-9a-f]{16})\.(?P<pid>\d+)\.(?P<began>\d+)\.[0-9a-f]{8}")
_TOUCH_EVERY, _ABANDONED = 60.0, 3600.0  # seconds
_FOREIGN = 7 * 24 * 3600.0  # seconds that files of other versions are kept
_BOOT, _NAMESPACE = Path("/proc/sys/kernel/random/boot_id"), Path("/proc/self/ns/pid")
_LONGEST = 100  # characters of a process's name


@contextmanager
def work_folder(scratch: Path, name: str) -> Iterator[Path]:
    """Yield a folder below ``scratch`` for this process; removes those of dead processes."""
    remove_dead_work_folders(scratch)
    own = re.sub(r"[/\0]", "-", name)[:_LONGEST]
    process = f"{_machine()}.{os.getpid()}.{_began(os.getpid()) or 0}"
    folder = scratch / f"{own}.{process}.{secrets.token_hex(4)}"
    folder.mkdir(mode=0o700)
    ended = threading.Event()
    touching = threading.Thread(target=_touch, args=(folder, ended), daemon=True, name="motes-work-folder")
    touching.start()
    try:
        yield folder
    finally:
        ended.set()
        touching.join()
        shutil.rmtree(folder, ignore_errors=True)


def remove_dead_work_folders(scratch: Path, *, dry_run: bool = False) -> int:
    """Remove the work folders of dead processes; returns the bytes freed, or with ``dry_run`` the bytes to free."""
    freed, present = 0, _clock_of(scratch)
    for path in list(scratch.iterdir()):
        with suppress(FileNotFoundError):
            if _is_dead(path, present):
                freed += _size(path)
                if not dry_run:
                    _remove(path)
    return freed


def _is_dead(path: Path, present: float) -> bool:
    """Whether nobody works with it any more, at the present time of the file system."""
    idle = present - path.stat(follow_symlinks=False).st_mtime
    found = _NAME.fullmatch(path.name)
    if found is None:  # of another version, or a single file on its way
        return idle > _FOREIGN
    if found["machine"] == _machine() and found["began"] != "0":
        return str(_began(int(found["pid"]))) != found["began"]
    return idle > _ABANDONED


def _machine() -> str:
    """Identifies the machine since it was started, or the container on it: pids mean something there only."""
    try:
        known = f"{_BOOT.read_text()} {os.readlink(_NAMESPACE)}"
    except OSError:
        known = secrets.token_hex()  # there is no telling, so folders expire
    return sha256(known.encode()).hexdigest()[:16]


def _began(pid: int) -> int | None:
    """When a process began, in ticks since the machine was started; None if there is none."""
    try:
        facts = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    state, *rest = facts.rpartition(")")[2].split()  # a name may hold anything
    return None if state in "ZX" else int(rest[18])


def _clock_of(folder: Path) -> float:
    with tempfile.TemporaryFile(dir=folder) as file:
        return os.fstat(file.fileno()).st_mtime


def _touch(folder: Path, ended: threading.Event) -> None:
    while not ended.wait(_TOUCH_EVERY):
        with suppress(OSError):
            folder.mkdir(mode=0o700, exist_ok=True)  # this process may have been stopped for an hour
            os.utime(folder)


def _size(path: Path) -> int:
    """Bytes of a file, or of those in a folder that another process may be deleting."""
    size = 0 if path.is_dir() else path.lstat().st_size
    for folder, _, names in os.walk(path):
        for name in names:
            with suppress(OSError):
                size += os.lstat(os.path.join(folder, name)).st_size
    return size


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
