"""Tasks of lm-evaluation-harness on a tiny model: its own numbers, kept by problem, and jobs that go on."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from exc.runtime.context import JobContext, JobFailed, Stopped
from exc.runtime.stages.jsonl import read_jsonl
from exc.spec.harness import HARNESS_VERSION, harness
from tests.runtime.stages.conftest import Bench, ModelMaker

TASKS = ["tiny_choice", "tiny_generate", "tiny_likelihood"]
_DATA = "dataset_path: json\ndataset_kwargs: {data_files: {test: sums.jsonl}}\ntest_split: test\n"
YAML = {
    "tiny_choice": "output_type: multiple_choice\ndoc_to_text: '{{q}}'\ndoc_to_target: gold\n"
    "doc_to_choice: '{{choices}}'\nmetric_list: [{metric: acc}, {metric: acc_norm}]\n",
    "tiny_generate": "output_type: generate_until\ndoc_to_text: '{{q}}'\n"
    "doc_to_target: !function more.answer\n"
    "generation_kwargs: {until: ['\\n'], max_gen_toks: 4, do_sample: false}\n"
    "metric_list: [{metric: exact_match, aggregation: mean, higher_is_better: true}]\n"
    "filter_list:\n  - {name: digits, filter: [{function: regex, regex_pattern: '(.)'}, "
    "{function: take_first}]}\n",
    "tiny_likelihood": "output_type: loglikelihood\ndoc_to_text: '{{q}}'\ndoc_to_target: '{{a}}'\n"
    "target_delimiter: ''\nmetric_list:\n"
    "  - {metric: perplexity, aggregation: perplexity, higher_is_better: false}\n"
    "  - {metric: acc, aggregation: mean, higher_is_better: true}\n",
}


@pytest.fixture
def tasks(bench: Bench) -> Bench:
    """Three tasks beside the spec, over rows beside the spec."""
    rows = [
        {"q": f"{a}+{b}=", "choices": [str(a + b), str(a + b + 1), "none"], "gold": 0, "a": str(a + b)}
        for a in range(5)
        for b in range(4)
    ]
    bench.write("sums.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
    (bench.root / "tasks").mkdir()
    for name, text in YAML.items():
        bench.write(f"tasks/{name}.yaml", f"task: {name}\n{_DATA}{text}")
    bench.write("tasks/more.py", "def answer(doc):\n    return doc['a']\n")
    return bench


def config(**more: Any) -> dict[str, Any]:
    plain = {
        **{"harness": HARNESS_VERSION, "tasks": TASKS, "own": TASKS, "limit": 9, "num_fewshot": None},
        **{"seed": 1234, "include": "tasks", "files": []},
        "mean": ["tiny_choice/acc_norm", "tiny_generate/exact_match,digits"],
    }
    return {**plain, **more}


def by_command_line(bench: Bench, model: Path, *more: str) -> dict[str, dict[str, Any]]:
    """The harness's own results."""
    out = bench.folder / "own"
    command = [
        *(sys.executable, "-m", "lm_eval", "run", "--model", "hf", "--device", "cpu", "--batch_size", "4"),
        *("--model_args", f"pretrained={model},dtype=float32", "--tasks", ",".join(TASKS)),
        *("--include_path", str(bench.root / "tasks"), "--output_path", str(out), *more),
    ]
    offline = {"HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1"}
    subprocess.run(command, cwd=bench.root, env=os.environ | offline, check=True, capture_output=True)
    (path,) = out.rglob("results_*.json")
    found: dict[str, dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))["results"]
    return found


@pytest.mark.ci
def test_numbers_are_those_of_its_own_command_line(tasks: Bench, make_model: ModelMaker) -> None:
    model = make_model(seed=5)
    folder = tasks.run("lm_eval", config(num_fewshot=0), {"model": model})
    told = by_command_line(tasks, model, "--limit", "9", "--num_fewshot", "0")
    wanted = {
        f"{task}/{metric.removesuffix(',none')}": value
        for task, results in told.items()
        for metric, value in results.items()
        if "," in metric and "_stderr" not in metric
    }
    assert set(wanted) == set(tasks.metrics) - {"mean"}
    assert {name: tasks.metrics[name] for name in wanted} == pytest.approx(wanted, rel=1e-6)
    assert 0 < wanted["tiny_choice/acc"] < 1, "a number that says something"
    mean = (wanted["tiny_choice/acc_norm"] + wanted["tiny_generate/exact_match,digits"]) / 2
    assert tasks.metrics["mean"] == pytest.approx(mean)
    record = json.loads((folder / "results.json").read_text(encoding="utf-8"))
    assert record["lm_eval"] == HARNESS_VERSION
    assert record["tasks"]["tiny_choice"]["n-samples"]["tiny_choice"] == {"original": 20, "effective": 9}
    assert str(tasks.folder) not in json.dumps(record), "nothing of this machine"


@pytest.mark.slow
def test_what_is_kept_of_a_problem(tasks: Bench, make_model: ModelMaker) -> None:
    folder = tasks.run("lm_eval", config(), {"model": make_model(seed=5)})
    units = list(read_jsonl(folder / "units.jsonl"))
    assert [unit["unit"] for unit in units] == list(range(27))
    assert [(unit["task"], unit["doc"]) for unit in units] == [(t, doc) for t in TASKS for doc in range(9)]
    kinds = {"tiny_choice": {"acc", "acc_norm"}, "tiny_generate": {"exact_match,digits"}}
    for unit in units:
        # A perplexity is no mean over problems, and is left out.
        assert set(unit["values"]) == kinds.get(unit["task"], {"acc"})
    mean = sum(unit["values"]["acc"] for unit in units[:9]) / 9
    assert mean == pytest.approx(tasks.metrics["tiny_choice/acc"])
    assert len(list(read_jsonl(folder / "samples.jsonl"))) == 27
    assert tasks.counts.samples == 27
    assert tasks.counts.tokens > 0


@pytest.mark.slow
def test_a_job_that_was_stopped_asks_no_task_twice(
    tasks: Bench, make_model: ModelMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    inputs = {"model": make_model(seed=6)}
    whole = tasks.run("lm_eval", config(), inputs, out="whole")
    metrics = tasks.metrics
    tasks.should_stop = lambda: sum(name == "progress" for name, _ in tasks.events) == 2
    with pytest.raises(Stopped):
        tasks.run("lm_eval", config(), inputs)
    tasks.should_stop = lambda: False
    asked: list[str] = []
    measured = sys.modules["exc.runtime.stages.lm_eval"]._measured

    def counting(ctx: JobContext, model: Any, task: str) -> Any:
        asked.append(task)
        return measured(ctx, model, task)

    monkeypatch.setattr("exc.runtime.stages.lm_eval._measured", counting)
    folder = tasks.run("lm_eval", config(), inputs)
    assert asked == ["tiny_likelihood"]
    assert tasks.metrics == metrics
    for name in ("units.jsonl", "samples.jsonl", "results.json"):
        assert (folder / name).read_bytes() == (whole / name).read_bytes()
    assert not list((tasks.folder / "work" / "lm_eval").iterdir())


@pytest.mark.slow
def test_rows_that_are_not_here_are_said_to_be(tasks: Bench, make_model: ModelMaker) -> None:
    path = tasks.root / "tasks" / "tiny_choice.yaml"
    path.write_text(path.read_text(encoding="utf-8").replace("sums.jsonl", "sum.jsonl"), encoding="utf-8")
    with pytest.raises(
        JobFailed, match="the rows of the task `tiny_choice` are not on this machine"
    ) as failure:
        tasks.run("lm_eval", config(tasks=["tiny_choice"], mean=[]), {"model": make_model()})
    assert failure.value.kind == "data"


def test_another_version_of_the_harness(bench: Bench) -> None:
    with pytest.raises(JobFailed, match=r"for lm-evaluation-harness 0\.1, and 0\.4\.13 is installed"):
        bench.run("lm_eval", config(harness="0.1"), {})


@pytest.mark.ci
def test_the_table_is_that_of_the_installed_version() -> None:
    from tools.harness_tables import lm_eval_table

    table = lm_eval_table()
    assert table["version"] == HARNESS_VERSION
    names = {name for part in ("tasks", "groups") for listed in table[part].values() for name in listed}
    assert names == {*harness().tasks, *harness().groups}
