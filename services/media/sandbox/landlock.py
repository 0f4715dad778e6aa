"""The kernel's rules for files (Landlock): landlock(7)."""

from __future__ import annotations

import ctypes
import os
import struct
from collections.abc import Sequence
from pathlib import Path

# Its system calls have the same numbers on every architecture.
_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_ASK_VERSION, _PATH_BENEATH = 1, 1
_READ_FILE = 1 << 2
_RIGHTS = {1: 13, 2: 14, 3: 15, 5: 16}  # number of file rights by Landlock version
_TCP, _TCP_SINCE = 0b11, 4  # bind and connect
_SCOPES, _SCOPES_SINCE = 0b11, 6  # abstract Unix sockets, and signals to processes outside
_libc = ctypes.CDLL(None, use_errno=True)


def restrict_files(reads: Sequence[Path]) -> bool:
    """Deny this thread all files but ``reads``; and TCP and signals to other processes, where Landlock knows them.

    Returns whether the kernel can. A path that does not exist is passed over.
    """
    version = _libc.syscall(_CREATE_RULESET, None, ctypes.c_size_t(0), ctypes.c_uint32(_ASK_VERSION))
    if version < 1:
        return False
    rights = max(count for since, count in _RIGHTS.items() if since <= version)
    rules = struct.pack("=Q", (1 << rights) - 1)
    rules += struct.pack("=Q", _TCP) if version >= _TCP_SINCE else b""
    rules += struct.pack("=Q", _SCOPES) if version >= _SCOPES_SINCE else b""
    ruleset = _libc.syscall(_CREATE_RULESET, rules, ctypes.c_size_t(len(rules)), ctypes.c_uint32(0))
    if ruleset < 0:
        return False
    try:
        for path in filter(Path.exists, reads):
            file = os.open(path, os.O_PATH)
            try:
                rule = struct.pack("=Qi", _READ_FILE, file)
                if _libc.syscall(_ADD_RULE, ruleset, _PATH_BENEATH, rule, ctypes.c_uint32(0)) != 0:
                    return False
            finally:
                os.close(file)
        return bool(_libc.syscall(_RESTRICT_SELF, ruleset, ctypes.c_uint32(0)) == 0)
    finally:
        os.close(ruleset)
