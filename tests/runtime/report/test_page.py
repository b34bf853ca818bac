"""The page holds everything and asks nothing of anybody."""

from __future__ import annotations

import csv
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import pytest

from exc.runtime.report import write_report
from tests.runtime.report.study import Study, whole_study

# Attributes by which a browser loads something without being asked to.
LOADING = {"src", "srcset", "poster", "data", "background", "action"}


class Reader(HTMLParser):
    """Tags with their attributes, and the text outside of style and script."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.words: list[str] = []
        self._style = False
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))
        self._style = tag in ("style", "script")

    def handle_data(self, data: str) -> None:
        if not self._style:
            self.words.append(data)

    def values(self, attribute: str) -> list[str]:
        return [attrs[attribute] for _, attrs in self.tags if attribute in attrs]

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


@pytest.fixture(scope="module")
def html(page: Path) -> str:
    return page.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def read(html: str) -> Reader:
    return Reader(html)


def test_every_cell_has_a_row_and_an_origin(study: Study, read: Reader) -> None:
    ids = read.values("id")
    for number in range(len(study.cells)):
        assert ids.count(f"cell-{number}") == 1
        assert ids.count(f"origin-{number}") == 1


def test_no_id_stands_twice_and_every_anchor_leads_somewhere(read: Reader) -> None:
    ids = read.values("id")
    assert len(ids) == len(set(ids))
    anchors = [href[1:] for href in read.values("href") if href.startswith("#")]
    assert anchors
    assert set(anchors) <= set(ids)


def test_every_number_leads_to_its_artifact(study: Study, page: Path, read: Reader) -> None:
    folders = [href for href in read.values("href") if "artifacts/" in href]
    assert all((page.parent / unquote(href)).is_dir() for href in folders)
    measured = {c["artifact"] for c in study.cells if study.store.ref_path(c["artifact"]).is_dir()}
    assert measured <= {"/".join(href.strip("/").split("/")[-2:]) for href in folders}
    for cell in study.cells:
        assert cell["job"] in read.text


def test_files_beside_the_page_are_there(page: Path, read: Reader) -> None:
    names = [href for href in read.values("href") if href.startswith(("figures/", "tables/", "results"))]
    assert {Path(name).suffix for name in names} == {
        *(".svg", ".png", ".pdf", ".csv", ".json"),
        *(".md", ".tex"),
    }
    assert all((page.parent / name).stat().st_size > 0 for name in names)


def test_a_missing_cell_says_why(read: Reader) -> None:
    assert "6 of 36 cells have no number" in read.text
    assert "failed (out-of-memory): rollout needs 21 GB, the machine has 16 GB" in read.text
    assert "waits for tiny/1200/rl/r1/rl, which is running or was cut off" in read.text
    assert "waits for tiny/1200/rl/r2/rl, not run yet" in read.text


def test_warnings_are_shown_whole(read: Reader) -> None:
    assert "mid-decay" in read.text
    assert "every branch is taken inside the decay" in read.text
    assert "warning[few-replicates]" in read.text
    assert "soup \u2212 base is asked for, but no cells of it are planned" in read.text


def test_no_colour_is_said_by_itself(html: str) -> None:
    said = re.findall(r"(--[\w-]+):([^;}]*)", html)
    assert len(said) > 20
    assert [name for name, value in said if f"var({name})" in value] == []


def test_the_page_loads_nothing(html: str, read: Reader) -> None:
    assert not LOADING & {name for _, attrs in read.tags for name in attrs}
    assert not {tag for tag, _ in read.tags} & {"iframe", "object", "embed", "img", "base"}
    assert [attrs for tag, attrs in read.tags if tag == "script"] == [{}]
    assert [attrs["href"] for tag, attrs in read.tags if tag == "link"] == ["data:,"]
    # The name of SVG's namespace is no address: nothing is loaded from it.
    text = html.replace("http://www.w3.org/2000/svg", "")
    assert not re.search(r"https?://|@import|url\((?!#)|fetch\(|XMLHttpRequest|localStorage|import\(", text)


def test_figures_have_a_text_alternative_and_tables_their_headers(read: Reader) -> None:
    pictures = [attrs for tag, attrs in read.tags if tag == "svg"]
    panels = [attrs for attrs in pictures if attrs.get("role") == "img"]
    assert len(panels) == 2 + 3 + 2 + 2
    assert all("tokens" in attrs["aria-label"] for attrs in panels)
    assert all(attrs.get("aria-hidden") == "true" for attrs in pictures if attrs not in panels)
    assert all(attrs.get("scope") in ("col", "row") for tag, attrs in read.tags if tag == "th")


def test_every_figure_has_its_data(page: Path) -> None:
    with (page.parent / "figures" / "gains-arithmetic-tiny.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    means = [row for row in rows if row["drawn"] == "mean" and row["panel"] == "\u0394 pass@1"]
    assert [(row["series"], row["tokens"]) for row in means] == [
        ("rl \u2212 base", "460800"),
        ("rl \u2212 base", "921600"),
        ("rl \u2212 base", "1843200"),
        ("sft \u2212 base", "460800"),
        ("sft \u2212 base", "921600"),
        ("sft \u2212 base", "1843200"),
        ("sft-rl \u2212 base", "460800"),
        ("sft-rl \u2212 base", "921600"),
        ("sft-rl \u2212 sft", "460800"),
        ("sft-rl \u2212 sft", "921600"),
    ]
    replicates = [row for row in rows if row["drawn"] == "replicate" and row["panel"] == "\u0394 pass@1"]
    assert len(replicates) == 2 * 3
    assert all(float(row["low"]) <= float(row["value"]) <= float(row["high"]) for row in means)
    assert {row["confidence"] for row in means} == {"0.95"}
    assert {row["confidence"] for row in replicates} == {""}


def test_what_was_consumed_is_counted_over_finished_jobs(page: Path) -> None:
    spent = {row["kind"]: row for row in json.loads((page.parent / "results.json").read_bytes())["spent"]}
    assert (spent["grpo"]["num_done"], spent["grpo"]["num_jobs"]) == (9, 12)
    assert spent["grpo"]["flops"] == 9 * 2.5e12
    assert spent["all"]["num_jobs"] == sum(row["num_jobs"] for kind, row in spent.items() if kind != "all")


def contents(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.mark.slow
def test_the_same_inputs_give_the_same_bytes(page: Path, tmp_path: Path) -> None:
    again = whole_study(tmp_path)
    other = write_report(again.plan(), again.root / "store", again.root / "report")
    one, two = contents(page.parent), contents(other.parent)
    assert one.keys() == two.keys()
    assert [name for name in one if one[name] != two[name]] == []


def test_text_from_outside_is_escaped(tmp_path: Path) -> None:
    study = whole_study(tmp_path, steps=(300,))
    study.report |= {"title": "<b>&", "figures": [], "warnings": ["<script>alert(1)</script>"] * 2}
    html = write_report(study.plan(), tmp_path / "store", tmp_path / "report").read_text(encoding="utf-8")
    assert "<title>&lt;b&gt;&amp;</title>" in html
    assert "<script>alert" not in html
    assert html.count("<script") == 1
    assert html.count("&lt;script&gt;alert") == 1  # said of two places, shown once


def test_an_empty_store_gives_a_page_of_reasons(tmp_path: Path) -> None:
    full = whole_study(tmp_path / "full", steps=(300,))
    page = write_report(full.plan(), tmp_path / "nothing", tmp_path / "report")
    text = Reader(page.read_text(encoding="utf-8")).text
    assert "12 of 12 cells have no number" in text
    assert "Nothing to draw yet" in text
    for name in ("gains", "panels", "sharpening", "general"):
        assert f"the figure `{name}` has nothing to draw" in text
    assert not (tmp_path / "nothing").exists()


def test_a_figure_this_version_does_not_draw_is_told(tmp_path: Path) -> None:
    study = whole_study(tmp_path, steps=(300,))
    study.report["figures"] = [{"figure": "losses", "on": {}}]
    page = write_report(study.plan(), tmp_path / "store", tmp_path / "report")
    text = Reader(page.read_text(encoding="utf-8")).text
    assert "the figure `losses` is asked for, which this version does not draw" in text
