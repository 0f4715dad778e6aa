"""``motes warmup``, and what a first render says while it waits for the compiler."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest

from ecs_core import warmup
from ecs_core.errors import MotesError, SceneError
from ecs_core.kernels.compilation import KERNELS, Compiling
from ecs_core.rendering.progress import Progress
from services.cli.progress_bar import progress_bar


@pytest.fixture
def compiled(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """What is compiled on this machine; compiling takes no time."""
    done: set[str] = set()

    def compile_missing(names: Sequence[str], *, report: Callable[[Compiling], None]) -> float:
        report(Compiling(0, len(names), 7.2))
        report(Compiling(1, len(names), 7.2))
        done.update(names)
        return 6.5

    monkeypatch.setattr(warmup, "missing", lambda names: [name for name in names if name not in done])
    monkeypatch.setattr(warmup, "compile_missing", compile_missing)
    monkeypatch.setattr(warmup, "available_cores", lambda: 4)
    return done


def test_warmup_compiles_everything_and_prints_the_time(compiled: set[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert warmup.main([]) == 0
    assert compiled == set(KERNELS)
    begins, ends = capsys.readouterr().out.splitlines()
    assert begins == "Compiling for this processor, once; about 7 s…"
    assert ends == "compiled in 6.5 s, on 4 cores"


def test_warmup_for_a_type_compiles_only_its_kernels(compiled: set[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert warmup.main(["--type", "enhanced"]) == 0
    assert "tone.develop_band" in compiled
    assert "collision.collide" not in compiled
    capsys.readouterr()
    assert warmup.main(["--type", "enhanced"]) == 0
    assert capsys.readouterr().out == f"all {len(compiled)} kernels are compiled already\n"


def test_warmup_reports_errors(
    compiled: set[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SceneError, match="Invalid particle type: nix"):
        warmup.warm_up("nix")
    monkeypatch.setattr(warmup, "compile_missing", lambda names, report: 0.0)
    with pytest.raises(MotesError, match="set NUMBA_CACHE_DIR"):
        warmup.warm_up()
    assert warmup.main([]) == 2
    assert "NUMBA_CACHE_DIR" in capsys.readouterr().err


def test_first_render_announces_compilation_once(capsys: pytest.CaptureFixture[str]) -> None:
    with progress_bar() as show:
        show(Progress("compiling", 0.0, seconds_left=7.2))
        show(Progress("compiling", 0.5, seconds_left=3.6))
        show(Progress("rendering", 0.5))
    assert capsys.readouterr() == ("", "Compiling for this processor, once; about 7 s…\n")
