"""What `mkdocs` is told beside mkdocs.yml: pages that lie elsewhere in the repository, links that lead there.

The Markdown stays as it reads in the repository. Here a block of a named file gets its name as a title, a
link to another file of the repository leads to its page, or else to a copy of the file, every README of
examples/designs is a page, and comments for the tests are left out.
"""

from __future__ import annotations

import os
import posixpath
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files, InclusionLevel
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parent.parent
DESIGNS = "examples/designs"
# Page of the site -> file of the repository, for those outside of docs/.
ELSEWHERE = {"changelog.md": "CHANGELOG.md", "architecture.md": "ARCHITECTURE.md"}
# Linked files that are no pages lie under this folder of the site, at their own paths.
COPIES = "files"

_FENCE = re.compile(r"^(```+)(\w+) +(\S.*)$", re.MULTILINE)
_BLOCK = re.compile(r"^(```+).*?^\1$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"(!?)\[((?:[^\]\[]|\[[^\]]*\])*)\]\(([^)\s]+)\)")
_COMMENT = re.compile(r"^<!-- .*? -->\n", re.MULTILINE)
_DESIGNS_MARK = "<!-- designs -->"


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Leave out of the navigation what is not there; put the designs in."""
    config.nav = _nav(config.nav)
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages from elsewhere, and copies of what is linked."""
    for uri, path in _elsewhere().items():
        files.append(File.generated(config, uri, content=_text(path)))
    pages = [file.src_uri for file in files if file.is_documentation_page()]
    for target in sorted({target for uri in pages for target in _targets(uri)}):
        if (ROOT / target).is_file() and _uri(target) is None:
            content = (ROOT / target).read_bytes()
            files.append(
                File.generated(
                    config, f"{COPIES}/{target}", content=content, inclusion=InclusionLevel.NOT_IN_NAV
                )
            )
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:  # noqa: ARG001
    """Titles of blocks, links, and the list of designs."""
    uri = page.file.src_uri
    if uri == "designs.md":
        markdown = markdown.replace(_DESIGNS_MARK, "\n".join(_design_list()))

    def change(text: str) -> str:
        return _LINK.sub(lambda link: _link(uri, link), _COMMENT.sub("", text))

    outside = _outside_of_blocks(markdown, change)
    return _FENCE.sub(r'\1\2 title="\3"', outside)


def _nav(entries: list[Any]) -> list[Any]:
    kept: list[Any] = []
    for entry in entries:
        title, target = next(iter(entry.items())) if isinstance(entry, dict) else (None, entry)
        if isinstance(target, list):
            pages = _nav(target)
            if title == "Designs":
                pages += [{_title(path): uri} for uri, path in _designs().items()]
            kept += [{title: pages}] if pages else []
        elif target in _elsewhere() or (ROOT / "docs" / target).exists():
            kept.append(entry)
    return kept


def _designs() -> dict[str, str]:
    """Page -> README of each folder."""
    found = sorted((ROOT / DESIGNS).glob("*/README.md"))
    return {f"designs/{path.parent.name}.md": path.relative_to(ROOT).as_posix() for path in found}


def _elsewhere() -> dict[str, str]:
    return {**ELSEWHERE, **_designs()}


def _design_list() -> Iterator[str]:
    for uri, path in _designs().items():
        yield f"- [{_title(path)}]({uri})"


def _title(path: str) -> str:
    """The first heading."""
    found = re.search(r"^# (.+)$", _text(path), re.MULTILINE)
    return found[1] if found else Path(path).parent.name


def _text(path: str) -> str:
    return (ROOT / path).read_text(encoding="utf-8")


# --- links --------------------------------------------------------------------------------------------------


def _source(uri: str) -> str:
    """The file of the repository that a page is."""
    return _elsewhere().get(uri, f"docs/{uri}")


def _uri(path: str) -> str | None:
    """The page of the site that a file of the repository is, or the file itself where it lies in docs/."""
    if path == "README.md":
        return "index.md"
    for uri, source in _elsewhere().items():
        if path == source:
            return uri
    return path.removeprefix("docs/") if path.startswith("docs/") else None


def _resolved(uri: str, target: str) -> str:
    """A link of a page as a path in the repository; folders by their README, where they have one."""
    path = posixpath.normpath(posixpath.join(posixpath.dirname(_source(uri)), target))
    readme = posixpath.join(path, "README.md")
    return readme if (ROOT / path).is_dir() and (ROOT / readme).exists() else path


def _targets(uri: str) -> Iterator[str]:
    """What a page links in the repository."""
    for link in _LINK.finditer(_BLOCK.sub("", _text(_source(uri)))):
        target = link[3].partition("#")[0]
        if target and not re.match(r"[a-z]+:", target):
            yield _resolved(uri, target)


def _link(uri: str, link: re.Match[str]) -> str:
    """The link as it leads in the site; its text alone where it leads to a bare folder."""
    target, hash_, anchor = link[3].partition("#")
    if not target or re.match(r"[a-z]+:", target):
        return link[0]
    path = _resolved(uri, target)
    page = _uri(path)
    if page is None:
        if (ROOT / path).is_dir():
            return link[2]
        page = f"{COPIES}/{path}"  # a dead one stays dead, and is reported
    anchor = "" if path == "README.md" else hash_ + anchor
    relative = os.path.relpath(page, posixpath.dirname(uri) or ".")
    return f"{link[1]}[{link[2]}]({relative}{anchor})"


def _outside_of_blocks(text: str, change: Callable[[str], str]) -> str:
    parts, last = list[str](), 0
    for block in _BLOCK.finditer(text):
        parts += [change(text[last : block.start()]), block[0]]
        last = block.end()
    return "".join([*parts, change(text[last:])])
