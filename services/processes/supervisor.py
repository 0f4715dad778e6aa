"""The supervisor: everything on one machine. It starts the API, workers and a fork server, and again what dies.

It loads everything once and forks the API and the workers, so that each of them is there at once and they share memory.
The fork server, from which the processes that render come, is another program: it alone loads FFmpeg and kernels, and
never has any secret in its memory.
"""

from __future__ import annotations

import json
import logging
import os
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
from services.processes.program import SIGNALS, Program, close_all_but, forked
from services.settings import ServiceSettings

_MAX_FAILED_STARTS = 4  # an API that ended this often before it ever answered will not
_STOP, _STOP_FORK_SERVER = 7.0, 1.5  # seconds that processes have to stop by themselves; together under 10
_NICE = 10  # what renders gives way to the API
_log = logging.getLogger("motes.serve")


Command = Callable[[Sequence[str]], int]  # runs a command of Motes in this process; returns its exit code


def serve(
    settings: ServiceSettings,
    *,
    workers: int,
    load: Callable[[], None],
    command: Command,
    on_ready: Callable[[str], None],
) -> None:
    """Run everything until SIGINT, SIGTERM or SIGHUP; ``on_ready`` is told the address once the API answers.

    ``load`` loads what the API and workers need, and starts no thread; both are then forked and run a ``command``.

    Raises:
        MotesError: it cannot be started: the port or the data folder is in use, there is no database or no storage, or
            the API ends again and again.
    """
    with ExitStack() as held:
        signals = _Signals(held)
        held.enter_context(locked(settings.data))
        listener = held.enter_context(listen(settings.host, settings.port))
        private = Path(held.enter_context(tempfile.TemporaryDirectory(prefix="motes-")))
        environment = environment_of(settings, private)
        asking, asked = map(held.enter_context, socket.socketpair())
        answers, answering = os.pipe()
        held.callback(os.close, answers)
        held.callback(os.close, answering)
        fork_server = _fork_server(settings, environment, asked)
        api = _api(command, environment, listener, answering)
        others = [api, *(_worker(command, settings, environment, number + 1, asking) for number in range(workers))]
        held.callback(_stop, [fork_server], signals, _STOP_FORK_SERVER)  # last: who gives work back may still need it
        held.callback(_stop, others, signals, _STOP)
        fork_server.start()  # it loads its own beside us
        load()
        _check(command, environment)
        _write_prometheus_targets(settings, workers=workers, listener=listener)
        is_ready = False
        while not signals.stop:
            for program in (*others, fork_server):
                program.check()
                if program.pid is None and program.due <= time.monotonic():
                    program.start()
            if not is_ready and api.failures >= _MAX_FAILED_STARTS:
                raise MotesError(f"the API ended {api.failures} times before it answered; why is said above")
            pauses = [program.due - time.monotonic() for program in (*others, fork_server) if program.pid is None]
            if signals.wait(min(pauses, default=None), answers) and not is_ready:
                is_ready = True
                with suppress(BrokenPipeError):  # nobody reads it
                    on_ready(url_of(listener))
        listener.close()


class _Signals:
    """The signals of this process, as something to wait for."""

    def __init__(self, held: ExitStack) -> None:
        self.stop = False  # whether one of them said so
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
        """Wait for a signal, for that long, or until one of some files can be read, and is; whether it was one."""
        readable, _, _ = select.select([self._reading, *files], [], [], seconds and max(0.0, seconds))
        for file in readable:
            with suppress(BlockingIOError):
                os.read(file, 512)
        return not set(readable).isdisjoint(files)


def environment_of(settings: ServiceSettings, private: Path) -> dict[str, str]:
    """What the API and workers are told. ``private`` is a folder that is there while they run.

    Where ``MOTES_REDIS_URL`` is not set there is no Redis: the queue lies in that folder.
    """
    # The API is given a socket, but whether it asks for keys depends on who may reach that.
    environment = {**os.environ, "MOTES_DATA": str(settings.data.absolute()), "MOTES_HOST": settings.host}
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
    if settings.metrics_port is not None:
        arguments += ["--metrics-port", str(settings.metrics_port + number - 1)]
    return Program(
        f"worker {number}", partial(command, arguments), environment, f"motes worker --name {number}", inherited=(file,)
    )


def _fork_server(settings: ServiceSettings, environment: Mapping[str, str], asked: socket.socket) -> Program:
    file, parent = asked.fileno(), os.getpid()

    def run() -> int:
        os.dup2(file, 0)
        words = fork_server_command(settings.storage, nice=_NICE, parent=parent)
        os.execve(words[0], words, os.environ)

    return Program("fork server", run, fork_server_environment(environment), "motes fork server", inherited=(file,))


def _stop(programs: Sequence[Program], signals: _Signals, seconds: float) -> None:
    """Let them stop by themselves; kill those that do not."""
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
    """Bring the database up to date and try the storage, in a process that needs the memory for a moment only."""
    reading, writing = os.pipe()

    def run() -> int:
        os.dup2(writing, 2)
        close_all_but(())
        os.environ.update(environment)
        return command(("api", "--check"))

    with open(reading, encoding="utf-8", errors="replace") as said:
        try:
            pid = forked(run)
        finally:
            os.close(writing)
        lines = said.read().strip().splitlines()
    if os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) != 0:
        raise MotesError((lines or ["motes api --check failed"])[-1].removeprefix("motes: error: "))


def _write_prometheus_targets(settings: ServiceSettings, *, workers: int, listener: socket.socket) -> None:
    """Write where all processes tell their metrics to ``prometheus.json``, for Prometheus' file_sd_configs."""
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
        raise MotesError(f"cannot write {path}: {error.strerror}; Prometheus would not find the workers") from None
