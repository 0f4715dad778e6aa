"""The layout of the repository: few entries at the top of a package, and module names that say which one is meant."""

from __future__ import annotations

import ast
import sys
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).parent.parent
PACKAGES = ("bench", "deploy", "ecs_core", "examples", "plugins", "services", "tests")
AT_MOST = 14  # entries at the top of services/


def modules() -> list[Path]:
    """Every module of the project, relative to its root."""
    found = (path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
    names = (path.relative_to(ROOT) for path in found)
    return sorted(path for path in names if path.stem not in ("__init__", "conftest"))


def test_services_has_few_entries() -> None:
    entries = [path.name for path in (ROOT / "services").iterdir() if path.name != "__pycache__"]
    assert len(entries) <= AT_MOST, sorted(entries)


def test_no_three_modules_share_a_name() -> None:
    places = defaultdict(list)
    for path in modules():
        if path.parts[0] != "plugins":  # plugins all have the same layout: settings, population, systems
            places[path.stem].append(str(path))
    assert not {name: found for name, found in places.items() if len(found) > 2}


def test_no_module_has_the_name_of_a_standard_library_module() -> None:
    assert not [str(path) for path in modules() if path.stem in sys.stdlib_module_names]


CLOCKS = {"time": {"time", "time_ns", "localtime", "ctime"}, "datetime": {"now", "utcnow", "today"}, "date": {"today"}}


def clocks_read(path: Path) -> list[str]:
    """Where a module reads the clock of its process or of another machine, which is none of the database's."""
    found = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        of = node.value if isinstance(node, ast.Attribute) else None
        name = of.id if isinstance(of, ast.Name) else of.attr if isinstance(of, ast.Attribute) else ""
        reads = isinstance(node, ast.Attribute) and node.attr in CLOCKS.get(name, ())
        imported = node.names if isinstance(node, ast.ImportFrom) and node.module == "time" else []
        if reads or any(each.name in CLOCKS["time"] for each in imported):
            found.append(f"{path.relative_to(ROOT)}:{node.lineno}")
    return found


def test_services_go_by_the_clock_of_the_database() -> None:
    """``time.monotonic`` and ``time.perf_counter`` measure; no process knows what time it is but from the database."""
    paths = (ROOT / "services").rglob("*.py")
    assert not [place for path in paths if path.stem != "clock" for place in clocks_read(path)]
    assert len(clocks_read(ROOT / "services/database/clock.py")) == 3  # this sees what it looks for
