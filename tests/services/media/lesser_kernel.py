"""``python -m tests.services.media.lesser_kernel MISSING COMMAND …``: a command on a kernel that lacks something.

MISSING is landlock or seccomp: their system calls fail with ENOSYS, as they do on an old kernel. Or it is libseccomp:
what the dynamic linker finds by this name is no library.
"""

from __future__ import annotations

import ctypes
import errno
import os
import sys
import tempfile
from pathlib import Path

_ALLOW, _NOT_THERE = 0x7FFF0000, 0x00050000 | errno.ENOSYS
_PR_SET_SECCOMP = 22
_CALLS = {"landlock": ["landlock_create_ruleset"], "seccomp": ["seccomp", "prctl"]}


class _Equal(ctypes.Structure):
    _fields_ = (("argument", ctypes.c_uint), ("operator", ctypes.c_int), ("a", ctypes.c_uint64), ("b", ctypes.c_uint64))


def take_away(calls: list[str]) -> None:
    """Let the kernel answer as if it had no such calls; of prctl, only the command that installs a filter."""
    library = ctypes.CDLL("libseccomp.so.2")
    library.seccomp_init.restype = ctypes.c_void_p
    built = ctypes.c_void_p(library.seccomp_init(ctypes.c_uint32(_ALLOW)))
    command = (_Equal * 1)(_Equal(0, 4, _PR_SET_SECCOMP, 0))
    for call in calls:
        number = library.seccomp_syscall_resolve_name(call.encode())
        arguments = (1, command) if call == "prctl" else (0, None)
        assert library.seccomp_rule_add_array(built, ctypes.c_uint32(_NOT_THERE), number, *arguments) == 0
    assert library.seccomp_load(built) == 0


if __name__ == "__main__":
    missing, *words = sys.argv[1:]
    if missing == "libseccomp":
        folder = Path(tempfile.mkdtemp())
        folder.chmod(0o755)
        (folder / "libseccomp.so.2").write_text("no library\n")
        os.environ["LD_LIBRARY_PATH"] = str(folder)
    else:
        take_away(_CALLS[missing])
    os.execvp(words[0], words)
