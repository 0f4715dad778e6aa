"""The documents are true: their code runs, their commands parse, their links lead somewhere, their map is complete."""

from __future__ import annotations

import ast
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from services.cli.demo_song import write_wav
from services.cli.main import build_parser
from services.cli.scene_arguments import scene_from

ROOT = Path(__file__).parent.parent
README, ARCHITECTURE = ROOT / "README.md", ROOT / "ARCHITECTURE.md"
DOCUMENTS = [README, ARCHITECTURE, ROOT / "CHANGELOG.md", *sorted(ROOT.glob("docs/**/*.md"))]
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


def commands() -> list[str]:
    lines = [line for block in fences(README, "sh", "console", "bash") for line in block.splitlines()]
    return [line.removeprefix("$ ") for line in lines if line.removeprefix("$ ").startswith("motes ")]


@pytest.mark.parametrize("command", commands())
def test_command_line_in_the_readme_is_accepted(command: str) -> None:
    words = shlex.split(command, comments=True)[1:]

    arguments = build_parser().parse_args(words[: words.index("|")] if "|" in words else words)

    if "type" in arguments:
        scene_from(arguments).resolve()


def test_commands_named_in_prose_exist() -> None:
    known = set(re.findall(r"^    (\w+) ", build_parser().format_help(), re.MULTILINE))
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    for document in DOCUMENTS:
        text = document.read_text(encoding="utf-8")
        assert set(re.findall(r"`motes ([a-z]+)", text)) <= known, name(document)
        assert set(re.findall(r"(?:`|^)make ([a-z-]+)", text, re.MULTILINE)) <= targets, name(document)


@pytest.mark.parametrize("document", DOCUMENTS, ids=name)
def test_links_and_pictures_lead_somewhere(document: Path) -> None:
    targets = [target for target in LINK.findall(prose(document)) if "://" not in target]
    missing = [target for target in targets if not (document.parent / target.partition("#")[0]).exists()]
    assert not missing


def test_every_decision_is_listed() -> None:
    index = (ROOT / "docs/adr/README.md").read_text(encoding="utf-8")
    decisions = [path.name for path in sorted((ROOT / "docs/adr").glob("[0-9]*.md"))]
    assert decisions
    assert re.findall(r"\]\((\d{4}-[\w-]+\.md)\)", index) == decisions
    for decision in decisions:
        text = (ROOT / "docs/adr" / decision).read_text(encoding="utf-8")
        assert re.findall(r"^## (.*)", text, re.MULTILINE) == ["Context", "Decision", "Consequences"], decision


# --- the map ---


def section(title: str) -> str:
    found = re.search(rf"^## {title}\n(.*?)(?=^## |\Z)", ARCHITECTURE.read_text(encoding="utf-8"), re.M | re.S)
    assert found, f"ARCHITECTURE.md has no section {title!r}"
    return found[1]


def test_paths_named_in_the_architecture_exist() -> None:
    named = PATH.findall(prose(ARCHITECTURE))
    assert named
    missing = [path for path in named if not (ROOT / path).exists() and not (ROOT / "ecs_core" / path).exists()]
    assert not missing


def test_every_module_has_its_line_in_the_map() -> None:
    named = set(PATH.findall(section("Code map")))
    modules = [path for path in SOURCES if path.name != "__init__.py"]
    missing = [name(path) for path in modules if not {name(path), name(path).removeprefix("ecs_core/")} & named]
    assert not missing


GLOSSARY = re.findall(r"^\| \*\*(.+?)\*\* \| `(.+?)` \| (.+) \|$", section("Glossary"), re.MULTILINE)


@pytest.mark.parametrize(("term", "path"), [(term, path) for terms, path, _ in GLOSSARY for term in terms.split(" / ")])
def test_term_of_the_glossary_is_used_in_the_code_where_it_says(term: str, path: str) -> None:
    folder = ROOT if path.startswith("services/") else ROOT / "ecs_core"
    text = (folder / path).read_text(encoding="utf-8")
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


def test_only_world_and_schedule_import_esper() -> None:
    assert {name(path) for path in SOURCES if "esper" in imports(path)} == {
        "ecs_core/ecs/world.py",
        "ecs_core/ecs/schedule.py",
    }


def test_only_kernels_import_numba_and_none_uses_fastmath() -> None:
    assert {name(path) for path in SOURCES if "numba" in imports(path)} == {"ecs_core/kernels/jit.py"}
    assert not modules_that(re.compile(r"fastmath\s*="))


def test_no_generator_is_made_outside_rng() -> None:
    """The demo song and the warm-up make noise to be heard; the kit stirs the generators that nobody may use."""
    made = modules_that(re.compile(r"random\.(?:Generator\(|Philox\(|default_rng|seed\(|rand)|^import random", re.M))
    noise = {"ecs_core/testing/surroundings.py", "ecs_core/warmup.py", "services/cli/demo_song.py"}
    assert made == {"ecs_core/ecs/rng.py", *noise}


def test_plugins_and_services_are_namespace_packages() -> None:
    assert not (ROOT / "plugins/__init__.py").exists()
    assert not (ROOT / "services/__init__.py").exists()
