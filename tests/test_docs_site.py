"""The documentation as a site: it builds without a warning, and no page loads anything from elsewhere."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest

pytest.importorskip("mkdocs", reason="the extra `docs` is not installed")

ROOT = Path(__file__).resolve().parent.parent
# Attributes whose content a browser fetches by itself; a link that a reader follows is none of them.
LOADING = {("a", "ping"), ("form", "action"), ("object", "data"), ("video", "poster")}
ELSEWHERE = re.compile(r"\s*(?:[a-z]+:)?//", re.IGNORECASE)


def build(folder: Path, config: Path = ROOT / "mkdocs.yml") -> subprocess.CompletedProcess[str]:
    """As `make docs` does. Not with --quiet, under which --strict lets every warning pass."""
    return subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "-f", str(config), "--site-dir", str(folder)],
        cwd=ROOT,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    done = build(folder)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


@pytest.mark.parametrize("link", ["nowhere.md", "index.md#nowhere", "#nowhere"])
def test_a_dead_link_fails_the_build(link: str, tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "index.md").write_text(f"# Here\n\n[there]({link})\n", encoding="utf-8")
    config = tmp_path / "mkdocs.yml"
    config.write_text(
        f"INHERIT: {ROOT / 'mkdocs.yml'}\nhooks: []\nextra_css: []\nnav: [index.md]\n", encoding="utf-8"
    )
    done = build(tmp_path / "site", config)
    assert done.returncode != 0
    assert link in done.stdout + done.stderr


class Loads(HTMLParser):
    """What a browser fetches when it shows a page."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        for name, value in attrs:
            fetched = name in ("src", "srcset") or (tag, name) in LOADING
            if tag == "link" and name == "href":
                fetched = given.get("rel") != "canonical"
            if value and (fetched or (name == "style" and "url(" in value)):
                self.found.append(value)


def loads(html: str) -> list[str]:
    parser = Loads()
    parser.feed(html)
    return parser.found


def test_a_load_from_elsewhere_is_found() -> None:
    html = (
        '<link rel="canonical" href="https://a.org"><link rel="stylesheet" href="https://b.org/x.css">'
        '<script src="//c.org/x.js"></script><a href="https://d.org">d</a><img src="here.png">'
    )
    assert loads(html) == ["https://b.org/x.css", "//c.org/x.js", "here.png"]
    assert [bool(ELSEWHERE.match(url)) for url in loads(html)] == [True, True, False]


def test_no_page_loads_anything_from_elsewhere(site: Path) -> None:
    pages = sorted(site.rglob("*.html"))
    assert len(pages) > 12
    found = {
        page.name: [url for url in loads(page.read_text("utf-8")) if ELSEWHERE.match(url)] for page in pages
    }
    assert {name: urls for name, urls in found.items() if urls} == {}
    for sheet in site.rglob("*.css"):
        urls = re.findall(r"(?:url\(|@import\s+)[\"']?([^\"')\s]+)", sheet.read_text("utf-8"))
        assert [url for url in urls if ELSEWHERE.match(url)] == [], sheet.name


def test_what_a_page_loads_is_there(site: Path) -> None:
    for page in site.rglob("*.html"):
        if page.name == "404.html":  # its paths are those of a server's root
            continue
        for url in loads(page.read_text("utf-8")):
            if not url.startswith(("data:", "#")):
                assert (page.parent / url.partition("#")[0].partition("?")[0]).exists(), (page.name, url)


def test_every_page_of_the_documentation_is_there(site: Path) -> None:
    for source in (ROOT / "docs").rglob("*.md"):
        assert (site / source.relative_to(ROOT / "docs")).with_suffix(".html").exists(), source.name
    for design in (ROOT / "examples" / "designs").glob("*/README.md"):
        page = site / "designs" / f"{design.parent.name}.html"
        assert page.exists()
        assert f'href="designs/{page.name}"' in (site / "designs.html").read_text("utf-8")


def test_files_that_pages_link_are_copied(site: Path) -> None:
    for page in site.rglob("*.html"):
        for name in re.findall(r'<a href="([^":#]*files/[^"#]*)', page.read_text("utf-8")):
            assert (page.parent / name).is_file(), (page.name, name)


def test_blocks_of_files_bear_their_names(site: Path) -> None:
    text = (site / "extending.html").read_text("utf-8")
    assert '<span class="filename">judge.py</span>' in text
    assert "<!-- blocks" not in text
