"""What a sandboxed process cannot do: each case is a process that tries, as root and as nobody.

docs/untrusted-media.md names the test of each of its claims (see test_claims.py).
"""

from __future__ import annotations

import errno
import os
import platform
import signal
import socket
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.waiting import HANG

ROOT = Path(__file__).parents[3]
WHO = ["root", "nobody"] if os.geteuid() == 0 else ["user"]  # only root can become somebody else
BEGIN = """
    import ctypes, fcntl, mmap, os, resource, signal, socket, subprocess, sys, tempfile, threading, time
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
CALL = """
    libc = ctypes.CDLL(None, use_errno=True)
    try:
        numbers = ctypes.CDLL("libseccomp.so.2")
    except OSError:  # of a test without it
        numbers = None

    def call(name, *arguments):
        '''The error of a system call, or 0.'''
        ctypes.set_errno(0)
        libc.syscall(numbers.seccomp_syscall_resolve_name(name.encode()), *map(ctypes.c_long, arguments))
        return ctypes.get_errno()
"""
_KERNEL = """
    # Whether the kernel knows how to refuse a system call: it complains of an address, not of an unknown action.
    print(libc.syscall(numbers.seccomp_syscall_resolve_name(b"seccomp"), 2, 0, ctypes.byref(ctypes.c_uint32(0x50000))))
    print(libc.syscall(444, None, ctypes.c_size_t(0), ctypes.c_uint32(1)))
"""


def trying(
    code: str, who: str, *more: object, prefix: Sequence[str] = (), **options: Any
) -> subprocess.CompletedProcess[str]:
    """What a process says that begins as ``who`` and does this."""
    words = "".join(map(textwrap.dedent, (BEGIN, CALL, code)))
    command = (*prefix, sys.executable, "-c", words, who, *map(str, more))
    return subprocess.run(
        command,
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
        timeout=HANG,
        check=False,
        **options,
    )


def said(code: str, who: str, *more: object, **options: Any) -> list[str]:
    done = trying(code, who, *more, **options)
    assert done.returncode == 0
    return done.stdout.split()


@pytest.fixture(scope="module", params=WHO)
def who(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(scope="module")
def landlock(who: str) -> int:
    """The version of Landlock. These tests need it and seccomp; that a lack is noticed is tested without them."""
    seccomp, version = map(int, said(_KERNEL, who))
    if seccomp != 0 or version < 1:
        pytest.skip(f"this kernel cannot sandbox: seccomp {seccomp}, Landlock {version}")
    return version


@pytest.mark.usefixtures("landlock")
def test_nothing_is_missing_here(who: str) -> None:
    assert said("print(enter_sandbox(memory=1 << 28, seconds=5))", who) == ["()"]


@pytest.mark.usefixtures("landlock")
@pytest.mark.parametrize("missing", ["landlock", "seccomp", "libseccomp"])
def test_what_the_kernel_lacks_is_reported(who: str, missing: str) -> None:
    lesser = (sys.executable, "-m", "tests.services.media.lesser_kernel", missing)
    code = """
    def is_closed(what, *arguments):
        try:
            what(*arguments)
        except PermissionError:
            return True
        return False

    missing = enter_sandbox(memory=1 << 28, seconds=5)
    print(*missing, is_closed(Path("/etc/passwd").read_text), is_closed(os.sched_getaffinity, 0))
    """
    files, calls = missing != "landlock", missing == "landlock"
    assert said(code, who, prefix=lesser) == [missing, str(files), str(calls)]


@pytest.mark.usefixtures("landlock")
def test_without_landlock_files_cannot_be_written(who: str, open_folder: Path) -> None:
    open_folder.chmod(0o777)
    (open_folder / "song").touch(0o666)
    lesser = (sys.executable, "-m", "tests.services.media.lesser_kernel", "landlock")
    code = """
    song, folder = Path(sys.argv[2]), Path(sys.argv[2]).parent
    print(*enter_sandbox(memory=1 << 28, seconds=5))
    for flags in (os.O_RDONLY, os.O_WRONLY, os.O_RDWR, os.O_TRUNC, os.O_APPEND | os.O_RDWR):
        refused(os.open, song, flags)
    refused(os.open, folder / "new", os.O_CREAT)
    refused(os.open, folder, os.O_TMPFILE)
    refused(song.unlink)
    refused(song.rename, folder / "other")
    refused(song.chmod, 0o777)
    """
    assert said(code, who, open_folder / "song", prefix=lesser) == ["landlock", "done"] + ["PermissionError"] * 9


def test_threads_would_escape(who: str) -> None:
    code = """
    threading.Thread(target=time.sleep, args=(600,), daemon=True).start()
    enter_sandbox(memory=1 << 28, seconds=5)
    """
    done = trying(code, who, stderr=subprocess.PIPE)
    assert "RuntimeError: a process with several threads cannot enter the sandbox" in done.stderr


def test_without_seccomp_landlock_still_blocks_tcp(who: str, landlock: int) -> None:
    if landlock < 4:
        pytest.skip(f"needs Landlock of Linux 6.7: this kernel has version {landlock}")
    code = """
    from services.media.sandbox import seccomp
    seccomp._LIBRARY = "libnone.so"
    print(*enter_sandbox(memory=1 << 28, seconds=5))
    refused(socket.create_connection, ("127.0.0.1", int(sys.argv[2])), 2)
    """
    with socket.create_server(("127.0.0.1", 0)) as server:
        assert said(code, who, server.getsockname()[1]) == ["libseccomp", "PermissionError"]


@pytest.mark.usefixtures("landlock")
def test_network_is_unreachable(who: str) -> None:
    code = """
    opened = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    opened.close()
    enter_sandbox(memory=1 << 28, seconds=5)
    refused(socket.create_connection, ("127.0.0.1", int(sys.argv[2])), 2)
    for family, kind in ((2, 1), (2, 2), (2, 3), (10, 1), (10, 2), (1, 1), (16, 3), (17, 3), (40, 1)):
        refused(socket.socket, family, kind)
    refused(socket.socketpair)
    """
    with socket.create_server(("127.0.0.1", 0)) as server:
        assert said(code, who, server.getsockname()[1]) == ["PermissionError"] * 11
        server.settimeout(0)
        with pytest.raises(BlockingIOError):
            server.accept()


DENIED = """
    io_uring_setup io_uring_enter pidfd_getfd pidfd_open pidfd_send_signal bpf perf_event_open userfaultfd keyctl
    add_key request_key mount umount2 pivot_root move_mount open_tree fsopen unshare setns chroot ptrace
    process_vm_readv process_vm_writev process_madvise kcmp capset prctl seccomp personality clone clone3 execve
    execveat kill tkill rt_sigqueueinfo rt_tgsigqueueinfo setpgid setsid setpriority ioprio_set sched_setaffinity
    sched_setscheduler sched_setattr sched_setparam sched_getaffinity migrate_pages move_pages mbind set_mempolicy
    shmget shmat msgget semget mq_open memfd_create pipe2 eventfd2 epoll_create1 timerfd_create timer_create
    inotify_init1 fanotify_init signalfd4 socket socketpair connect bind accept4 sendto sendmsg recvfrom recvmsg
    unlinkat renameat2 linkat symlinkat mkdirat mknodat fchmodat fchownat truncate ftruncate utimensat setxattr
    openat2 open_by_handle_at getdents64 chdir ioctl dup3 setrlimit setuid setgroups setresuid sethostname reboot
    swapon init_module kexec_load syslog acct quotactl settimeofday clock_settime adjtimex pkey_mprotect mlock
    mlockall vmsplice splice tee sendfile copy_file_range landlock_restrict_self nanosleep clock_nanosleep poll
    ppoll select pselect6 alarm setitimer wait4 waitid
"""


@pytest.mark.usefixtures("landlock")
def test_other_system_calls_are_denied(who: str) -> None:
    code = """
    enter_sandbox(memory=1 << 28, seconds=5)
    # Invalid arguments: should a call be allowed, it does no harm, and fails with another error.
    print(*(call(name, -1, -1, -1, -1, -1, -1) for name in sys.argv[2:]))
    """
    names = DENIED.split()
    errors = map(int, said(code, who, *names))
    unknown = {"poll", "alarm", "select"} if platform.machine() == "aarch64" else set()  # older calls
    assert {name: error for name, error in zip(names, errors, strict=True) if error != errno.EPERM}.keys() <= unknown


@pytest.mark.usefixtures("landlock")
def test_calls_through_another_interface_end_the_process(who: str) -> None:
    if platform.machine() != "x86_64":
        pytest.skip("only x86_64 has others")
    x32 = "libc.syscall(0x40000000 | 39)"
    # mov eax, 20 (getpid of i386); int 0x80; ret
    i386 = "ctypes.CFUNCTYPE(ctypes.c_int)(address)()"
    code = """
    page = mmap.mmap(-1, 4096, prot=7)
    page.write(bytes.fromhex("b814000000cd80c3"))
    address = ctypes.addressof(ctypes.c_char.from_buffer(page))
    enter_sandbox(memory=1 << 28, seconds=5)
    """
    for foreign in (x32, i386):
        assert trying(code + f"\n    {foreign}", who).returncode == -signal.SIGSYS


@pytest.mark.usefixtures("landlock")
def test_no_process_thread_or_program_can_be_started(who: str) -> None:
    code = """
    enter_sandbox(memory=1 << 28, seconds=5)
    refused(os.fork)
    refused(os.forkpty)
    refused(subprocess.Popen, ["/bin/true"])
    refused(os.execv, "/bin/true", ["true"])
    try:
        threading.Thread(target=print).start()
    except RuntimeError as error:
        print("RuntimeError")
    print(call("clone", 0x100 | 0x11, 0, 0, 0, 0), call("clone3", 0, 0), call("vfork"))
    """
    found = said(code, who)
    assert found[:5] == ["PermissionError", "PermissionError", "PermissionError", "PermissionError", "RuntimeError"]
    assert set(found[5:]) <= {str(errno.EPERM), str(errno.ENOSYS)}


def test_without_seccomp_a_user_still_starts_no_process() -> None:
    code = """
    from services.media.sandbox import seccomp
    seccomp._LIBRARY = "libnone.so"
    enter_sandbox(memory=1 << 28, seconds=5)
    refused(os.fork)
    """
    if WHO[-1] != "nobody":
        pytest.skip("as root: the limit is for a user's processes in all")
    assert said(code, "nobody") == ["BlockingIOError"]


REACH_OUT = """
    attempts = {
        "kill": lambda: os.kill(other, signal.SIGCONT),
        "prlimit": lambda: resource.prlimit(other, resource.RLIMIT_NOFILE, (33, 33)),
        "look at limits": lambda: resource.prlimit(other, resource.RLIMIT_NOFILE),
        "affinity": lambda: os.sched_setaffinity(other, {min(os.sched_getaffinity(other))}),
        "priority": lambda: os.setpriority(os.PRIO_PROCESS, other, 19),  # a user may only go down
        "scheduler": lambda: os.sched_setscheduler(other, os.SCHED_BATCH, os.sched_param(0)),
        "pidfd": lambda: os.close(os.pidfd_open(other)),
        "session": lambda: os.getsid(other),
        "tgkill": lambda: checked(call("tgkill", other, other, signal.SIGCONT)),
        "sigqueue": lambda: checked(call("tkill", other, signal.SIGCONT)),
        "io priority": lambda: checked(call("ioprio_set", 1, other, 3 << 13)),
        "signals of a file": lambda: fcntl.fcntl(0, fcntl.F_SETOWN, other),
        "owner of a file": lambda: fcntl.ioctl(where, 0x8901, other.to_bytes(4, "little")),  # FIOSETOWN
        "memory": lambda: checked(call("process_vm_readv", other, 0, 0, 0, 0, 0)),
    }

    def checked(error):
        if error:
            raise OSError(error, os.strerror(error))

    def succeeded():
        for name, attempt in attempts.items():
            try:
                attempt()
            except (OSError, PermissionError):
                continue
            yield name
"""


@pytest.mark.usefixtures("landlock")
def test_other_processes_cannot_be_reached(who: str) -> None:
    code = f"""
    here, there = os.pipe()
    where = socket.socketpair()[0].detach()
    other = os.fork()  # of the same user, and not sandboxed
    if other == 0:
        os.close(there)
        os.read(here, 1)  # until the other one ends
        os._exit(0)
{REACH_OUT}
    print(len(list(succeeded())) == len(attempts))  # otherwise this test could not fail
    limits, priority = resource.prlimit(other, resource.RLIMIT_NOFILE), os.getpriority(os.PRIO_PROCESS, other)
    enter_sandbox(memory=1 << 28, seconds=5)
    print(*succeeded())
    """
    assert said(code, who) == ["True"]


@pytest.mark.usefixtures("landlock")
def test_no_code_can_be_mapped(who: str) -> None:
    code = """
    page = mmap.mmap(-1, 4096)
    address = ctypes.addressof(ctypes.c_char.from_buffer(page))
    print(call("mprotect", address & ~4095, 4096, 7))
    enter_sandbox(memory=1 << 28, seconds=5)
    print(call("mprotect", address & ~4095, 4096, 5), call("mmap", 0, 4096, 7, 0x22, -1, 0))
    print(call("mprotect", address & ~4095, 4096, 3), call("mmap", 0, 4096, 3, 0x22, -1, 0))
    """
    assert said(code, who) == ["0", "1", "1", "0", "0"]


def test_own_limits_can_be_read_but_not_raised(who: str, landlock: int) -> None:
    code = """
    enter_sandbox(memory=1 << 28, seconds=5)
    print(*resource.getrlimit(resource.RLIMIT_NOFILE))
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (3, 16))
    except ValueError as error:
        print("kept")
    """
    assert said(code, who) == ["16", "16", "kept"]


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """One that anybody may enter; pytest's are for their owner."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


@pytest.mark.usefixtures("landlock")
def test_only_allowed_files_can_be_opened(who: str, open_folder: Path) -> None:
    (open_folder / "song").write_text("the song")
    (open_folder / "other").write_text("canary")
    code = """
    song, folder, parent = Path(sys.argv[2]), Path(sys.argv[2]).parent, os.getppid()
    enter_sandbox(memory=1 << 28, seconds=5, reads=[song])
    print(song.read_text() == "the song")
    refused((folder / "other").read_text)
    refused(Path("/etc/passwd").read_text)
    refused(Path("/proc/self/environ").read_text)
    refused(Path(f"/proc/{parent}/environ").read_text)
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


def test_all_capabilities_are_dropped(who: str) -> None:
    code = """
    status = os.open("/proc/self/status", os.O_RDONLY)
    enter_sandbox(memory=1 << 28, seconds=5)
    print(*(line for line in os.read(status, 1 << 14).decode().split("\\n") if line.startswith(("CapPrm", "CapEff"))))
    """
    assert said(code, who) == ["CapPrm:", "0" * 16, "CapEff:", "0" * 16]


def test_cpu_time_is_limited() -> None:
    code = """
    enter_sandbox(memory=1 << 28, seconds=1)
    while time.process_time() < 20:
        pass
    """
    assert trying(code, WHO[-1]).returncode == -signal.SIGXCPU


def test_cpu_time_limit_kills_even_if_the_signal_is_ignored() -> None:
    code = """
    signal.signal(signal.SIGXCPU, signal.SIG_IGN)
    enter_sandbox(memory=1 << 28, seconds=1)
    while time.process_time() < 20:
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
    print(resource.getrlimit(resource.RLIMIT_CORE) == (0, 0))
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
    assert found == ["True", *["kept"] * 4, *["PermissionError"] * 3]
