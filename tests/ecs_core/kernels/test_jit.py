"""Compiled kernels are kept, and used by processes that may write nothing, as in a container."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
MODULE = """
from ecs_core.kernels.jit import kernel

@kernel("i8")
def twice(x):
    return x + x
"""
OTHERS = """
import numba

def others():
    # Made when it is called, as librosa makes such where it first needs one.
    return float(numba.vectorize(["float64(float64)"], cache=True, nopython=True)(_plus_one)(6.0))

def _plus_one(x):
    return x + 1
"""
CALL = """
import json, sys
import a_kernel
found = [a_kernel.twice({argument})]
stats = a_kernel.twice.stats
print(json.dumps([found, sum(stats.cache_hits.values()), sum(stats.cache_misses.values())]))
"""
# Root writes where nobody may, unless it gives that up.
POWERLESS = ("setpriv", "--bounding-set=-dac_override,-dac_read_search", "--inh-caps=-dac_override,-dac_read_search")


def call(folder: Path, argument: str, *before: str) -> list[object]:
    """What a process says that calls a kernel: results, how many were found compiled, how many were not."""
    done = subprocess.run(
        (*before, sys.executable, "-c", CALL.format(argument=argument)),
        cwd=folder,
        env={**os.environ, "PYTHONPATH": f"{folder}:{ROOT}", "NUMBA_CACHE_DIR": str(folder / "cache")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return list(json.loads(done.stdout))


@pytest.mark.skipif(os.environ.get("NUMBA_DISABLE_JIT") == "1", reason="nothing is compiled")
def test_cached_kernel_is_used_from_a_read_only_folder(tmp_path: Path) -> None:
    (tmp_path / "a_kernel.py").write_text(MODULE)
    assert call(tmp_path, "2") == [[4], 0, 1]
    folders = [path for path in (tmp_path / "cache").rglob("*") if path.is_dir()]
    kept = {path: path.read_bytes() for path in (tmp_path / "cache").rglob("*") if path.is_file()}
    assert kept
    before = POWERLESS if os.geteuid() == 0 else ()
    for folder in folders:
        folder.chmod(0o555)
    try:
        probe = (*before, sys.executable, "-c", f"open({str(folders[0] / 'x')!r}, 'w')")
        assert subprocess.run(probe, capture_output=True, check=False).returncode != 0, "it can be written after all"
        assert call(tmp_path, "3", *before) == [[6], 1, 0]
        assert call(tmp_path, "1.5", *before) == [[3.0], 0, 1], "what cannot be kept must be compiled"
        assert {path: path.read_bytes() for path in (tmp_path / "cache").rglob("*") if path.is_file()} == kept
    finally:
        for folder in folders:
            folder.chmod(0o755)


@pytest.mark.skipif(os.environ.get("NUMBA_DISABLE_JIT") == "1", reason="nothing is compiled")
def test_cached_kernel_loads_without_compiler_modules(tmp_path: Path) -> None:
    (tmp_path / "a_kernel.py").write_text(MODULE)
    assert call(tmp_path, "2") == [[4], 0, 1]
    loaded = "[sys.modules.get('numba.np.linalg') is not None, a_kernel.twice(1.5), a_kernel.twice(4)]"
    assert call(tmp_path, f"3), {loaded}, a_kernel.twice(5")[0] == [6, [False, 3.0, 8], 10]


@pytest.mark.skipif(os.environ.get("NUMBA_DISABLE_JIT") == "1", reason="nothing is compiled")
def test_cached_kernel_finds_its_dependencies(tmp_path: Path) -> None:
    (tmp_path / "a_kernel.py").write_text(MODULE + OTHERS)
    call(tmp_path, "2), a_kernel.others(")
    assert call(tmp_path, "2), a_kernel.others(") == [[4, 7.0], 1, 0]
