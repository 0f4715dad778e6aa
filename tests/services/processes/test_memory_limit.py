"""How much memory there is: the least of a machine and of all cgroups above a process, of either version."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from services.processes import memory_limit as module
from services.processes.memory_limit import memory_limit, oom_kills, worker_memory

MACHINE = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def group(folder: Path, name: str, limit: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(f"{limit}\n")


def limit(tmp_path: Path, own: str) -> int:
    (tmp_path / "cgroup").write_text(own)
    return memory_limit(groups=tmp_path / "groups", own=tmp_path / "cgroup")


def test_version_2_counts_the_least_of_all_above(tmp_path: Path) -> None:
    groups = tmp_path / "groups"
    group(groups / "a.slice", "memory.max", "500000000")
    group(groups / "a.slice" / "b.service", "memory.max", "max")
    assert limit(tmp_path, "0::/a.slice/b.service\n") == 500_000_000


def test_container_sees_its_own_group_as_the_root(tmp_path: Path) -> None:
    group(tmp_path / "groups", "memory.max", "700000000")
    assert limit(tmp_path, "0::/\n") == 700_000_000


def test_version_1(tmp_path: Path) -> None:
    group(tmp_path / "groups" / "memory" / "docker", "memory.limit_in_bytes", "600000000")
    assert limit(tmp_path, "3:cpu,cpuacct:/docker\n7:memory:/docker\n") == 600_000_000


@pytest.mark.parametrize("own", ["", "0::/\n", "0::/elsewhere\n"])
def test_without_limits_it_is_the_machine(tmp_path: Path, own: str) -> None:
    assert limit(tmp_path, own) == MACHINE
    assert memory_limit(groups=tmp_path, own=tmp_path / "missing") == MACHINE


def test_limits_beyond_the_machine_do_not_count(tmp_path: Path) -> None:
    group(tmp_path / "groups", "memory.max", str(10 * MACHINE))
    assert limit(tmp_path, "0::/\n") == MACHINE


def test_workers_share_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "memory_limit", lambda: 8_000_000_000)
    assert 3 * worker_memory(4) < 4 * worker_memory(4) <= worker_memory(1) < 8_000_000_000
    assert worker_memory(1000) >= 200_000_000


def test_kills_for_lack_of_memory_are_counted_by_the_kernel(tmp_path: Path) -> None:
    (tmp_path / "vmstat").write_text("nr_free_pages 3\noom_kill 7\n")
    assert oom_kills(vmstat=tmp_path / "vmstat") == 7
    assert oom_kills(vmstat=tmp_path / "missing") == 0
