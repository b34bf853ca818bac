"""The plan folder: what a person reviews, byte for byte the same wherever and whenever it is made."""

from __future__ import annotations

import getpass
import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import orjson
import pytest
import yaml

from exc.compiler.compile import plan_digest
from exc.compiler.folder import plan_folder, plan_scripts
from exc.compiler.plan import PLAN_FILE, Plan, PlanError, from_json, read_plan, to_json
from exc.compiler.summary import summary
from exc.spec.profiles import Profile
from tests.compiler.study import STUDY, edited, plan_of, plan_with

GOLDEN = Path(__file__).parent.parent / "golden" / "study"
UPDATE = "EXC_UPDATE_GOLDEN"

# The study with something of everything that the folder shows.
MEDIUM = edited(
    {
        "description": "A small study that shows what a plan folder looks like.",
        "replicates": [{"num": 2, "on": {"recipes": ["rl"]}}],
        "recipes.both": [{"tune": {"sft": {"like": "sft.sft"}}}, {"rl": {"grpo": {"like": "rl.rl"}}}],
        "recipes.scaled": [
            {
                "scale": {
                    "from": {"recipe": "rl", "step": 20},
                    "command": {"run": "python scale.py --by 0.5", "files": ["scale.py"]},
                }
            }
        ],
        "trunks.tiny.checkpoints": {"tokens": {"start": "409600", "stop": "716800", "num": 2}},
        "evaluations.sums.pass_at_k.num_samples": 24,
        "evaluations.curve": {"like": "sums", "on": {"recipes": ["rl"], "step": "all", "at": [700]}},
    }
)


@pytest.fixture(scope="module")
def medium() -> Plan:
    return plan_of(MEDIUM)


@pytest.fixture(scope="module")
def folder(medium: Plan) -> dict[str, bytes]:
    return plan_folder(medium)


def test_the_whole_folder(folder: dict[str, bytes]) -> None:
    if os.environ.get(UPDATE):
        for path in [path for path in GOLDEN.rglob("*") if path.is_file()]:
            path.unlink()
        for name, content in folder.items():
            (GOLDEN / name).parent.mkdir(parents=True, exist_ok=True)
            (GOLDEN / name).write_bytes(content)
    there = {path.relative_to(GOLDEN).as_posix(): path for path in GOLDEN.rglob("*") if path.is_file()}
    assert sorted(folder) == sorted(there), f"{UPDATE}=1 writes them anew"
    for name, path in there.items():
        assert folder[name].decode() == path.read_text(encoding="utf-8"), (
            f"{name}: {UPDATE}=1 accepts this text"
        )


def test_the_files_are_one_script_and_config_for_each_class(medium: Plan, folder: dict[str, bytes]) -> None:
    classes = {job.cls for job in medium}
    expected = {f"jobs/{cls}{suffix}" for cls in classes for suffix in (".sh", ".yaml")}
    assert set(folder) == {PLAN_FILE, "PLAN.md", "graph.svg"} | expected


COMPILE = """
import sys
from pathlib import Path
from exc.pipeline import compile_spec, write_plan
compiled = compile_spec(Path(sys.argv[1]), Path(sys.argv[2]))
assert compiled.plan is not None, list(compiled.diagnostics)
write_plan(compiled.plan, Path(sys.argv[2]))
"""


def compiled_in(folder: Path, hash_seed: str) -> dict[str, bytes]:
    """The plan folder as another process makes it, of the study and its files in `folder`."""
    data = folder / "data"
    data.mkdir(parents=True)
    (folder / "experiment.yaml").write_text(STUDY, encoding="utf-8")
    (folder / "arithmetic.py").write_text(
        "def documents(num):\n    yield {'text': str(num)}\n", encoding="utf-8"
    )
    for name in ("problems", "held_out"):
        (data / f"{name}.jsonl").write_text(
            '{"question": "1+1", "answer": "2", "worked": "2", "text": "1+1=2"}\n', encoding="utf-8"
        )
    environment = {**os.environ, "PYTHONHASHSEED": hash_seed, "XDG_CACHE_HOME": str(folder / "cache")}
    command = [
        sys.executable,
        "-c",
        COMPILE,
        "experiment.yaml" if hash_seed == "1" else str(folder / "experiment.yaml"),
    ]
    command.append("plan" if hash_seed == "1" else str(folder / "plan"))
    subprocess.run(command, cwd=folder, env=environment, check=True)
    plan = folder / "plan"
    return {
        path.relative_to(plan).as_posix(): path.read_bytes() for path in plan.rglob("*") if path.is_file()
    }


def test_another_folder_and_another_process_give_the_same_bytes(tmp_path: Path) -> None:
    here = compiled_in(tmp_path / "here", "1")
    there = compiled_in(tmp_path / "some" / "where else", "2")
    assert here == there
    assert len(here) > 20
    private = [str(tmp_path), str(Path.home()), sys.prefix, socket.gethostname(), f"/{getpass.getuser()}/"]
    for name, content in here.items():
        found = [text for text in private if text.encode() in content]
        assert not found, f"{name} names {found}"


def test_plan_json_gives_the_plan_back(medium: Plan, tmp_path: Path, folder: dict[str, bytes]) -> None:
    (tmp_path / PLAN_FILE).write_bytes(folder[PLAN_FILE])
    again = read_plan(tmp_path)
    assert again == medium
    assert plan_scripts(again) == {name: text for name, text in folder.items() if name.endswith(".sh")}
    assert plan_digest(again) == medium.digest


def test_a_whole_number_and_a_real_one_stay_apart() -> None:
    """They are equal to Python, and yet two identities."""
    theta = "trunks.tiny.pretrain.model.rope_theta"
    spec = edited({theta: 10000})
    spec = edited({"trunks.other": edited({theta: 10000.0})["trunks"]["tiny"]}, spec)
    plan = plan_of(spec)
    again = from_json(orjson.loads(orjson.dumps(to_json(plan))))
    found = [
        repr(again.job(f"{trunk}/pretrain/400").config["model"]["rope_theta"]) for trunk in ("tiny", "other")
    ]
    assert found == ["10000", "10000.0"]


def test_the_digest_covers_what_was_reviewed_and_not_where_it_was_written(medium: Plan) -> None:
    moved = plan_of("# a comment moves every line\n" + json.dumps(MEDIUM, indent=3))
    assert moved.digest == medium.digest
    assert [job.source for job in moved] != [job.source for job in medium]
    assert plan_of(edited({"seed": 1}, MEDIUM)).digest != medium.digest


def test_scripts_are_bash_and_say_how_to_use_them(folder: dict[str, bytes], tmp_path: Path) -> None:
    scripts = [name for name in folder if name.endswith(".sh")]
    for name in scripts:
        path = tmp_path / Path(name).name
        path.write_bytes(folder[name])
    checked = subprocess.run(
        ["bash", "-n", *[str(tmp_path / Path(name).name) for name in scripts]], check=False
    )
    assert checked.returncode == 0
    for name in scripts:
        path = tmp_path / Path(name).name
        for arguments in ([], ["one", "two"]):
            run = subprocess.run(["bash", str(path), *arguments], capture_output=True, text=True, check=False)
            assert run.returncode == 2
            assert run.stderr.startswith(f"usage: bash {path} JOB-ID")
            assert run.stdout == ""


def test_scripts_run_the_job_that_is_named(folder: dict[str, bytes], tmp_path: Path) -> None:
    script = tmp_path / "plan" / "jobs" / "rl.rl.sh"
    script.parent.mkdir(parents=True)
    script.write_bytes(folder["jobs/rl.rl.sh"])
    python = tmp_path / "python"
    python.write_text('#!/bin/sh\necho "$EXC_PLAN" "$OMP_NUM_THREADS" "$@"\n', encoding="utf-8")
    python.chmod(0o755)
    environment = {**os.environ, "EXC_PYTHON": str(python)}
    environment.pop("EXC_PLAN", None)
    run = subprocess.run(
        ["bash", str(script), "a/job"], env=environment, capture_output=True, text=True, cwd="/", check=True
    )
    assert run.stdout.split() == [str(tmp_path / "plan"), "1", "-P", "-m", "exc.runtime.job", "a/job"]


def test_class_configs_are_yaml_that_gives_every_config_back(medium: Plan, folder: dict[str, bytes]) -> None:
    data = to_json(medium)
    for name, cls in data["classes"].items():
        read = yaml.safe_load(folder[f"jobs/{name}.yaml"])
        assert read["config"] == orjson.loads(orjson.dumps(cls["config"]))
        members = [job for job in data["jobs"] if job["class"] == name]
        assert list(read["jobs"]) == [job["id"] for job in members]
        for job in members:
            row = read["jobs"][job["id"]]
            assert row["identity"] == job["identity"][:12]
            assert row["reads"] == {need.role: need.job for need in job["needs"]}
            assert {key: row[key] for key in job["config"]} == job["config"]


def test_small_numbers_in_a_table_stay_numbers() -> None:
    """YAML 1.1 reads 1e-05 as a text."""
    rate = "trunks.tiny.pretrain.schedule.peak"
    spec = edited({"trunks.other": edited({rate: 1e-05})["trunks"]["tiny"]})
    text = plan_folder(plan_of(spec))["jobs/pretrain.yaml"]
    rows = yaml.safe_load(text)["jobs"]
    assert rows["other/pretrain/400"]["lr"]["peak"] == 1e-05


def test_plan_md_names_what_a_reviewer_asks_for(folder: dict[str, bytes]) -> None:
    text = folder["PLAN.md"].decode()
    for wanted in (
        "A small study that shows",
        "(seed 0), for profile `local`",
        "learning_rate 1e-05",
        "up to 2 replicates",
        "grpo from sft",
        "`tiny/400/sft/r0/sft` is also `tiny/400/both/r0/tune`",
        "4-shot base, 0-shot trained",
    ):
        assert wanted in text
    assert "\n\n\n" not in text
    assert not [line for line in text.splitlines() if line != line.rstrip()]


def test_trunks_whose_names_end_alike_are_told_apart() -> None:
    other = edited({"trunks.tiny.pretrain.tokens": 2048000, "trunks.tiny.pretrain.schedule.peak": 1.0e-3})
    text = plan_folder(plan_of(edited({"trunks.y": other["trunks"]["tiny"]})))["PLAN.md"].decode()
    assert "**y**: llama from scratch, 2.048M tokens" in text
    assert "peak 0.001" in text


def test_a_study_of_a_trunk_alone() -> None:
    text = plan_folder(plan_of(edited({"recipes": None, "evaluations": None})))["PLAN.md"].decode()
    assert "## Recipes" not in text
    assert "## Evaluations" not in text


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not a plan that exc wrote"),
        (b"[]", "not a plan that exc wrote"),
        (b'{"format": 99}', "plan format 99 is not 1"),
        (b'{"format": 1}', "not a plan that exc wrote"),
        (b"\xff\xfe", "not a plan that exc wrote"),
    ],
)
def test_what_is_no_plan_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / PLAN_FILE).write_bytes(content)
    with pytest.raises(PlanError, match=message):
        read_plan(tmp_path)


def test_any_truncation_is_refused(tmp_path: Path, folder: dict[str, bytes]) -> None:
    whole = folder[PLAN_FILE]
    for length in range(0, len(whole) - 2, len(whole) // 23):
        (tmp_path / PLAN_FILE).write_bytes(whole[:length])
        with pytest.raises(PlanError):
            read_plan(tmp_path)


def test_what_no_evaluation_measures_is_said_to_be_trained() -> None:
    only_base = {f"evaluations.{name}.on": {"recipes": ["base"]} for name in ("sums", "text")}
    text = plan_folder(plan_with(only_base))["PLAN.md"].decode()
    assert "**rl** at tiny 400; tiny 700; tiny 1000; no evaluation measures it\n" in text


def test_plan_md_says_what_models_are_asked_and_what_answers_earn() -> None:
    spec = edited({"tasks.sums.verifier": "python:judge:strict", "tasks.sums.rewards.form": "boxed"})
    [task] = summary(plan_of(spec))["tasks"]
    assert task == {
        "name": "sums",
        "lines": [
            r'prompt: `"Q: {question}\nA:"`',
            r'stops at: `"\n\n"`',
            "judged by: judge:strict",
            "RL pays: 1 if right, 0.1 for a wrong answer, in the form boxed",
            "train: from `problems`: question, answer, demonstrations <- worked",
            "test: from `held-out`: question, answer",
            "fewshot: from `problems`, the first 50 rows: question, answer",
        ],
    }


def test_plan_md_says_both_sides_tasks() -> None:
    side = {"rl": {"like": "rl.rl"}, "sft": {"like": "sft.sft"}}
    only = {"avg": [{"avg": {"parallel": {"max_steps": 4, **side}}}]}
    spec = edited({"evaluations": {"text": edited()["evaluations"]["text"]}})
    spec["recipes"] |= only
    spec["branches"] = [{"recipes": ["avg"]}]
    tried = Profile.model_validate({"resources": [{"on": {"kind": "parallel"}, "smoke": True}]})
    plan = plan_of(spec, profile=tried)
    assert any(job.kind == "smoke" for job in plan.jobs)
    [task] = summary(plan)["tasks"]
    assert task["lines"][0] == r'prompt: `"Q: {question}\nA:"`'
    assert "RL pays: 1 if right, 0.1 for a wrong answer" in task["lines"]


def test_plan_md_shows_a_learning_rate_that_is_the_default() -> None:
    """What is read first in a review is there whether or not it is TRL's default."""
    spec = edited({"recipes.rl.0.rl.grpo.args": {"learning_rate": 1.0e-6}})
    recipe = next(each for each in summary(plan_of(spec))["recipes"] if each["name"] == "rl")
    [args] = [line for line in recipe["stages"][0]["settings"] if line.startswith("args: ")]
    assert "learning_rate 1e-06" in args
    assert "max_completion_length " in args


def test_plan_md_tells_replicates_apart_that_are_merged() -> None:
    parents = [{"recipe": "rl", "replicate": number} for number in (0, 1)]
    spec = edited(
        {"recipes.soup.0.soup.merge.of": parents, "replicates": [{"num": 2, "on": {"recipes": ["rl"]}}]}
    )
    soup = next(each for each in summary(plan_of(spec))["recipes"] if each["name"] == "soup")
    assert soup["stages"][0]["what"] == "merge from rl (replicate 0), rl (replicate 1)"
