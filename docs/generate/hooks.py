"""Hooks of mkdocs: adds the generated pages, and a copy of every file outside ``docs/`` that a page links to.

Documents link to files of the repository by relative paths, so that links work in a checkout and on a forge. The site
keeps them working: a linked file becomes a page below ``source/``, with its source code if it is not Markdown, and a
linked folder becomes its README or a list of its files.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

from docs.generate.pages import PAGES, ROOT

LINK = re.compile(r"(\]\()([^)\s#]+)((?:#[^)\s]*)?\))")
_PICTURES = {".webp", ".png", ".svg"}
_LANGUAGES = {".py": "python", ".yaml": "yaml", ".yml": "yaml", ".toml": "toml", ".sh": "sh", ".json": "json"}
_homes: dict[str, str] = {}  # the page of the site → the path in the repository that its links are relative to


def on_files(files: Files, *, config: Any) -> Files:
    """Add what is generated and what is linked."""
    texts: dict[str, str] = {}
    for file in files.documentation_pages():
        _homes[file.src_uri] = f"docs/{file.src_uri}"
        texts[file.src_uri] = file.content_string
    for uri, page in PAGES.items():
        texts[uri] = page()
        _homes[uri] = f"docs/{uri}"
        files.append(File.generated(config, uri, content=texts[uri]))
    waiting = list(texts)
    while waiting:
        uri = waiting.pop()
        for _, target, _ in LINK.findall(texts[uri]):
            path = _repository_path(uri, target)
            if path is None or path.startswith("docs/") or not (ROOT / path).exists():
                continue  # within the site, or broken: mkdocs reports what is broken
            new = _site_uri(path)
            if new in texts or files.get_file_from_path(new) is not None:
                continue
            if Path(new).suffix in _PICTURES:
                files.append(File.generated(config, new, abs_src_path=str(ROOT / path)))
                continue
            texts[new], _homes[new] = _page_of(ROOT / path), path if path.endswith(".md") else f"{path}/README.md"
            files.append(File.generated(config, new, content=texts[new]))
            waiting.append(new)
    return files


def on_page_markdown(markdown: str, *, page: Any, config: Any, files: Files) -> str:
    """Point links to files of the repository to their pages in the site."""
    uri = page.file.src_uri

    def replaced(match: re.Match[str]) -> str:
        path = _repository_path(uri, match[2])
        if path is None or not ((ROOT / path).exists() or path.removeprefix("docs/") in PAGES):
            return match[0]
        return match[1] + os.path.relpath(_site_uri(path), Path(uri).parent) + match[3]

    return _outside_fences(markdown, lambda text: LINK.sub(replaced, text))


def on_page_content(html: str, *, page: Any, config: Any, files: Files) -> str:
    """Take away the roles of Sphinx from docstrings: the name after them is enough."""
    return re.sub(r":(?:attr|class|func|meth|mod):(?=<code>)", "", html)


def on_post_build(*, config: Any) -> None:
    """Cut the theme off from its CDN, which has Mermaid and a polyfill for old browsers; no page needs either."""
    for script in Path(config.site_dir).glob("assets/javascripts/*.js"):
        text = script.read_text(encoding="utf-8")
        script.write_text(text.replace("https://unpkg.com/", "./not-loaded/"), encoding="utf-8")


def _outside_fences(markdown: str, change: Callable[[str], str]) -> str:
    parts = re.split(r"(^```.*?^```)", markdown, flags=re.MULTILINE | re.DOTALL)
    return "".join(part if part.startswith("```") else change(part) for part in parts)


def _repository_path(uri: str, target: str) -> str | None:
    """The path in the repository that a link of a page leads to; None if it leads out of it."""
    if "://" in target or target.startswith(("mailto:", "/")):
        return None
    path = os.path.normpath(os.path.join(os.path.dirname(_homes[uri]), target))
    return None if path.startswith("..") else path


def _site_uri(path: str) -> str:
    if path.startswith("docs/"):
        return path.removeprefix("docs/")
    if (ROOT / path).is_dir():
        return f"source/{path}/README.md"
    return f"source/{path}" if Path(path).suffix in {".md", *_PICTURES} else f"source/{path}.md"


def _page_of(path: Path) -> str:
    if path.is_dir():
        if (path / "README.md").exists():
            return (path / "README.md").read_text(encoding="utf-8")
        names = sorted(
            each.name + "/" * each.is_dir() for each in path.iterdir() if not each.name.startswith(("_", "."))
        )
        return f"# {path.relative_to(ROOT)}/\n\n" + "\n".join(f"- `{name}`" for name in names) + "\n"
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".md":
        return text
    return f"# {path.relative_to(ROOT)}\n\n````{_LANGUAGES.get(path.suffix, 'text')}\n{text}````\n"
