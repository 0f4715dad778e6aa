"""What a confined process can and cannot do, by the kernel's word: each case is a process that tries."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.waiting import HANG

ROOT = Path(__file__).parents[3]
WHO = ["root", "nobody"] if os.geteuid() == 0 else ["user"]  # only root can become somebody else
BEGIN = """
    import ctypes, os, resource, signal, socket, sys, tempfile, threading, time
    from pathlib import Path
    import encodings.idna
    from services.media.sandbox.enter import enter_sandbox

    def refused(what, *arguments):
        try:
            what(*arguments)
        except OSError as error:
            print(type(error).__name__)
        else:
            print("done")

    if sys.argv[1] == "nobody":
        os.setgroups([])
        os.setgid(65534)
        os.setuid(65534)
        ctypes.CDLL(None).prctl(4, 1, 0, 0, 0)  # PR_SET_DUMPABLE: who has always been nobody may open its own files
"""
_SYSCALLS = """
    libc = ctypes.CDLL(None)
    # Whether the kernel knows how to refuse a system call: it complains of an address, not of an unknown action.
    print(libc.syscall({"x86_64": 317}.get(os.uname().machine, 277), 2, 0, ctypes.byref(ctypes.c_uint32(0x50000))) == 0)
    print(libc.syscall(444, None, ctypes.c_size_t(0), ctypes.c_uint32(1)))
"""


def trying(code: str, who: str, *more: object, **options: object) -> subprocess.CompletedProcess[str]:
    """What a process says that begins as ``who`` and does this."""
    begin, end = textwrap.dedent(BEGIN), textwrap.dedent(code)
    command = (sys.executable, "-c", begin + end, who, *map(str, more))
    return subprocess.run(
        command,
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
        timeout=HANG,
        check=False,
        **options,
    )


def said(code: str, who: str, *more: object, **options: object) -> list[str]:
    done = trying(code, who, *more, **options)
    assert done.returncode == 0
    return done.stdout.split()


@pytest.fixture(scope="module", params=WHO)
def who(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(scope="module")
def kernel(who: str) -> tuple[bool, int]:
    """Whether there is seccomp for this machine, and the version of Landlock; 0 or less where there is none."""
    leaves, version = said(_SYSCALLS, who)
    return leaves == "True", int(version)


def test_missing_kernel_features_are_reported(who: str, kernel: tuple[bool, int]) -> None:
    leaves, landlock = kernel
    expected = [name for name, there in (("network", leaves), ("files", landlock >= 1)) if not there]
    assert said("print(*enter_sandbox(memory=1 << 28, seconds=5))", who) == expected


def test_without_seccomp_landlock_still_blocks_tcp(who: str, kernel: tuple[bool, int]) -> None:
    if kernel[1] < 4:
        pytest.skip(f"needs Landlock of Linux 6.7: this kernel has version {kernel[1]}")
    code = """
    from services.media.sandbox import enter
    enter._MACHINES.clear()  # a machine whose system calls are not known
    print(*enter_sandbox(memory=1 << 28, seconds=5))
    refused(socket.create_connection, ("127.0.0.1", int(sys.argv[2])), 2)
    """
    with socket.create_server(("127.0.0.1", 0)) as server:
        assert said(code, who, server.getsockname()[1]) == ["network", "PermissionError"]


def test_network_is_unreachable(who: str, kernel: tuple[bool, int]) -> None:
    if not kernel[0]:
        pytest.skip("there is no seccomp; that it is said is tested above")
    code = """
    opened = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    opened.close()
    enter_sandbox(memory=1 << 28, seconds=5)
    refused(socket.create_connection, ("127.0.0.1", int(sys.argv[2])), 2)
    for family, kind in ((2, 1), (2, 2), (2, 3), (10, 1), (10, 2), (1, 1), (16, 3), (17, 3), (40, 1)):
        refused(socket.socket, family, kind)
    """
    with socket.create_server(("127.0.0.1", 0)) as server:
        assert said(code, who, server.getsockname()[1]) == ["PermissionError"] * 10
        server.settimeout(0)
        with pytest.raises(BlockingIOError):
            server.accept()


def test_io_uring_makes_no_sockets(who: str, kernel: tuple[bool, int]) -> None:
    if not kernel[0]:
        pytest.skip("there is no seccomp; that it is said is tested above")
    code = """
    libc = ctypes.CDLL(None, use_errno=True)
    def called(*arguments):
        ctypes.set_errno(0)
        print(libc.syscall(*arguments), ctypes.get_errno())
    number = 41 if os.uname().machine == "x86_64" else 198
    enter_sandbox(memory=1 << 28, seconds=5)
    called(425, 1, ctypes.create_string_buffer(200))  # io_uring_setup
    called(number | 0x40000000, 2, 1, 0)  # x32
    called(438, 1, 1, 0)  # pidfd_getfd
    """
    assert said(code, who)[:2] == ["-1", "1"]
    assert set(zip(*[iter(said(code, who))] * 2, strict=True)) <= {("-1", "1"), ("-1", "38")}


def test_programs_and_namespaces_are_denied(who: str, kernel: tuple[bool, int]) -> None:
    if not kernel[0]:
        pytest.skip("there is no seccomp; that it is said is tested above")
    code = """
    libc = ctypes.CDLL(None, use_errno=True)
    enter_sandbox(memory=1 << 28, seconds=5)
    print(libc.execve(b"/bin/true", None, None), ctypes.get_errno())  # of Landlock it would be EACCES
    print(libc.unshare(0x10000000), ctypes.get_errno())
    print(libc.ptrace(16, os.getppid(), None, None), ctypes.get_errno())
    """
    assert said(code, who) == ["-1", "1"] * 3


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """One that anybody may enter; pytest's are for their owner."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


def test_only_allowed_files_can_be_opened(who: str, kernel: tuple[bool, int], open_folder: Path) -> None:
    if kernel[1] < 1:
        pytest.skip("this kernel has no Landlock; that it is said is tested above")
    (open_folder / "song").write_text("the song")
    (open_folder / "other").write_text("canary")
    code = """
    song, folder = Path(sys.argv[2]), Path(sys.argv[2]).parent
    enter_sandbox(memory=1 << 28, seconds=5, reads=[song])
    print(song.read_text() == "the song")
    refused((folder / "other").read_text)
    refused(Path("/etc/passwd").read_text)
    refused(Path("/proc/self/environ").read_text)
    refused(Path(f"/proc/{os.getppid()}/environ").read_text)
    refused(os.listdir, folder)
    refused(song.write_text, "other")
    refused((folder / "new").touch)
    refused(song.unlink)
    refused(os.execv, "/bin/true", ["true"])
    """
    assert said(code, who, open_folder / "song") == ["True"] + ["PermissionError"] * 9
    assert sorted(path.name for path in open_folder.iterdir()) == ["other", "song"]


def test_unlinked_song_is_readable(who: str) -> None:
    code = """
    file = tempfile.TemporaryFile()
    file.write(b"the song")
    file.flush()
    path = Path(f"/proc/self/fd/{file.fileno()}")
    enter_sandbox(memory=1 << 28, seconds=5, reads=[path])
    print(path.read_bytes() == b"the song")
    """
    assert said(code, who) == ["True"]


def test_memory_is_limited(who: str) -> None:
    code = """
    enter_sandbox(memory=64 << 20, seconds=5)
    print(len(bytearray(40 << 20)))
    try:
        bytearray(80 << 20)
    except MemoryError:
        print("MemoryError")
    """
    assert said(code, who) == [str(40 << 20), "MemoryError"]


def test_memory_limit_counts_from_current_use(who: str) -> None:
    code = """
    before = bytearray(300 << 20)
    enter_sandbox(memory=64 << 20, seconds=5)
    print(len(bytearray(40 << 20)))
    """
    assert said(code, who) == [str(40 << 20)]


def test_cpu_time_is_limited() -> None:
    assert trying("enter_sandbox(memory=1 << 28, seconds=1)\nwhile True: pass", WHO[-1]).returncode == -signal.SIGXCPU


def test_cpu_time_limit_kills_even_if_the_signal_is_ignored() -> None:
    code = """
    signal.signal(signal.SIGXCPU, signal.SIG_IGN)
    enter_sandbox(memory=1 << 28, seconds=1)
    while True:
        pass
    """
    assert trying(code, WHO[0]).returncode == -signal.SIGKILL


def test_open_files_cannot_be_written(who: str, tmp_path: Path) -> None:
    code = """
    enter_sandbox(memory=1 << 28, seconds=5)
    refused(os.write, int(sys.argv[2]), b"x")
    """
    with (tmp_path / "file").open("wb") as file:
        assert said(code, who, file.fileno(), pass_fds=[file.fileno()]) == ["OSError"]
    assert (tmp_path / "file").read_bytes() == b""


def test_no_core_dumps_privileges_or_higher_limits(who: str) -> None:
    code = """
    enter_sandbox(memory=1 << 28, seconds=5)
    print(resource.getrlimit(resource.RLIMIT_CORE) == (0, 0), ctypes.CDLL(None).prctl(39, 0, 0, 0, 0) == 1)
    for which in (resource.RLIMIT_AS, resource.RLIMIT_CPU, resource.RLIMIT_FSIZE, resource.RLIMIT_CORE):
        try:
            resource.setrlimit(which, (1 << 40, 1 << 40))
            print("raised")
        except ValueError:
            print("kept")
    refused(os.chroot, "/")
    refused(socket.sethostname, "elsewhere")
    refused(os.setuid, 12345)
    """
    found = said(code, who)
    assert found[:8] == ["True", "True", "kept", "kept", "kept", "kept", "PermissionError", "PermissionError"]
    assert found[8] in ("PermissionError", "OSError")  # in a user namespace nobody has that number


def test_signals_to_other_processes_are_denied(who: str, kernel: tuple[bool, int]) -> None:
    if kernel[1] < 6:
        pytest.skip(f"needs Landlock of Linux 6.12: this kernel has version {kernel[1]}")
    code = """
    here, there = os.pipe()
    other = os.fork()  # of the same user, and not confined
    if other == 0:
        os.close(there)
        os.read(here, 1)  # until the other one ends
        os._exit(0)
    enter_sandbox(memory=1 << 28, seconds=5)
    refused(os.kill, other, signal.SIGKILL)
    print(os.waitpid(other, os.WNOHANG))
    """
    assert said(code, who) == ["PermissionError", "(0,", "0)"]
