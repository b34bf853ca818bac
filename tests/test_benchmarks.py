"""The benchmarks can be imported, and measure what they say; how fast anything is, is not tested."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import pytest

from benchmarks.measure import Command, CommandFailed, Spread, interleaved, ratios, run, spread
from benchmarks.table import Part, figure, part_text, section_text, with_section, write_results

ROOT = Path(__file__).parent.parent


@pytest.mark.parametrize("name", ["run", "machine", "startup", "scale", "per_job", "stage", "workbench"])
def test_modules_import(name: str) -> None:
    assert importlib.import_module(f"benchmarks.{name}")


def test_a_process_is_measured() -> None:
    code = "import time; big = bytearray(80_000_000); time.sleep(0.05); sum(range(10**6)); print('said')"
    sample = run(Command([sys.executable, "-c", code]))
    assert sample.wall >= 0.05
    assert sample.cpu > 0
    assert sample.peak_mb > 80
    assert sample.output == "said\n"


def test_a_command_that_fails_is_not_a_figure() -> None:
    with pytest.raises(CommandFailed, match="ended with 3:\nwhy"):
        run(Command([sys.executable, "-c", "print('why'); raise SystemExit(3)"]))


def test_commands_alternate_after_a_round_that_does_not_count(tmp_path: Path) -> None:
    log = tmp_path / "log"
    commands = {name: Command(["bash", "-c", f"echo {name} >> {log}"]) for name in ("a", "b")}
    samples = interleaved(commands, 2)
    assert log.read_text().split() == ["a", "b", "a", "b", "b", "a"]
    assert [len(runs) for runs in samples.values()] == [2, 2]


def test_preparing_is_not_measured_and_comes_first(tmp_path: Path) -> None:
    made = tmp_path / "made"
    run(Command(["test", "-e", str(made)], prepare=made.touch))
    assert made.exists()


def test_spread_and_ratios() -> None:
    assert spread([4.0, 1.0, 2.0, 3.0, 5.0]) == Spread(3.0, 2.0, 4.0, 1.0, 5.0, 5)
    assert ratios([2.0, 3.0], [1.0, 2.0]) == [2.0, 1.5]
    with pytest.raises(ValueError, match="nothing was measured"):
        spread([])


def test_a_missed_target_is_said() -> None:
    part = Part(
        "Speed",
        "How fast.",
        [figure("slow", spread([2.0]), "s", 1.0), figure("fast", spread([0.5]), "s", 1.0)],
    )
    assert part_text(part).splitlines()[-2:] == [
        "| slow | 2.000 s | 1 run | <= 1 s | not reached |",
        "| fast | 0.500 s | 1 run | <= 1 s | reached |",
    ]


def test_sections_of_other_machines_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "RESULTS.md"
    for machine, about in (("old", "first"), ("new", "second"), ("old", "third")):
        write_results(path, machine, section_text(machine, about, []))
    text = path.read_text()
    assert "first" not in text
    assert text.index("## old\n\nthird") < text.index("## new\n\nsecond")
    assert with_section(text, "new", section_text("new", "second", [])) == text


def test_what_is_imported_is_seen(tmp_path: Path) -> None:
    from benchmarks.startup import imported

    assert imported(["--help"], tmp_path) == []


def test_large_and_trivial_specs_compile(tmp_path: Path) -> None:
    from benchmarks.per_job import write_trivial
    from benchmarks.scale import write_large
    from benchmarks.workbench import STUDY
    from exc.pipeline import compile_spec

    write_trivial(tmp_path / "trivial", 3)
    write_large(tmp_path / "large", 1500)
    kinds: set[str] = set()
    for folder in (tmp_path / "trivial", tmp_path / "large", STUDY):
        compiled = compile_spec(folder / "experiment.yaml", tmp_path / "plan")
        assert compiled.plan is not None, compiled.diagnostics.sorted()
        kinds = {job.kind for job in compiled.plan.jobs}
    assert kinds >= {"pretrain", "rows", "sft", "grpo", "sample", "score"}
