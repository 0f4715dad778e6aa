"""The supervisor of one machine: starts the API, the workers and a fork server, and restarts any that exits.

It imports everything once, then forks the API and the workers, so they start at once and share memory. The fork server,
which forks the processes that render, is a separate program: only it loads FFmpeg and the kernels, and no secret ever
reaches its memory.
"""

from __future__ import annotations

import json
import logging
import os
import secrets
import select
import signal
import socket
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

from ecs_core.errors import MotesError
from services.processes.data_folder import locked, webhook_secret
from services.processes.fork_server_command import fork_server_command, fork_server_environment
from services.processes.listener import listen, url_of
from services.processes.memory_limit import worker_memory
from services.processes.orphans import adopt_orphans, end_orphans, reap_orphans
from services.processes.program import SIGNALS, Program, close_all_but, forked
from services.settings import ServiceSettings

_MAX_FAILED_STARTS = 4  # give up on an API that exits this often before it first answers
# Seconds that processes have to stop by themselves; less than 10 in total.
_STOP, _STOP_FORK_SERVER, _STOP_ORPHANS = 7.0, 1.5, 1.0
_NICE = 10  # rendering gives way to the API
_log = logging.getLogger("motes.serve")


Command = Callable[[Sequence[str]], int]  # runs a `motes` command in this process; returns its exit code


def serve(
    settings: ServiceSettings,
    *,
    workers: int,
    load: Callable[[], None],
    command: Command,
    on_ready: Callable[[str], None],
) -> None:
    """Run everything until SIGINT, SIGTERM or SIGHUP. Calls ``on_ready`` with the URL once the API answers.

    ``load`` imports what the API and the workers need, without starting a thread. Both are then forked, and run
    ``command``.

    Raises:
        MotesError: the port or the data folder is in use, the database or the storage cannot be used, or the API keeps
            exiting.
    """
    with ExitStack() as held:
        signals = _Signals(held)
        held.enter_context(locked(settings.data))
        listener = held.enter_context(listen(settings.host, settings.port))
        private = Path(held.enter_context(tempfile.TemporaryDirectory(prefix="motes-")))
        environment = environment_of(settings, private, workers=workers)
        asking, asked = map(held.enter_context, socket.socketpair())
        adopt_orphans()  # such as the process that decoders are forked from: when we have ended, nothing is left
        held.callback(end_orphans, _STOP_ORPHANS)
        answers, answering = os.pipe()
        held.callback(os.close, answers)
        held.callback(os.close, answering)
        fork_server = _fork_server(settings, environment, asked)
        api = _api(command, environment, listener, answering)
        others = [api, *(_worker(command, settings, environment, number + 1, asking) for number in range(workers))]
        held.callback(
            _stop, [fork_server], signals, _STOP_FORK_SERVER
        )  # stops last: workers that hand back tasks may still need it
        held.callback(_stop, others, signals, _STOP)
        fork_server.start()  # it imports while we import
        load()
        _check(command, environment)
        _write_prometheus_targets(settings, workers=workers, listener=listener)
        is_ready = False
        while not signals.stop:
            for program in (*others, fork_server):
                program.check()
                if program.pid is None and program.due <= time.monotonic():
                    program.start()
            reap_orphans([program.pid for program in (*others, fork_server)])
            if not is_ready and api.failures >= _MAX_FAILED_STARTS:
                raise MotesError(f"the API exited {api.failures} times before it answered; its errors are above")
            pauses = [program.due - time.monotonic() for program in (*others, fork_server) if program.pid is None]
            if signals.wait(min(pauses, default=None), answers) and not is_ready:
                is_ready = True
                with suppress(BrokenPipeError):  # standard output is closed
                    on_ready(url_of(listener))
        listener.close()


class _Signals:
    """Lets the supervisor wait for signals and files together."""

    def __init__(self, held: ExitStack) -> None:
        self.stop = False  # whether a signal asked the supervisor to stop
        self._reading, writing = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        held.callback(os.close, self._reading)
        held.callback(os.close, writing)
        held.callback(signal.set_wakeup_fd, signal.set_wakeup_fd(writing, warn_on_full_buffer=False))
        for number in SIGNALS:
            if number != signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN:  # as under nohup
                held.callback(signal.signal, number, signal.signal(number, self._caught))

    def _caught(self, number: int, frame: object) -> None:
        self.stop = self.stop or number != signal.SIGCHLD

    def wait(self, seconds: float | None, *files: int) -> bool:
        """Wait for a signal, a readable file or the timeout; drain the files. Returns whether a file was readable."""
        readable, _, _ = select.select([self._reading, *files], [], [], seconds and max(0.0, seconds))
        for file in readable:
            with suppress(BlockingIOError):
                os.read(file, 512)
        return not set(readable).isdisjoint(files)


def environment_of(settings: ServiceSettings, private: Path, *, workers: int = 1) -> dict[str, str]:
    """The environment of the API and the workers. ``private`` is a folder that exists while they run.

    Without ``MOTES_REDIS_URL`` there is no Redis, and the queue is in that folder. Without ``MOTES_WORKER_MEMORY`` so
    many workers share what there is.
    """
    # The API inherits a socket, but whether it requires keys depends on the address that socket listens on.
    environment = {**os.environ, "MOTES_DATA": str(settings.data.absolute()), "MOTES_HOST": settings.host}
    environment.setdefault("MOTES_WORKER_MEMORY", str(worker_memory(workers)))
    environment.setdefault("MOTES_REDIS_URL", f"local://{private}/queue")
    if "MOTES_WEBHOOK_SECRET" not in environment:
        environment["MOTES_WEBHOOK_SECRET"] = webhook_secret(settings.data)
    return environment


def _api(command: Command, environment: Mapping[str, str], listener: socket.socket, answering: int) -> Program:
    files = listener.fileno(), answering
    arguments = ("api", "--fd", str(files[0]), "--ready-fd", str(files[1]))
    title = f"motes api --fd {files[0]}"
    return Program("api", partial(command, arguments), environment, title, inherited=files)


def _worker(
    command: Command, settings: ServiceSettings, environment: Mapping[str, str], number: int, asking: socket.socket
) -> Program:
    file = asking.fileno()
    arguments = ["worker", "--size", "1", "--name", str(number), "--fork-server", str(file)]
    arguments += ["--identity", secrets.token_hex(8)]  # kept when it is restarted, as it is dead by then
    if settings.metrics_port is not None:
        arguments += ["--metrics-port", str(settings.metrics_port + number - 1)]
    return Program(
        f"worker {number}", partial(command, arguments), environment, f"motes worker --name {number}", inherited=(file,)
    )


def _fork_server(settings: ServiceSettings, environment: Mapping[str, str], asked: socket.socket) -> Program:
    file, parent = asked.fileno(), os.getpid()

    def run() -> int:
        os.dup2(file, 0)
        words = fork_server_command(nice=_NICE, parent=parent)
        os.execve(words[0], words, os.environ)

    cleaned = fork_server_environment(environment, storage_url=settings.storage)
    return Program("fork server", run, cleaned, "motes fork server", inherited=(file,))


def _stop(programs: Sequence[Program], signals: _Signals, seconds: float) -> None:
    """Ask them to stop, then kill those that do not in time."""
    for program in programs:
        program.send(signal.SIGTERM)
    end = time.monotonic() + seconds
    while any(program.exit_code() is None and program.pid is not None for program in programs):
        if time.monotonic() > end:
            break
        signals.wait(end - time.monotonic())
    for program in programs:
        if program.pid is not None:
            _log.warning("%s did not stop in %g s: killed", program.name, seconds)
            program.send(signal.SIGKILL)
            os.waitpid(program.pid, 0)
            program.pid = None


def _check(command: Command, environment: Mapping[str, str]) -> None:
    """Migrate the database and try the storage, in a short-lived process, so that its memory is freed."""
    reading, writing = os.pipe()

    def run() -> int:
        os.dup2(writing, 2)
        close_all_but(())
        os.environ.update(environment)
        return command(("api", "--check"))

    with open(reading, encoding="utf-8", errors="replace") as log:
        try:
            pid = forked(run)
        finally:
            os.close(writing)
        lines = log.read().strip().splitlines()
    if os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) != 0:
        raise MotesError((lines or ["motes api --check failed"])[-1].removeprefix("motes: error: "))


def _write_prometheus_targets(settings: ServiceSettings, *, workers: int, listener: socket.socket) -> None:
    """Write the metrics addresses of all processes to ``prometheus.json``, for Prometheus' file_sd_configs."""
    if settings.metrics_port is None:
        return
    api = urlsplit(url_of(listener))
    host = f"[{api.hostname}]" if ":" in (api.hostname or "") else api.hostname
    targets = [{"targets": [api.netloc], "labels": {"process": "api"}}]
    for number in range(workers):
        labels = {"process": "worker", "worker": str(number + 1)}
        targets.append({"targets": [f"{host}:{settings.metrics_port + number}"], "labels": labels})
    path, part = settings.data / "prometheus.json", settings.data / ".prometheus.json.part"
    try:
        part.write_text(json.dumps(targets, indent=1) + "\n")
        part.replace(path)
    except OSError as error:
        raise MotesError(f"cannot write {path}: {error.strerror}; Prometheus could not find the workers") from None
