"""Folders of tasks for the harness: what is in them, what they read, and what of it is identity."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from exc.compiler.checks import check
from exc.compiler.compile import compile_plan
from exc.compiler.plan import Plan
from exc.facts import gather
from exc.spec.load import load_text
from exc.spec.profiles import Profile

BASE = (Path(__file__).parent / "spec" / "cases" / "base.yaml").read_text(encoding="utf-8")
TASK = """\
include: common.yaml
task: sums
doc_to_target: !function more.answer
metric_list: [{metric: acc}, {metric: acc_norm}]
"""
COMMON = (
    "dataset_path: json\ndataset_kwargs: {data_files: {test: [sums.jsonl]}}\noutput_type: multiple_choice\n"
)
GROUP = "group: all\ntask: [sums]\naggregate_metric_list: [{metric: acc, weight_by_size: true}]\n"
FILTERED = "task: written\noutput_type: generate_until\nfilter_list: [{name: strict, filter: []}]\n"


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    study = tmp_path / "study"
    (study / "tasks").mkdir(parents=True)
    (study / "docs.txt").write_text("a text", encoding="utf-8")
    row = {"question": "1+1", "answer": "2", "demonstrations": ["2"]}
    (study / "train.jsonl").write_text(json.dumps(row) + "\n", encoding="utf-8")
    (study / "sums.jsonl").write_text("{}\n", encoding="utf-8")
    for name, text in {"sums": TASK, "common": COMMON, "all": GROUP, "written": FILTERED}.items():
        (study / "tasks" / f"{name}.yaml").write_text(text, encoding="utf-8")
    (study / "tasks" / "more.py").write_text("def answer(doc): return doc['a']\n", encoding="utf-8")
    return study


def compiled(root: Path, settings: str) -> tuple[Plan | None, list[str]]:
    text = BASE + f"evaluations:\n  general: {{lm_eval: {{{settings}}}}}\n"
    result = load_text(text, "experiment.yaml")
    assert result.draft is not None
    facts = gather(result.draft, root, result.diagnostics)
    check(result.draft, result.diagnostics, facts)
    found = [f"{d.code} {d.message} {d.hint}" for d in result.diagnostics]
    if result.diagnostics.has_errors or result.experiment is None:
        return None, found
    return compile_plan(result.experiment, facts, Profile()), found


def only_identity(root: Path, settings: str = "tasks: sums, include: tasks") -> str:
    plan, found = compiled(root, settings)
    assert plan is not None, found
    return next(job.identity for job in plan.jobs if job.kind == "lm_eval")


def test_what_a_folder_measures_and_reads(root: Path) -> None:
    plan, found = compiled(root, "tasks: [written, sums, all, piqa], include: tasks")
    assert found == []
    assert plan is not None
    facts = plan.report["evaluations"]["general"]
    assert facts["metrics"] == [
        *("written/exact_match,strict", "sums/acc_norm", "all/acc", "piqa/acc_norm", "mean"),
    ]
    config = next(job.config for job in plan.jobs if job.kind == "lm_eval")
    assert config["tasks"] == ["all", "piqa", "sums", "written"]
    assert config["own"] == ["all", "sums", "written"]
    own = [f"tasks/{name}" for name in ("all.yaml", "common.yaml", "more.py", "sums.yaml", "written.yaml")]
    assert sorted(file["path"] for file in config["files"]) == ["sums.jsonl", *own]


@pytest.mark.parametrize("name", ["tasks/sums.yaml", "tasks/common.yaml", "tasks/more.py", "sums.jsonl"])
def test_every_file_of_a_task_is_identity(root: Path, name: str) -> None:
    before = only_identity(root)
    path = root / name
    path.write_text(path.read_text(encoding="utf-8") + "\n", encoding="utf-8")
    assert only_identity(root) != before


def test_the_order_of_tasks_and_the_name_of_the_folder_are_not(root: Path) -> None:
    before = only_identity(root, "tasks: [sums, written], include: tasks")
    assert only_identity(root, "tasks: [written, sums], include: tasks") == before
    (root / "tasks").rename(root / "harness")
    assert only_identity(root, "tasks: [sums, written], include: harness") == before


def test_a_group_may_take_in_tasks_of_the_harness(root: Path) -> None:
    group = "group: more\ntask: [sums, piqa]\naggregate_metric_list: [{metric: acc, weight_by_size: true}]\n"
    (root / "tasks" / "more.yaml").write_text(group, encoding="utf-8")
    (root / "tasks" / "most.yaml").write_text(group.replace("more", "most").replace("piqa", "more"), "utf-8")
    plan, found = compiled(root, "tasks: [all, more, most], include: tasks")
    assert plan is not None, found
    config = next(job.config for job in plan.jobs if job.kind == "lm_eval")
    assert config["own"] == ["all"], "for the others the harness's own tasks are read, too"


@pytest.mark.parametrize(
    "reads", ["dataset_path: rows", "dataset_path: json\ndataset_kwargs: {data_dir: rows}"]
)
@pytest.mark.parametrize("as_member", [False, True])
def test_a_folder_of_rows_is_identity(root: Path, reads: str, as_member: bool) -> None:
    (root / "rows").mkdir()
    (root / "rows" / "test.jsonl").write_text("{}\n", encoding="utf-8")
    text = f"task: many\noutput_type: multiple_choice\n{reads}\n"
    if as_member:
        listed = "\n".join(f"    {line}" for line in text.splitlines())
        text = f"group: many\ntask:\n  -\n{listed.replace('task: many', 'task: other')}\n"
        text += "aggregate_metric_list: [{metric: acc, weight_by_size: true}]\n"
    (root / "tasks" / "many.yaml").write_text(text, encoding="utf-8")
    before = only_identity(root, "tasks: many, include: tasks")
    (root / "rows" / "test.jsonl").write_text("{}\n{}\n", encoding="utf-8")
    assert only_identity(root, "tasks: many, include: tasks") != before


def test_what_is_wrong_with_a_folder(root: Path) -> None:
    assert compiled(root, "tasks: sums, include: task")[1] == [
        "missing-file `task` holds no task None",
    ]
    (root / "sums.jsonl").unlink()
    assert compiled(root, "tasks: sums, include: tasks")[1] == [
        "missing-file `sums.yaml` in `tasks` reads `sums.jsonl`, which is not there "
        "paths in tasks count from the folder of the spec",
    ]
    (root / "sums.jsonl").write_text("{}\n", encoding="utf-8")
    (root / "tasks" / "bad.yaml").write_text("task: [sums\n", encoding="utf-8")
    (told,) = compiled(root, "tasks: sums, include: tasks")[1]
    assert told.startswith("harness-task `bad.yaml` in `tasks` cannot be read: while parsing a flow sequence")


def test_a_task_of_the_folder_in_another_spelling(root: Path) -> None:
    (told,) = compiled(root, "tasks: sum, include: tasks")[1]
    assert told.startswith(
        "unknown-task there is no task `sum` in lm-evaluation-harness 0.4.13 or in `tasks`"
    )
    assert told.endswith("did you mean `sums`?")


def test_exemplars_by_class_of_model(root: Path) -> None:
    plan, _ = compiled(root, "tasks: sums, include: tasks, num_fewshot: {base: 3, trained: 1}")
    assert plan is not None
    shots = {job.id: job.config["num_fewshot"] for job in plan.jobs if job.kind == "lm_eval"}
    assert shots["tiny/pretrain/50.general.lm_eval"] == 3
    assert shots["tiny/50/sft/r0/sft.general.lm_eval"] == 1
