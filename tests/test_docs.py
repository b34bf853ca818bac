"""What the documentation says is so: generated pages, examples, links, commands, what is printed."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from exc.cli import main
from exc.compiler.folder import plan_folder
from exc.pipeline import compile_spec
from exc.spec.diagnostics import Diagnostics
from exc.spec.profile import load_profile
from tests.compiler.study import load, loaded, plan_of
from tests.docs_blocks import differences
from tests.literate import Case, parse

ROOT = Path(__file__).resolve().parent.parent
README, DOCS = ROOT / "README.md", ROOT / "docs"
QUICKSTART = ROOT / "examples" / "quickstart"
PAGES = [README, *(ROOT / f"{name}.md" for name in ("ARCHITECTURE", "CHANGELOG", "CONTRIBUTING"))]
PAGES += sorted(DOCS.glob("*.md"))

SPEC_CASES = parse(DOCS / "spec.md")
# Examples that change what another one says, so that they cannot all be one spec.
VARIANTS = ("Schedules", "Accept")


def relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


# --- generated pages ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("page", "tool"),
    [
        ("spec.md", "spec_reference.py --print"),
        ("diagnostics.md", "code_reference.py --print"),
        ("identity.md", "code_reference.py --identity"),
        ("cli.md", "cli_reference.py --print"),
    ],
)
def test_a_generated_page_is_what_its_tool_writes(page: str, tool: str) -> None:
    name, option = tool.split()
    done = subprocess.run(
        [sys.executable, ROOT / "tools" / name, option], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == (DOCS / page).read_text(encoding="utf-8"), f"run: python tools/{name}"


def test_the_graph_in_the_tutorial_is_that_of_the_quickstart() -> None:
    plan = compile_spec(QUICKSTART / "experiment.yaml").plan
    assert plan is not None
    drawn = (DOCS / "images" / "quickstart-graph.svg").read_bytes()
    assert plan_folder(plan)["graph.svg"] == drawn, (
        "copy it from examples/quickstart/plan after `exc compile`"
    )


# --- examples of specs --------------------------------------------------------------------------------------


def merged(base: Any, change: Any) -> Any:
    """Mappings merge key by key; anything else is replaced."""
    if not isinstance(base, dict) or not isinstance(change, dict):
        return change
    return {**base, **{key: merged(base.get(key), value) for key, value in change.items()}}


def whole() -> dict[str, Any]:
    """The examples of docs/spec.md as one spec."""
    spec: dict[str, Any] = {}
    for case in SPEC_CASES:
        for block in case.blocks:
            if block.info == "yaml" and case.name not in VARIANTS:
                spec = merged(spec, loaded(block.text))
    return spec


def test_the_examples_of_the_reference_are_one_spec() -> None:
    assert list(load(whole()).diagnostics) == []
    assert len(plan_of(whole()).jobs) > 50


@pytest.mark.parametrize("case", SPEC_CASES, ids=str)
def test_an_example_of_the_reference_compiles(case: Case, tmp_path: Path) -> None:
    for block in case.blocks:
        if block.file == "profiles.yaml":
            (tmp_path / block.file).write_text(block.text, encoding="utf-8")
            diagnostics = Diagnostics()
            for name in loaded(block.text):
                assert load_profile(name, tmp_path, diagnostics), list(diagnostics)
        else:
            plan_of(merged(whole(), loaded(block.text)))


def snippet() -> Any:
    """The spec that the README shows."""
    case = next(case for case in parse(README) if case.name == "One spec")
    return loaded(case.block("yaml").text)


def test_the_readme_shows_what_the_quickstart_says() -> None:
    quickstart = loaded((QUICKSTART / "experiment.yaml").read_text(encoding="utf-8"))
    assert list(differences(snippet(), quickstart)) == []
    assert list(differences({"seed": 1, "x": 0}, quickstart)) == [
        ".seed is 1, not 0",
        ".x is not there",
    ]


# --- what is shown as printed -------------------------------------------------------------------------------


def test_the_diagnostic_in_the_readme_is_what_is_printed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    case = next(case for case in parse(README) if case.name == "One spec")
    shutil.copytree(QUICKSTART, tmp_path / "q", ignore=shutil.ignore_patterns("plan", "store", "report"))
    spec = tmp_path / "q" / "experiment.yaml"
    text = spec.read_text(encoding="utf-8")
    first = "args: {learning_rate: 5.0e-4"
    assert first in text
    spec.write_text(text.replace(first, "args: {learning_rat: 5.0e-4", 1), encoding="utf-8")
    monkeypatch.chdir(spec.parent)
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setenv("NO_COLOR", "1")
    assert main(["check"]) == 1
    assert capsys.readouterr().err == case.block("text").text + "\n\n1 error\n"


def commands_of(text: str) -> set[str]:
    """Every `exc COMMAND` in code: in a span, or at the start of a line of a block."""
    named = set(re.findall(r"(?:`|^ *|\$ |&& )exc ([a-z]+)", text, re.MULTILINE))
    for line in re.findall(r"^ *exc ((?:[a-z]+ \| )+[a-z]+)", text, re.MULTILINE):
        named.update(line.split(" | "))
    return named


def test_commands_that_are_named_exist(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    there = set(re.findall(r"^    ([a-z]+) ", capsys.readouterr().out, re.MULTILINE))
    assert commands_of("run `exc compiel`\n    exc check | plam   x\n") == {"compiel", "check", "plam"}
    named = {page: commands_of(page.read_text(encoding="utf-8")) for page in PAGES}
    assert named[README] == there
    assert {relative(page): found - there for page, found in named.items() if found - there} == {}


def test_make_targets_that_are_named_exist() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    named = set(re.findall(r"^make ([a-z-]+)", README.read_text(encoding="utf-8"), re.MULTILINE))
    assert {"quickstart", "test"} <= named <= targets


# --- links --------------------------------------------------------------------------------------------------


def anchors(text: str) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", re.sub(r"^```.*?^```$", "", text, flags=re.S | re.M), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def dead_links(page: Path, text: str) -> list[str]:
    """Relative links that lead nowhere."""
    dead = []
    for link in re.findall(r"\]\(([^)\s]+)\)", text):
        name, _, anchor = link.partition("#")
        if re.match(r"[a-z]+:", link):
            continue
        target = page.parent / name if name else page
        if not target.exists() or (
            anchor and anchor not in anchors(text if target == page else target.read_text(encoding="utf-8"))
        ):
            dead.append(link)
    return dead


@pytest.mark.parametrize("page", PAGES, ids=relative)
def test_links_lead_somewhere(page: Path) -> None:
    assert dead_links(page, page.read_text(encoding="utf-8")) == []


def test_a_dead_link_is_found() -> None:
    text = (
        "# One two\n[a](#one-two) [b](#one) [c](nowhere.md) [d](README.md#license) [e](https://example.org)\n"
    )
    assert dead_links(ROOT / "ARCHITECTURE.md", text) == ["#one", "nowhere.md"]


def test_files_that_the_architecture_names_exist() -> None:
    text = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    named = re.findall(r"`((?:spec|compiler|runtime|src|tests|tools|docs|examples)/[^`\s]*)`", text)
    patterns = [pattern for name in named for pattern in expanded(name)]
    assert len(patterns) > 30
    assert [pattern for pattern in patterns if not list(ROOT.glob(pattern.rstrip("/")))] == []


def expanded(name: str) -> list[str]:
    """`a/{b,c}.py` -> `a/b.py`, `a/c.py`."""
    parts = [part.split(",") for part in re.split(r"[{}]", name)]
    return ["".join(choice) for choice in product(*parts)]
