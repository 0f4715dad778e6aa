"""The documentation site: it builds without a warning, loads nothing from another host, and lists what the code has."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from docs.generate import pages
from services.api import create_app
from services.cli.main import build_parser
from services.cli.service_settings import variable
from services.observability import metrics
from services.settings import ServiceSettings

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, as `make docs` builds it."""
    [recipe] = re.findall(r"^docs:.*\n\t(.*)$", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    folder = tmp_path_factory.mktemp("site")
    variable, *command = [*recipe.replace("$(BIN)/python", sys.executable).split(), "--site-dir", str(folder)]
    built = subprocess.run(
        command,
        cwd=ROOT,
        env={**os.environ, variable.partition("=")[0]: "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert built.returncode == 0, built.stderr
    return folder


def test_no_page_loads_anything_from_another_host(site: Path) -> None:
    html = {path.relative_to(site): path.read_text(encoding="utf-8") for path in site.rglob("*.html")}
    assert len(html) > 50
    loads = re.compile(
        r"""<(?:script|img|iframe|source|video)[^>]*\ssrc=["']?(?:https?:)?//[^>]*>"""
        r"""|<link(?![^>]*rel=["']?canonical)[^>]*\shref=["']?(?:https?:)?//[^>]*>"""
    )
    assert not {path: found for path, text in html.items() if (found := loads.findall(text))}
    css = [path.name for path in site.rglob("*.css") if re.search(r"url\(['\"]?(?:https?:)?//", path.read_text())]
    assert not css
    scripts = "".join(path.read_text(encoding="utf-8") for path in site.rglob("*.js"))
    assert "ResizeObserver" in scripts  # the theme's own script is among them
    assert not re.search(r"https?://[\w.-]*(?:unpkg|jsdelivr|cdnjs|googleapis|gstatic)", scripts)


def test_every_public_name_of_the_library_has_its_signature(site: Path) -> None:
    import ecs_core

    html = (site / "reference/library.html").read_text(encoding="utf-8")
    missing = [name for name, module in ecs_core._HOME.items() if f'id="ecs_core.{module}.{name}"' not in html]
    assert not missing


def test_repository_links_lead_to_their_files(site: Path) -> None:
    assert "httpx" in (site / "source/examples/client.py.html").read_text(encoding="utf-8")
    assert 'href="source/examples/client.py.html"' in (site / "service.html").read_text(encoding="utf-8")


def test_every_setting_is_listed() -> None:
    assert re.findall(r"^\| `(MOTES_\w+)`", pages.settings(), re.M) == list(map(variable, ServiceSettings.model_fields))


def test_every_metric_is_listed() -> None:
    assert re.findall(r"^\| `(motes_\w+)`", pages.metrics(), re.M) == [each.name for each in metrics.catalogue()]


def test_every_route_is_listed() -> None:
    paths = create_app().openapi()["paths"]
    routes = {(method.upper(), path) for path, methods in paths.items() for method in methods}
    page = pages.rest_api()
    assert set(re.findall(r"^### ([A-Z]+) (\S+)$", page, re.M)) == routes
    assert "| 404 | Not Found | `application/problem+json` [Problem](#problem) |" in page


def test_every_command_is_listed() -> None:
    commands = re.findall(r"^    (\w+)(?: |$)", build_parser().format_help(), re.MULTILINE)
    headings = re.findall(r"^### motes (\w+)$", pages.command_line(), re.M)
    assert headings == commands


def test_every_module_is_listed_with_its_docstring() -> None:
    page = pages.modules()
    modules = [path for top in ("ecs_core", "plugins", "services") for path in ROOT.glob(f"{top}/**/*.py")]
    assert len(re.findall(r"^\| `\w+` \| \S", page, re.M)) == len([path for path in modules if path.stem != "__init__"])
