"""Decoding: an untrusted file, and the sandboxed process that decodes it; run_sandboxed() for short answers."""

from __future__ import annotations

import asyncio
import io
import json
import select
import signal
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from typing_extensions import Buffer

from ecs_core.errors import AudioError, MotesError
from ecs_core.heartbeat import beat
from services.media.decoding_limits import CPU_LIMIT, MEMORY_LIMIT
from services.media.sandbox.decoding_processes import DecodingProcess, DecodingServer, decoding_server
from services.media.sandbox.messages import MAX_TEXT, ProtocolError, Text, read_message
from services.processes.process_activity import cpu_seconds

_TIMEOUT = 300.0  # seconds to wait for the next message
_LOOK_EVERY = 1.0  # seconds between looks at whether it works, while it sends nothing
_EXIT_TIMEOUT = 10.0  # seconds from the end of the messages to the end of the process
_BUFFER = 1 << 18  # bytes
_DESCRIPTORS = Path("/proc/self/fd")
Line = Annotated[str, Field(max_length=1000, pattern=r"^\P{C}*$")]  # printable: no control characters


class MissingSandboxError(MotesError):
    """What the sandbox needs is missing on this machine, and decoding without is not allowed."""


class Message(BaseModel):
    """Base of the messages that a decoder sends as JSON."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)


class _Confined(Message):
    missing: list[Line]


class _Error(Message):
    error: Line


@dataclass(frozen=True, kw_only=True)
class Decoding:
    """What to decode, and how.

    ``decoder`` is "module:function": a function that takes the path, a Channel and the ``options``. Errors are of type
    ``error`` and call the file ``name``. If ``required``, nothing is decoded where the sandbox lacks something.
    ``memory`` is in bytes beyond what the process starts with, ``seconds`` are of CPU time.
    """

    decoder: str
    path: Path
    name: str
    options: Mapping[str, Any] = field(default_factory=dict)
    error: type[MotesError] = AudioError
    required: bool = True
    memory: int = MEMORY_LIMIT
    seconds: int = CPU_LIMIT
    nice: int = 0

    def order(self) -> bytes:
        """What the decoding server is asked for."""
        order: dict[str, Any] = {"decoder": self.decoder, "path": str(self.path_there), "options": dict(self.options)}
        order |= {"memory": self.memory, "seconds": self.seconds, "nice": self.nice, "required": self.required}
        return json.dumps(order).encode()

    @property
    def unlinked(self) -> int | None:
        """The descriptor of a file that has no other name; the process has it as its standard input."""
        return int(self.path.name) if self.path.parent == _DESCRIPTORS else None

    @property
    def path_there(self) -> Path:
        """The file's path in the process."""
        return self.path if self.unlinked is None else _DESCRIPTORS / "0"

    def shown(self, text: str) -> str:
        """A text of the decoder, with the file's name instead of its path."""
        return text.replace(str(self.path_there), self.name)

    def begin(self, message: Text | bytes) -> list[str]:
        """What the sandbox lacks, by the first message.

        Raises:
            MissingSandboxError: it must not lack anything, so nothing is decoded.
        """
        # The process sends this before it reads the file.
        missing = _Confined.model_validate_json(message.json if isinstance(message, Text) else message).missing
        if missing and self.required:
            raise MissingSandboxError(
                f"{self.name}: is not decoded, as this machine cannot sandbox the decoder: it lacks "
                f"{' and '.join(missing)}; install it, or set MOTES_SANDBOX=best-effort to decode all the same"
            )
        return missing

    def check(self, message: Text | bytes) -> Text | bytes:
        """A further message.

        Raises:
            MotesError: it is an error.
        """
        if isinstance(message, bytes) or not message.json.startswith(b'{"error":'):
            return message
        try:
            text = _Error.model_validate_json(message.json).error
        except ValidationError:
            raise self.protocol_error() from None
        raise self.error(self.shown(text))

    def protocol_error(self) -> MotesError:
        """The error if the decoder sent something that it may not send."""
        return self.error(f"{self.name}: the decoder sent invalid data; is the file damaged?")

    def exit_error(self, code: int) -> Exception:
        """The error that the process's exit code stands for."""
        if code == -signal.SIGKILL:  # by the kernel's OOM killer or an operator; not known to be the file's fault
            return ConnectionResetError(f"the decoder of {self.name} was killed")
        if code == -signal.SIGXCPU:
            return self.error(f"{self.name}: takes more than {self.seconds} s of CPU time to decode")
        why = f" ({signal.Signals(-code).name})" if code < 0 and -code in set(signal.Signals) else ""
        return self.error(f"{self.name}: the decoder crashed{why}; is the file damaged?")


class _Answers(io.RawIOBase):
    """What a decoder sends. While it only computes, its work is ours: each second of it is a heartbeat."""

    def __init__(self, process: DecodingProcess) -> None:
        self._process, self._spent = process, 0.0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Buffer) -> int:
        waited = 0.0
        while not select.select([self._process.answers], [], [], min(_LOOK_EVERY, _TIMEOUT))[0]:
            waited += _LOOK_EVERY
            if waited >= _TIMEOUT:
                raise TimeoutError
            spent = cpu_seconds(self._process.known_pid())
            if spent > self._spent:
                self._spent = spent
                beat()
        return self._process.answers.recv_into(buffer)


class SandboxedDecoder:
    """Messages of a process that decodes a file. Blocking; a context manager; the process ends with it.

    Raises:
        ConnectionResetError: the process cannot be started; a retry may succeed.
    """

    def __init__(self, decoding: Decoding) -> None:
        self._decoding = decoding
        self._process = decoding_server().fork(decoding.order(), decoding.unlinked)
        self._stream = io.BufferedReader(_Answers(self._process), _BUFFER)
        self._begun = False

    @property
    def pid(self) -> int:
        """The pid of the process."""
        return self._process.pid

    def receive(self, *, max_bytes: int = 0) -> Text | bytes:
        """The next message; bytes of up to ``max_bytes``.

        Raises:
            MotesError: the file cannot be decoded, or decoding it crashes, takes too long or sends nonsense.
            MissingSandboxError: this machine cannot sandbox the process, which must be.
            ConnectionResetError: the process was killed from outside; a retry may succeed.
        """
        if not self._begun:
            self._decoding.begin(self._read(0))
            self._begun = True
        return self._decoding.check(self._read(max_bytes))

    def _read(self, max_bytes: int) -> Text | bytes:
        try:
            message = read_message(self._stream.read, max_bytes=max_bytes)
        except TimeoutError:
            raise self._decoding.error(f"{self._decoding.name}: cannot be decoded in reasonable time") from None
        except ProtocolError:
            raise self._decoding.protocol_error() from None
        if message is None:
            with suppress(TimeoutError):
                raise self._decoding.exit_error(self._process.exit_code(_EXIT_TIMEOUT))
            raise self._decoding.protocol_error()  # it closed its end and goes on
        return message

    def kill(self) -> None:
        """Kill the process; whoever waits for a message, in another thread, gets ConnectionResetError."""
        self._process.kill()

    def close(self) -> None:
        """Kill the process."""
        self._process.kill()
        with suppress(TimeoutError):
            self._process.exit_code(_EXIT_TIMEOUT)
        self._stream.close()
        self._process.close()

    def __enter__(self) -> SandboxedDecoder:
        return self

    def __exit__(self, *reason: object) -> None:
        self.close()


async def run_sandboxed(decoding: Decoding, *, max_bytes: int = 0) -> list[Text | bytes]:
    """Decode a file; its messages, with up to ``max_bytes`` bytes in all besides JSON.

    Raises:
        MotesError: the file cannot be decoded, or decoding it crashes, takes too long or sends nonsense.
        MissingSandboxError: this machine cannot sandbox the process, which must be.
        ConnectionResetError: the process was killed from outside; a retry may succeed.
    """
    return (await run_with_report(decoding, max_bytes=max_bytes))[1]


async def run_with_report(
    decoding: Decoding, *, max_bytes: int = 0, server: DecodingServer | None = None
) -> tuple[list[str], list[Text | bytes]]:
    """Like run_sandboxed(); before the messages, what the sandbox lacks. ``server`` is of this process by default."""
    server = server or decoding_server()
    await asyncio.to_thread(server.start)  # waits until the new process has a core
    process = server.fork(decoding.order(), decoding.unlinked)
    process.answers.setblocking(False)
    receive = asyncio.get_running_loop().sock_recv
    sent = bytearray()
    try:
        async with asyncio.timeout(2 * decoding.seconds):
            while more := await receive(process.answers, _BUFFER):
                sent += more
                if len(sent) > max_bytes + MAX_TEXT:
                    raise decoding.protocol_error()
            code = await process.exited()
    except TimeoutError:
        raise decoding.error(f"{decoding.name}: cannot be decoded in {2 * decoding.seconds} s") from None
    finally:
        process.kill()
        with suppress(TimeoutError):
            async with asyncio.timeout(_EXIT_TIMEOUT):
                await process.exited()
        process.close()
    messages: list[Text | bytes] = []
    read = io.BytesIO(sent).read
    try:
        while (message := read_message(read, max_bytes=max_bytes)) is not None:
            messages.append(message)
    except ProtocolError:
        raise decoding.protocol_error() from None
    if not messages:
        raise decoding.exit_error(code)
    missing, checked = decoding.begin(messages[0]), [decoding.check(each) for each in messages[1:]]
    if code != 0:
        raise decoding.exit_error(code)
    return missing, checked
