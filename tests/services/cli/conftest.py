"""The command line in this process: a fraction of the cost of a new one, the same code."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from services.cli.main import main


@dataclass
class Outcome:
    code: int
    stdout: str
    stderr: str

    @property
    def error(self) -> str:
        """The one line on standard error."""
        lines = self.stderr.splitlines()
        assert len(lines) == 1, self.stderr
        assert lines[0].startswith("motes: error: ")
        assert "Traceback" not in self.stderr
        return lines[0].removeprefix("motes: error: ")


Run = Callable[..., Outcome]


@pytest.fixture
def run(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, own_logging: None) -> Iterator[Run]:
    """Runs a command line; output is captured where FFmpeg and child processes write it, too."""
    monkeypatch.setattr(sys, "unraisablehook", sys.unraisablehook)  # a command sets its own
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def run(*arguments: str | Path) -> Outcome:
        capfd.readouterr()
        try:
            code = main([str(argument) for argument in arguments])
        except SystemExit as exit:
            code = int(exit.code or 0)
        out, err = capfd.readouterr()
        return Outcome(code, out, err)

    yield run
    for number, handler in before.items():
        signal.signal(number, handler)
