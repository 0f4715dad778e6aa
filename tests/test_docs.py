"""The documents are true: code runs, commands parse, links lead somewhere, the table of packages is complete."""

from __future__ import annotations

import ast
import json
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from docs.generate.pages import PAGES, summary
from ecs_core.templates.template import check_template, template_names
from services.cli.demo_song import write_wav
from services.cli.main import build_parser
from services.cli.scene_arguments import scene_from

ROOT = Path(__file__).parent.parent
README, ARCHITECTURE = ROOT / "README.md", ROOT / "ARCHITECTURE.md"
DOCUMENTS = [*sorted(ROOT.glob("*.md")), *sorted(ROOT.glob("docs/**/*.md"))]
GENERATED = {ROOT / "docs" / page for page in PAGES}
SOURCES = sorted(path for part in ("ecs_core", "plugins", "services") for path in ROOT.glob(f"{part}/**/*.py"))

FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
PATH = re.compile(r"`([\w./-]+(?:\.py|\.md|\.toml|/))`")


def fences(document: Path, *languages: str) -> Iterator[str]:
    for language, text in FENCE.findall(document.read_text(encoding="utf-8")):
        if language in languages:
            yield text


def prose(document: Path) -> str:
    return FENCE.sub("", document.read_text(encoding="utf-8"))


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


PYTHON = [
    pytest.param(code, id=f"{name(document)}-{number}")
    for document in DOCUMENTS
    for number, code in enumerate(fences(document, "python"), 1)
]


@pytest.mark.parametrize("code", PYTHON)
def test_python_in_a_document_runs_as_a_script(code: str, tmp_path: Path) -> None:
    write_wav(tmp_path / "song.wav", 2.5)
    (tmp_path / "example.py").write_text(code, encoding="utf-8")

    done = subprocess.run(
        [sys.executable, "-W", "error", "example.py"],
        cwd=tmp_path,
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT), "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    for said in re.findall(r"print\(error\)  # (.*)", code):  # an example that shows an error shows the real one
        assert said in done.stdout
    made = set(re.findall(r'"(\w+\.mp4)"', code))
    assert made <= {path.name for path in tmp_path.iterdir()}


COMMANDS = [
    pytest.param(line.removeprefix("$ "), id=f"{name(document)}-{line.removeprefix('$ ')[:60]}")
    for document in DOCUMENTS
    for block in fences(document, "sh", "console", "bash")
    for line in block.replace("\\\n", " ").splitlines()
    if line.removeprefix("$ ").startswith("motes ") and "$(" not in line
]


@pytest.mark.parametrize("command", COMMANDS)
def test_command_line_in_a_document_is_accepted(command: str) -> None:
    words = shlex.split(re.split(r" [|>] ", command)[0], comments=True)[1:]

    arguments = build_parser().parse_args(words)

    if getattr(arguments, "template", None) is not None:
        assert arguments.template in ("mine.json", *template_names())
    elif "cover" in arguments and not (arguments.config or arguments.cover or arguments.type == "glitter"):
        scene_from(arguments).resolve()


def test_template_in_a_document_is_one() -> None:
    found = [json.loads(text) for text in fences(ROOT / "docs/templates.md", "json")]
    assert [check_template(each).name for each in found if "version" in each] == ["mine"]


def test_commands_named_in_prose_exist() -> None:
    known = set(re.findall(r"^    (\w+)(?: |$)", build_parser().format_help(), re.MULTILINE))
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    for document in DOCUMENTS:
        text = document.read_text(encoding="utf-8")
        assert set(re.findall(r"`motes ([a-z]+)", text)) <= known, name(document)
        assert set(re.findall(r"(?:`|^)make ([a-z-]+)", text, re.MULTILINE)) <= targets, name(document)


@pytest.mark.parametrize("document", DOCUMENTS, ids=name)
def test_links_and_pictures_exist(document: Path) -> None:
    targets = [target for target in LINK.findall(prose(document)) if "://" not in target]
    paths = {target: (document.parent / target.partition("#")[0]).resolve() for target in targets}
    missing = [target for target, path in paths.items() if not path.exists() and path not in GENERATED]
    assert not missing


def test_pictures_are_small() -> None:
    pictures = [path for part in ("docs", "plugins", "examples") for path in ROOT.glob(f"{part}/**/*.webp")]
    assert len(pictures) >= 10
    assert not [name(path) for path in pictures if path.stat().st_size > 400_000]


def test_every_decision_is_listed() -> None:
    index = (ROOT / "docs/adr/README.md").read_text(encoding="utf-8")
    decisions = [path.name for path in sorted((ROOT / "docs/adr").glob("[0-9]*.md"))]
    assert decisions
    assert re.findall(r"\]\((\d{4}-[\w-]+\.md)\)", index) == decisions
    for decision in decisions:
        text = (ROOT / "docs/adr" / decision).read_text(encoding="utf-8")
        assert re.findall(r"^## (.*)", text, re.MULTILINE) == ["Context", "Decision", "Consequences"], decision


# --- ARCHITECTURE.md ---


def section(title: str) -> str:
    found = re.search(rf"^## {title}\n(.*?)(?=^## |\Z)", ARCHITECTURE.read_text(encoding="utf-8"), re.M | re.S)
    assert found, f"ARCHITECTURE.md has no section {title!r}"
    return found[1]


def test_architecture_is_short() -> None:
    assert len(ARCHITECTURE.read_text(encoding="utf-8").splitlines()) <= 160


def test_paths_named_in_the_architecture_exist() -> None:
    named = PATH.findall(prose(ARCHITECTURE))
    assert named
    assert not [path for path in named if "/" in path and not (ROOT / path).exists()]


ROWS = {
    package.strip("`"): [entry.strip("`"), re.findall(r"`(.+?)`", depends), re.findall(r"`(.+?)`", tests)]
    for package, entry, depends, tests in re.findall(
        r"^\| (`\w+(?:/\w+)*/`) \| [^|]+ \| (`\S+`) \| ([^|]+) \| ([^|]+) \|$", section("Packages"), re.MULTILINE
    )
}


def package_of(path: Path) -> str:
    """The package that a module belongs to, as the table has it: two levels deep, but one for plugins."""
    parts = path.relative_to(ROOT).parts
    return "/".join(parts[: 1 if parts[0] == "plugins" or len(parts) == 2 else 2]) + "/"


def test_every_package_has_its_row() -> None:
    assert ROWS.keys() == {package_of(path) for path in SOURCES}


@pytest.mark.parametrize("package", ROWS)
def test_package_rows_are_accurate(package: str) -> None:
    entry, depends, tests = ROWS[package]
    assert (ROOT / package / str(entry)).is_file() or (ROOT / str(entry)).is_file()
    assert not [path for path in tests if not any((ROOT / path).rglob("test_*.py"))]
    imported = {
        package_of(found)
        for path in SOURCES
        if package_of(path) == package
        for module in imported_modules(path)
        if (found := source_of(module)) is not None
    }
    assert set(depends) <= imported


def imported_modules(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def source_of(module: str) -> Path | None:
    """The file or package that an imported name comes from; None if it is not of Motes."""
    path = ROOT / module.replace(".", "/")
    while path != ROOT:
        for each in (path.with_suffix(".py"), path / "__init__.py"):
            if each.is_file():
                return each
        path = path.parent
    return None


@pytest.mark.parametrize("path", SOURCES, ids=name)
def test_every_module_has_a_docstring(path: Path) -> None:
    assert summary(path)


GLOSSARY = re.findall(r"^\| \*\*(.+?)\*\* \| `(.+?)` \| (.+) \|$", section("Glossary"), re.MULTILINE)


@pytest.mark.parametrize(("term", "path"), [(term, path) for terms, path, _ in GLOSSARY for term in terms.split(" / ")])
def test_glossary_terms_are_used_in_the_named_code(term: str, path: str) -> None:
    text = (ROOT / path).read_text(encoding="utf-8")
    assert re.search(term.replace(" ", r"[ _]?"), text, re.IGNORECASE)
    if re.fullmatch(r"[A-Z][a-z]+[A-Z]\w+", term):  # spelt like a class: it is one
        assert re.search(rf"^class {term}\b", text, re.MULTILINE)


# --- what ARCHITECTURE.md says is absent ---


def imports(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module.partition(".")[0])
    return found


def modules_that(says: re.Pattern[str]) -> set[str]:
    return {name(path) for path in SOURCES if says.search(path.read_text(encoding="utf-8"))}


def test_only_the_world_imports_esper() -> None:
    assert {name(path) for path in SOURCES if "esper" in imports(path)} == {"ecs_core/ecs/world.py"}


def test_only_kernels_import_numba_and_none_uses_fastmath() -> None:
    assert {name(path) for path in SOURCES if "numba" in imports(path)} == {"ecs_core/kernels/jit.py"}
    assert not modules_that(re.compile(r"fastmath\s*="))


def test_no_generator_is_made_outside_rng() -> None:
    """Exceptions: the demo song makes noise, its cover has grain, and the test kit disturbs the global generators."""
    made = modules_that(re.compile(r"random\.(?:Generator\(|Philox\(|default_rng|seed\(|rand)|^import random", re.M))
    noise = {"ecs_core/testing/surroundings.py", "services/cli/demo_song.py"}
    assert made == {"ecs_core/ecs/rng.py", *noise}


def test_plugins_and_services_are_namespace_packages() -> None:
    assert not (ROOT / "plugins/__init__.py").exists()
    assert not (ROOT / "services/__init__.py").exists()


# --- docs/troubleshooting.md ---

TROUBLES = re.findall(
    r"^### .*?`([^`]+)`$", (ROOT / "docs/troubleshooting.md").read_text(encoding="utf-8"), re.MULTILINE
)
SPOKEN = "\n".join(re.sub(r'"\s+f?"', "", path.read_text(encoding="utf-8")) for path in SOURCES)


@pytest.mark.parametrize("message", TROUBLES)
def test_troubleshooting_messages_exist_in_the_code(message: str) -> None:
    words = re.escape(message).replace(r"3\ times", r"(?:3|\{\w+\})\ times")
    assert re.search(words, SPOKEN)


def test_troubleshooting_quotes_messages() -> None:
    assert len(TROUBLES) > 12
