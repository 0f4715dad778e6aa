"""The kernel's filter of system calls (seccomp), built by libseccomp, which knows their numbers on each machine.

libseccomp is called through ctypes: it has seven functions that are needed here (ADR 35).
"""

from __future__ import annotations

import ctypes
import errno
import os
from collections.abc import Iterable

from services.media.sandbox.system_calls import Rule

_LIBRARY = "libseccomp.so.2"
_ALLOW, _DENY, _KILL = 0x7FFF0000, 0x00050000 | errno.EPERM, 0x80000000  # SCMP_ACT_…; the last one ends the process
_OWN_ARCHITECTURE = 0  # SCMP_ARCH_NATIVE
_ATTRIBUTE_FOREIGN = 2  # SCMP_FLTATR_ACT_BADARCH
_MASKED_EQUAL = 7  # SCMP_CMP_MASKED_EQ
_UNKNOWN = -1  # __NR_SCMP_ERROR


class MissingError(Exception):
    """Seccomp cannot be used here; the argument says what is missing."""


class _Comparison(ctypes.Structure):
    _fields_ = (
        ("argument", ctypes.c_uint),
        ("operator", ctypes.c_int),
        ("bits", ctypes.c_uint64),
        ("value", ctypes.c_uint64),
    )


class SystemCallFilter:
    """Lets the kernel deny all system calls but those of the ``rules`` with EPERM.

    Calls through another interface than the machine's own (i386 and x32 on x86_64) end the process: only an exploit
    makes any.

    ``architecture`` (SCMP_ARCH_…) is another machine's, to export a filter for it.

    Raises:
        MissingError: "libseccomp" or "seccomp" is missing.
    """

    def __init__(self, rules: Iterable[Rule], *, architecture: int | None = None) -> None:
        self._library = library = _load()
        self._built = built = ctypes.c_void_p(library.seccomp_init(ctypes.c_uint32(_DENY)))
        if architecture is not None and library.seccomp_arch_exist(built, ctypes.c_uint32(architecture)) != 0:
            _check(library.seccomp_arch_add(built, ctypes.c_uint32(architecture)))
            _check(library.seccomp_arch_remove(built, ctypes.c_uint32(_OWN_ARCHITECTURE)))
        _check(library.seccomp_attr_set(built, _ATTRIBUTE_FOREIGN, ctypes.c_uint32(_KILL)))
        for rule in rules:
            number = library.seccomp_syscall_resolve_name(rule.name.encode())
            if number == _UNKNOWN:
                raise ValueError(f"libseccomp knows no system call {rule.name!r}")
            count = len(rule.conditions)
            conditions = (_Comparison * count)(
                *(_Comparison(each.argument, _MASKED_EQUAL, each.bits, each.value) for each in rule.conditions)
            )
            # On a machine that lacks the call nothing is added.
            _check(library.seccomp_rule_add_array(built, ctypes.c_uint32(_ALLOW), number, count, conditions))

    def load(self) -> None:
        """Restrict this thread for good.

        Raises:
            MissingError: "seccomp" is missing.
        """
        if self._library.seccomp_load(self._built) != 0:
            raise MissingError("seccomp")

    def export(self) -> bytes:
        """The filter as the kernel gets it: a program for bpf(4)."""
        file = os.memfd_create("filter")
        try:
            _check(self._library.seccomp_export_bpf(self._built, file))
            return os.pread(file, 1 << 20, 0)
        finally:
            os.close(file)


def _load() -> ctypes.CDLL:
    try:
        library = ctypes.CDLL(_LIBRARY)
    except OSError:
        raise MissingError("libseccomp") from None
    library.seccomp_init.restype = ctypes.c_void_p
    return library


def _check(result: int) -> None:
    if result != 0:
        raise MissingError("seccomp")  # libseccomp asks the kernel what it can do, and refuses the rest
