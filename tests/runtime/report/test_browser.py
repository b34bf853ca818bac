"""A real browser with the page: what a reader sees, clicks, points at, prints; no error, and no request."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

import pytest

from exc.runtime.report import write_report
from tests.runtime.report.browser import BROWSER, Browser
from tests.runtime.report.paper_study import paper_study
from tests.runtime.report.study import Study, matrix_study

pytestmark = [
    pytest.mark.browser,
    pytest.mark.slow,
    pytest.mark.skipif(BROWSER is None, reason="there is no Chromium here"),
]

FIGURES = (
    "gains-arithmetic-tiny",
    "panels-arithmetic-tiny",
    "sharpening-arithmetic-tiny",
    "general-held-out-tiny",
)


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with Browser(tmp_path_factory.mktemp("browser") / "profile") as found:
        yield found


@pytest.fixture
def tab(browser: Browser, page: Path) -> Iterator[Browser]:
    """The report, freshly opened; whatever a test does, the page complains of nothing and loads nothing."""
    browser.system_theme("light")
    browser.events.clear()
    browser.open(page.as_uri())
    yield browser
    assert browser.complaints == []
    assert browser.requests == [page.as_uri()]


def entry(name: str, figure: str = "") -> str:
    """The legend's button of a recipe, under a figure or of all figures."""
    where = f"#figure-{figure} .own" if figure else ".all"
    return f"document.querySelector('{where} .entry[data-name=\"{name}\"]')"


def drawn(tab: Browser, name: str, figure: str) -> bool:
    """Whether anything of a legend's entry is seen in a figure."""
    groups = f"document.querySelectorAll('#figure-{figure} svg [data-key=\"' + key + '\"]')"
    seen = (
        f"(() => {{ const key = {entry(name, figure)}.dataset.key;"
        f" return [...{groups}].some((group) => getComputedStyle(group).display !== 'none'); }})()"
    )
    return bool(tab.run(seen))


def pressed(tab: Browser, name: str, figure: str = "") -> str:
    return str(tab.run(f"{entry(name, figure)}.getAttribute('aria-pressed')"))


def tip(tab: Browser) -> str:
    """The tooltip's text; empty where it is hidden."""
    text = tab.run(
        "(() => { const t = document.getElementById('tip'); return t.hidden ? '' : t.innerText; })()"
    )
    return " ".join(str(text).split())


def names_in(figure: str) -> dict[str, str]:
    """What the recipes are called in a figure's legend: gains sets them against two models."""
    suffix = " \u2212 base" if figure.startswith("gains") else ""
    return {name: name + suffix for name in ("rl", "sft")}


def test_the_page_is_drawn_whole(tab: Browser, tmp_path: Path) -> None:
    tab.picture(tmp_path / "page.png")
    assert (tmp_path / "page.png").stat().st_size > 50_000
    assert tab.run("document.querySelectorAll('.panel svg').length") == 2 + 3 + 2 + 2
    sizes = tab.run(
        "[...document.querySelectorAll('.panel svg')].map((svg) => svg.getBoundingClientRect().width)"
    )
    assert min(sizes) > 300


@pytest.mark.parametrize(("width", "columns"), [(1300, {2, 3}), (390, {1})])
def test_the_page_fits_a_desktop_and_a_phone(tab: Browser, page: Path, width: int, columns: set[int]) -> None:
    tab.events.clear()
    tab.open(page.as_uri(), width)
    assert tab.run("document.documentElement.scrollWidth - document.documentElement.clientWidth") == 0
    found = tab.run(
        "[...document.querySelectorAll('.panels')].map((panels) =>"
        " new Set([...panels.children].map((panel) => panel.getBoundingClientRect().x)).size)"
    )
    assert set(found) == columns


def test_a_recipe_is_switched_off_in_all_figures(tab: Browser) -> None:
    tab.point(entry("rl"), click=True)
    assert pressed(tab, "rl") == "false"
    for figure in FIGURES:
        assert not drawn(tab, names_in(figure)["rl"], figure)
        assert drawn(tab, names_in(figure)["sft"], figure)
        assert pressed(tab, names_in(figure)["rl"], figure) == "false"
    tab.point("document.getElementById('show-all')", click=True)
    assert all(drawn(tab, names_in(figure)["rl"], figure) for figure in FIGURES)
    assert pressed(tab, "rl") == "true"


def test_a_legend_under_a_figure_switches_it_there_alone(tab: Browser) -> None:
    tab.point(entry("sft", FIGURES[1]), click=True)
    assert [drawn(tab, names_in(figure)["sft"], figure) for figure in FIGURES] == [True, False, True, True]
    assert pressed(tab, "sft") == "mixed"
    tab.point(entry("sft"), click=True)  # shown in part: off everywhere comes after on everywhere
    assert pressed(tab, "sft") == "true"


def test_the_legend_obeys_the_keyboard(tab: Browser) -> None:
    tab.run(f"{entry('rl')}.focus()")
    tab.press(" ")
    assert not drawn(tab, "rl", FIGURES[1])
    tab.press("Enter")
    assert drawn(tab, "rl", FIGURES[1])


def mark(figure: str, panel: int, row: int) -> str:
    svg = f"document.querySelectorAll('#figure-{figure} .panel svg')[{panel}]"
    return f"{svg}.querySelector('use[data-r=\"{row}\"]')"


def test_a_point_tells_its_numbers_and_where_they_come_from(tab: Browser, page: Path) -> None:
    with (page.parent / "figures" / "panels-arithmetic-tiny.csv").open(encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["panel"] == "pass@8" and row["drawn"] == "mean"]
    number, row = next(
        (i, row) for i, row in enumerate(rows) if row["recipe"] == "sft" and row["step"] == "600"
    )
    # The table has single replicates of rl between the lines.
    offset = tab.run(
        "[...document.querySelectorAll('#figure-panels-arithmetic-tiny tbody tr')].findIndex((row) =>"
        " row.cells[0].textContent === 'sft' && row.cells[1].textContent === 'tiny/600')"
    )
    assert offset >= number
    assert tip(tab) == ""
    tab.point(mark("panels-arithmetic-tiny", 1, offset))
    low, high = (f"{100 * float(row[end]):.1f}" for end in ("low", "high"))
    said = tip(tab)
    assert f"pass@8 {100 * float(row['value']):.1f}\u2009% 95% [{low}, {high}]".replace("\u2009", " ") in said
    assert "sft tiny, step 600, 921,600 tokens" in said
    assert "n = 200 problems, replicates: 1" in said
    assert row["job"] in said
    assert "Copy" not in said
    tab.send("Input.dispatchMouseEvent", type="mouseMoved", x=5, y=5)
    assert tip(tab) == ""


def test_a_click_pins_the_tooltip_and_its_job_can_be_copied(tab: Browser) -> None:
    tab.send("Browser.grantPermissions", permissions=["clipboardReadWrite", "clipboardSanitizedWrite"])
    tab.point(mark("gains-arithmetic-tiny", 0, 0), click=True)
    tab.send("Input.dispatchMouseEvent", type="mouseMoved", x=5, y=5)
    said = tip(tab)
    assert "replicates: 3 / 1" in said
    assert all(f"tiny/300/rl/r{replicate}/rl.arithmetic.score" in said for replicate in range(3))
    assert "against origin tiny/pretrain/300.arithmetic.score" in said
    tab.point("document.querySelector('#tip .copy')", click=True)
    tab.wait(lambda: "Copied" in tip(tab))
    assert tab.run("navigator.clipboard.readText()") == "tiny/300/rl/r0/rl.arithmetic.score"
    tab.press("Escape")
    assert tip(tab) == ""


def test_points_are_reached_by_keyboard(tab: Browser) -> None:
    tab.run("document.querySelector('#figure-panels-arithmetic-tiny svg[tabindex]').focus()")
    tab.press("ArrowRight")
    assert "base tiny, step 300" in tip(tab)
    tab.press("ArrowRight")
    assert "base tiny, step 600" in tip(tab)
    tab.press("ArrowDown")
    assert "rl tiny, step 600" in tip(tab)
    tab.press("Enter")
    assert "Copy" in tip(tab)
    assert tab.run("document.getElementById('tip').contains(document.activeElement)")
    tab.press("Escape")
    assert tip(tab) == ""
    assert tab.run("document.activeElement.matches('.panel svg')")


def test_what_is_switched_off_is_not_pointed_at(tab: Browser) -> None:
    for name in ("base", "rl", "sft", "sft-rl"):
        tab.run(f"{entry(name)}.click()")
    tab.point(mark("panels-arithmetic-tiny", 1, 0))
    assert tip(tab) == ""


def background(tab: Browser) -> str:
    return str(tab.run("getComputedStyle(document.body).backgroundColor"))


@pytest.mark.parametrize("system", ["light", "dark"])
def test_light_and_dark_follow_the_system_and_the_button(tab: Browser, system: str) -> None:
    shades = {"light": "rgb(255, 255, 255)", "dark": "rgb(13, 17, 23)"}
    other = "dark" if system == "light" else "light"
    tab.system_theme(system)
    line = "getComputedStyle(document.querySelector('.panel .line')).stroke"
    before = tab.run(line)
    assert background(tab) == shades[system]
    tab.point("document.getElementById('dark')", click=True)
    assert background(tab) == shades[other]
    assert (
        tab.run("document.getElementById('dark').getAttribute('aria-pressed')")
        == str(other == "dark").lower()
    )
    assert tab.run(line) != before
    track = "getComputedStyle(document.querySelector('.contrasts .bar')).backgroundImage"
    assert "gradient" in tab.run(track)


def test_nothing_is_kept_when_the_page_is_left(tab: Browser, page: Path) -> None:
    tab.point("document.getElementById('dark')", click=True)
    tab.point(entry("rl"), click=True)
    assert tab.run("localStorage.length + sessionStorage.length") == 0
    assert tab.run("document.cookie") == ""
    tab.events.clear()
    tab.open(page.as_uri())
    assert background(tab) == "rgb(255, 255, 255)"
    assert pressed(tab, "rl") == "true"


def test_figures_are_there_without_script(tab: Browser, page: Path) -> None:
    tab.send("Emulation.setScriptExecutionDisabled", value=True)
    try:
        tab.events.clear()
        tab.open(page.as_uri())
        wide = ".filter((element) => element.getBoundingClientRect().width > 0).length"
        shown = f"[...document.querySelectorAll('SELECTOR')]{wide}"
        assert tab.run(shown.replace("SELECTOR", ".panel svg")) == 9
        assert tab.run(shown.replace("SELECTOR", ".own .entry")) > 9
        assert tab.run(shown.replace("SELECTOR", "button")) == 0
    finally:
        tab.send("Emulation.setScriptExecutionDisabled", value=False)


def test_the_printed_page_is_light_and_whole(tab: Browser) -> None:
    tab.point("document.getElementById('dark')", click=True)
    tab.send("Emulation.setEmulatedMedia", media="print")
    try:
        assert background(tab) == "rgb(255, 255, 255)"
        style = "getComputedStyle(document.querySelector('SELECTOR'))"
        for gone in ("nav", ".everywhere", "details", "#dark"):
            assert tab.run(f"document.querySelector('{gone}').getBoundingClientRect().width") == 0
        assert tab.run(style.replace("SELECTOR", "figure") + ".breakInside") == "avoid"
        after = "getComputedStyle(document.querySelector('.files a'), '::after').content"
        assert "attr(href)" in tab.run(after) or "figures/" in tab.run(after)
    finally:
        tab.send("Emulation.setEmulatedMedia", media="")
    printed = tab.pdf()
    assert printed.startswith(b"%PDF")
    assert printed.count(b"/Type /Page\n") > 2


def test_variants_of_a_recipe_are_one_group(browser: Browser, tmp_path: Path) -> None:
    study: Study = matrix_study(tmp_path)
    page = write_report(study.plan(), study.root / "store", study.root / "report")
    browser.events.clear()
    browser.open(page.as_uri())
    texts = browser.run(
        "[...document.querySelectorAll('.all .group .entry')].map((e) => e.textContent.trim())"
    )
    assert texts == ["lr=1e-06,beta=0", "lr=1e-06,beta=0.1", "lr=3e-06,beta=0", "lr=3e-06,beta=0.1"]
    browser.point("document.querySelector('.all .base')", click=True)
    shown = "[...document.querySelectorAll('#figure-FIGURE svg [data-key]:not(.off)')].length"
    assert browser.run(shown.replace("FIGURE", "gains-arithmetic-tiny")) == 0
    assert browser.run(shown.replace("FIGURE", "panels-arithmetic-tiny")) == 3 * 2  # base: bands and lines
    assert browser.complaints == []
    assert browser.requests == [page.as_uri()]


@pytest.fixture(scope="module")
def paper_page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    study = paper_study(tmp_path_factory.mktemp("paper"), steps=(300, 1200), num_problems=40)
    return write_report(study.plan(), study.root / "store", study.root / "report")


@pytest.fixture
def paper(browser: Browser, paper_page: Path) -> Iterator[Browser]:
    browser.system_theme("light")
    browser.events.clear()
    browser.open(paper_page.as_uri())
    yield browser
    assert browser.complaints == []
    assert browser.requests == [paper_page.as_uri()]


# Where a mark stands, as a value of the axis that the ticks beside it show: a line through two of them.
_VALUE_AT = """(() => {
  const svg = document.querySelectorAll('#figure-FIGURE .panel svg')[0];
  const ticks = [...svg.querySelectorAll('GROUP text')];
  const at = (t) => ({place: +t.getAttribute('PLACE') - SHIFT, value: +t.textContent.replace('\u2212', '-')});
  const [a, b] = [at(ticks[0]), at(ticks[ticks.length - 1])];
  const mark = svg.querySelector('use[data-r="ROW"]');
  return a.value + (b.value - a.value) * (+mark.getAttribute('PLACE') - a.place) / (b.place - a.place);
})()"""


def value_at(tab: Browser, figure: str, row: int, *, up: bool = True) -> float:
    script = _VALUE_AT.replace("FIGURE", figure).replace("ROW", str(row))
    for name, text in (
        ("GROUP", ".up" if up else ".across"),
        ("PLACE", "y" if up else "x"),
        ("SHIFT", "4" if up else "0"),
    ):
        script = script.replace(name, text)
    return float(tab.run(script))


def shown_value(tab: Browser, figure: str, row: int, column: int = 0) -> float:
    """What the table under a figure says of a point."""
    cells = (
        f"document.querySelectorAll('#figure-{figure} table.data tbody tr')[{row}].querySelectorAll('td b')"
    )
    return float(str(tab.run(f"{cells}[{column}].textContent")).replace("\u2212", "-").replace("+", ""))


def ticks(tab: Browser, figure: str, group: str = ".up") -> list[str]:
    svg = f"document.querySelectorAll('#figure-{figure} .panel svg')[0]"
    return list(tab.run(f"[...{svg}.querySelectorAll('{group} text')].map((t) => t.textContent)"))


def test_axes_are_drawn_anew_for_what_is_left(tab: Browser) -> None:
    figure, left = "panels-arithmetic-tiny", "base"
    marks = f"document.querySelectorAll('#figure-{figure} .panel svg use')"
    places = f"[...{marks}].flatMap((use) => [use.x.baseVal.value, use.y.baseVal.value])"
    first = tab.run(places)
    before = ticks(tab, figure)
    assert value_at(tab, figure, 0) == pytest.approx(shown_value(tab, figure, 0), abs=0.2)
    for name in ("rl", "sft", "sft-rl"):
        tab.run(f"{entry(name, figure)}.click()")
    after = ticks(tab, figure)
    assert float(after[-1]) < float(before[-1])
    assert float(after[0]) == 0  # shares start at zero, whatever is shown
    assert value_at(tab, figure, 0) == pytest.approx(shown_value(tab, figure, 0), abs=0.1)
    assert drawn(tab, left, figure)
    tab.run("document.getElementById('show-all').click()")
    assert ticks(tab, figure) == before
    assert tab.run(places) == pytest.approx(first, abs=0.11)
    assert value_at(tab, figure, 0) == pytest.approx(shown_value(tab, figure, 0), abs=0.2)


def test_a_cloud_takes_the_room_that_is_left_both_ways(paper: Browser) -> None:
    figure = "tradeoff-test-general-1B-50B"
    before = ticks(paper, figure, ".across")
    names = paper.run(
        f"[...document.querySelectorAll('#figure-{figure} .own .entry')].map((e) => e.dataset.name)"
    )
    for name in names:
        if name not in ("base", "sft"):
            paper.run(f"{entry(name, figure)}.click()")
    assert ticks(paper, figure, ".across") != before
    row = paper.run(
        f"[...document.querySelectorAll('#figure-{figure} table.data tbody tr')].findIndex((r) =>"
        " r.cells[0].textContent === 'sft')"
    )
    for column, up in ((0, False), (1, True)):
        shown = shown_value(paper, figure, row, column)
        assert value_at(paper, figure, row, up=up) == pytest.approx(shown, abs=0.1)


def test_every_mark_of_every_figure_tells_its_numbers(paper: Browser) -> None:
    """Arrow keys lead to the first marks of each panel; the tooltip has a number for each column it names."""
    panels = paper.run("document.querySelectorAll('.panel svg').length")
    assert panels > 40
    for number in range(0, panels, 3):
        paper.run(f"document.querySelectorAll('.panel svg')[{number}].focus()")
        paper.press("ArrowRight")
        said = tip(paper)
        assert "n = " in said, number
        assert "undefined" not in said
        assert any(letter.isdigit() for letter in said.split("n = ")[0].split("tokens")[-1]), said
        paper.press("Escape")


def test_what_training_logged_leads_to_the_job_that_trained(paper: Browser) -> None:
    paper.run("document.querySelector('#figure-training-reward-1B-50B .panel svg').focus()")
    paper.press("ArrowRight")
    assert "interval" not in tip(paper)
    assert "1B-50B/300/rl/r0/rl and 2 more" in tip(paper)
    paper.press("Enter")
    said = paper.run("[...document.querySelectorAll('#tip code')].map((code) => code.title)")
    assert said[0] == "1B-50B/300/rl/r0/rl"
    assert said[1].startswith("grpo/")
    assert len(said) == 6  # a job and its artifact for each replicate
    paper.press("Escape")


@pytest.mark.parametrize("width", [1300, 390])
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_all_figures_fit_and_no_words_lie_over_each_other(
    browser: Browser, paper_page: Path, width: int, theme: str
) -> None:
    browser.system_theme(theme)
    browser.events.clear()
    browser.open(paper_page.as_uri(), width)
    assert browser.run("document.documentElement.scrollWidth - document.documentElement.clientWidth") == 0
    crossing = browser.run(
        """[...document.querySelectorAll('.panel svg')].flatMap((svg) => {
          const words = [...svg.querySelectorAll('.across text')];
          const boxes = words.map((t) => t.getBoundingClientRect());
          const line = 14 * svg.getBoundingClientRect().width / svg.viewBox.baseVal.width;
          const over = words.some((t) => t.classList.contains('slanted'))
            ? (a, b) => Math.abs(a.right - b.right) < line
            : (a, b) => a.left < b.right && b.left < a.right;
          const pairs = boxes.flatMap((a, i) => boxes.slice(i + 1).filter((b) => over(a, b)));
          return pairs.length ? [svg.closest('figure').id] : [];
        })"""
    )
    assert crossing == []
    assert browser.complaints == []
