"""An interpreter of seccomp filters: what a kernel would do with a system call, on any machine."""

from __future__ import annotations

import struct
from collections.abc import Sequence

_LOAD, _AND, _JUMP = 0x20, 0x54, 0x05
_TESTS = {
    0x15: lambda value, operand: value == operand,
    0x25: lambda value, operand: value > operand,
    0x35: lambda value, operand: value >= operand,
    0x45: lambda value, operand: bool(value & operand),
}
_RETURN = 0x06


def verdict(program: bytes, architecture: int, number: int, arguments: Sequence[int] = ()) -> int:
    """The action (SECCOMP_RET_…) of a filter on a system call."""
    words = [*arguments, *[0] * (6 - len(arguments))]
    data = struct.pack("<IIQ6Q", number & 0xFFFFFFFF, architecture, 0, *words)
    code = list(struct.iter_unpack("=HBBI", program))
    at = accumulator = 0
    while True:
        operation, if_true, if_false, operand = code[at]
        at += 1
        if operation == _LOAD:
            accumulator = struct.unpack_from("<I", data, operand)[0]
        elif operation == _AND:
            accumulator &= operand
        elif operation == _JUMP:
            at += operand
        elif operation == _RETURN:
            return int(operand)
        else:
            at += if_true if _TESTS[operation](accumulator, operand) else if_false
