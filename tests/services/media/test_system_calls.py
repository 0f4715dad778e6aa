"""The filter of system calls on every kind of machine: its program for the kernel is interpreted here."""

from __future__ import annotations

import ctypes
import errno
import os

import pytest

from services.media.sandbox.seccomp import SystemCallFilter
from services.media.sandbox.system_calls import allowed_system_calls
from tests.services.media.bpf import verdict
from tests.services.media.test_sandbox import DENIED

MACHINES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7, "riscv64": 0xC00000F3}
I386 = 0x40000003
ALLOW, EPERM, KILL = 0x7FFF0000, 0x00050000 | errno.EPERM, 0x80000000
PID = 4711
READ_ONLY, EXECUTE, OTHERS = 0o2000000, 4, 4712  # O_CLOEXEC
library = ctypes.CDLL("libseccomp.so.2")


@pytest.fixture(params=MACHINES)
def machine(request: pytest.FixtureRequest) -> int:
    return MACHINES[request.param]


@pytest.fixture
def program(machine: int) -> bytes:
    return SystemCallFilter(allowed_system_calls(PID), architecture=machine).export()


def number_of(name: str, machine: int) -> int:
    """Negative where the machine has no such call."""
    return int(library.seccomp_syscall_resolve_name_arch(ctypes.c_uint32(machine), name.encode()))


@pytest.mark.parametrize(
    ("name", "arguments", "action"),
    [
        ("read", (), ALLOW),
        ("exit_group", (), ALLOW),
        ("openat", (0, 0, READ_ONLY), ALLOW),
        ("openat", (0, 0, os.O_WRONLY), EPERM),
        ("openat", (0, 0, os.O_RDWR), EPERM),
        ("openat", (0, 0, os.O_CREAT), EPERM),
        ("openat", (0, 0, os.O_TRUNC), EPERM),
        ("openat", (0, 0, os.O_TMPFILE), EPERM),
        ("mmap", (0, 0, 3), ALLOW),
        ("mmap", (0, 0, EXECUTE), EPERM),
        ("mmap", (0, 0, EXECUTE | 1 << 32), EPERM),
        ("mprotect", (0, 0, 3), ALLOW),
        ("mprotect", (0, 0, 1 | EXECUTE), EPERM),
        ("tgkill", (PID, PID, 6), ALLOW),
        ("tgkill", (OTHERS, OTHERS, 6), EPERM),
        ("tgkill", (PID + (1 << 32), PID, 6), EPERM),
        ("prlimit64", (0, 7, 0, 1), ALLOW),
        ("prlimit64", (0, 7, 1, 0), EPERM),
        ("prlimit64", (OTHERS, 7, 0, 1), EPERM),
        ("fcntl", (3, 2, 1), ALLOW),
        ("fcntl", (3, 8, OTHERS), EPERM),
        ("fcntl", (3, 10, 9), EPERM),
        ("futex", (0, 129), ALLOW),
        ("futex", (0, 6), EPERM),
    ],
)
def test_arguments_decide(program: bytes, machine: int, name: str, arguments: tuple[int, ...], action: int) -> None:
    assert verdict(program, machine, number_of(name, machine), arguments) == action


def test_all_else_is_denied_on_every_machine(program: bytes, machine: int) -> None:
    numbers = {name: number for name in DENIED.split() if (number := number_of(name, machine)) >= 0}
    assert len(numbers) > 100
    assert {name for name, number in numbers.items() if verdict(program, machine, number) != EPERM} == set()
    allowed = [number for number in range(1000) if verdict(program, machine, number) == ALLOW]
    assert len(allowed) <= len({rule.name for rule in allowed_system_calls(PID)})


def test_other_interfaces_end_the_process(program: bytes, machine: int) -> None:
    others = {I386, *MACHINES.values()} - {machine}
    assert {verdict(program, other, number) for other in others for number in range(500)} == {KILL}


def test_x32_ends_the_process() -> None:
    machine = MACHINES["x86_64"]
    program = SystemCallFilter(allowed_system_calls(PID), architecture=machine).export()
    assert {verdict(program, machine, 0x40000000 | number) for number in range(600)} == {KILL}
