"""``make setup``: what deploy/environment.py runs, what it prints, and that it fails when a step does."""

from __future__ import annotations

from pathlib import Path

import pytest

from deploy.environment import main

PIP = """\
Collecting numpy==2.4.6
  Downloading numpy-2.4.6-cp311-manylinux.whl (16.9 MB)
Using cached esper-3.9-py3-none-any.whl (14 kB)
Installing collected packages: numpy, esper
Successfully installed esper-3.9 numpy-2.4.6
"""


@pytest.fixture
def environment(tmp_path: Path) -> Path:
    """An environment whose Python notes its arguments, prints what pip would, and fails where a file ``fail`` says."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/pip").touch()
    (tmp_path / "pip.txt").write_text(PIP)
    python = tmp_path / "bin/python"
    python.write_text(
        f'#!/bin/sh\ncd {tmp_path}\necho "$@" >> calls\n'
        'case "$2" in pip) cat pip.txt ;; esac\n'
        'if [ -f fail ]; then case "$*" in *"$(cat fail)"*) exit 3 ;; esac; fi\n'
    )
    python.chmod(0o755)
    (tmp_path / "some.lock").write_text("numpy==2.4.6\nesper==3.9\n")
    return tmp_path


def test_bytecode_is_written_whatever_the_environment_says(environment: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    (environment / "bin/python").write_text(
        f'#!/bin/sh\necho "written${{PYTHONDONTWRITEBYTECODE}}" >> {environment}/calls\n'
    )
    assert main(environment, environment / "some.lock") == 0
    assert set(calls(environment)) == {"written"}


def calls(environment: Path) -> list[str]:
    return (environment / "calls").read_text().splitlines()


def test_setup_installs_compiles_and_reports_large_downloads(
    environment: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(environment, environment / "some.lock") == 0
    assert sorted(call.split()[-1] for call in calls(environment)) == sorted(
        ["numba", str(environment / "some.lock"), ".", "compile_missing()"]
    )
    said = capsys.readouterr().out
    assert "  numpy: 17 MB\n" in said
    assert "esper" not in said
    assert "  unpacking (17 MB downloaded)\n" in said
    assert said.splitlines()[-1].startswith("ready after ")


@pytest.mark.parametrize(("step", "last"), [("numba", "numba"), ("--requirement", "some.lock"), ("--editable", ".")])
def test_failed_installation_ends_setup(
    environment: Path, step: str, last: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (environment / "fail").write_text(step)
    assert main(environment, environment / "some.lock") == 3
    assert [call for call in calls(environment) if "pip" in call][-1].endswith(last)
    assert capsys.readouterr().out.splitlines()[-1].startswith("failed after ")


def test_failed_compilation_fails_setup(environment: Path) -> None:
    (environment / "fail").write_text("compile_missing")
    assert main(environment, environment / "some.lock") == 3
