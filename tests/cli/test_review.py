"""`exc plan`, `diff`, `show`, `explain`, and when `exc submit` refuses."""

from __future__ import annotations

import re

import pytest

from exc.spec.codes import CODES
from tests.cli.user import User
from tests.compiler.study import STUDY


def test_plan_on_an_empty_store(user: User) -> None:
    ran = user.exc("plan")
    assert ran.code == 0
    assert ran.out.startswith("study: 66 jobs: 66 to run")
    assert "new: 66 jobs" in ran.out
    found = user.exc("plan", "--json").json()
    assert found["counts"] == {"to run": 66, "changed": 0, "reused": 0, "not needed": 0}
    assert len(found["jobs"]) == 66
    assert not (user.folder / "plan").exists()


def test_diff_of_a_plan_with_its_spec(user: User) -> None:
    user.exc("compile")
    same = user.exc("diff", "plan")
    assert (same.code, same.out) == (0, "no difference\n")
    user.edit("learning_rate: 1.0e-4", "learning_rate: 2.0e-4")
    ran = user.exc("diff", "plan")
    assert ran.code == 1
    assert re.match(r"args.learning_rate 0.0001 -> 0.0002 \(experiment.yaml:\d+:\d+\): 3 jobs", ran.out)
    assert re.search(r"^\d+ jobs as before$", ran.out, re.MULTILINE)
    found = user.exc("diff", "plan", "--json").json()
    assert found["differ"] is True
    assert found["lines"][0].startswith("args.learning_rate")


def test_diff_of_checkpoints_and_of_the_seed(user: User) -> None:
    user.exc("compile")
    user.edit("[400, 700, 1000]", "[400, 1000]")
    lines = user.exc("diff", "plan").out.splitlines()
    assert re.match(r"checkpoints of tiny 400, 700, 1000 -> 400, 1000 \(experiment.yaml:\d+:\d+\)$", lines[0])
    user.exc("compile")
    user.edit("seed: 0", "seed: 1")
    line = (user.folder / "experiment.yaml").read_text().split("seed: 1")[0].count("\n") + 1
    seeds = [line for line in user.exc("diff", "plan").out.splitlines() if line.startswith("seed ")]
    assert seeds
    assert all(f"(experiment.yaml:{line}:1)" in said for said in seeds)


def test_diff_shows_white_space(user: User) -> None:
    user.exc("compile")
    user.edit("\\nA:", "\\nA: ")
    assert r'prompt "Q: {question}\nA:" -> "Q: {question}\nA: "' in user.exc("diff", "plan").out


def test_diff_of_two_plans_needs_no_spec(user: User) -> None:
    user.exc("compile", "-o", "one")
    user.edit("learning_rate: 1.0e-4", "learning_rate: 2.0e-4")
    user.exc("compile", "-o", "two")
    with_spec = user.exc("diff", "one", "two")
    (user.folder / "experiment.yaml").unlink()
    without = user.exc("diff", "one", "two")
    for ran in (with_spec, without):
        assert ran.code == 1
        assert ran.out.startswith("args.learning_rate 0.0001 -> 0.0002 (experiment.yaml:")
    assert user.exc("diff", "one", "one").code == 0


def test_diff_when_the_spec_has_errors(user: User) -> None:
    user.exc("compile")
    user.edit("rollouts: 40", "rolouts: 40")
    assert user.exc("diff", "plan").code == 1
    assert user.exc("diff", "plan", "--json").json()["diagnostics"]


def test_show(user: User) -> None:
    user.exc("compile")
    ran = user.exc("show", "tiny/400/sft-rl/r0/rl")
    assert ran.code == 0
    assert ran.out.startswith("tiny/400/sft-rl/r0/rl: reinforcement learning")
    for wanted in (
        "experiment.yaml:",
        "model <- tiny/400/sft/r0/sft",
        "#!/usr/bin/env bash",
        "learning_rate: 1.0e-5",
    ):
        assert wanted in ran.out
    found = user.exc("show", "tiny/400/sft-rl/r0/rl", "--json").json()
    assert found["kind"] == "grpo"
    assert found["hashed"]["args"] == {"learning_rate": 1e-05}


def test_show_of_a_misspelt_job(user: User) -> None:
    user.exc("compile")
    ran = user.exc("show", "tiny/400/sft-rl/ro/rl")
    assert ran.code == 1
    assert "the nearest: tiny/400/sft-rl/r0/rl" in ran.err
    assert user.exc("show", "nothing like it at all").code == 1


def test_show_takes_a_beginning_as_other_commands_do(user: User) -> None:
    user.exc("compile")
    assert user.exc("show", "tiny/400/sft-rl").out == user.exc("show", "tiny/400/sft-rl/r0/rl").out
    assert "tiny/400/sft could be " in user.exc("show", "tiny/400/sft").err


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("rl.rl", "`rl.rl` is a class of 3 jobs; name one, such as `tiny/400/rl/r0/rl`"),
        ("tiny/400/rl/r0/rl@20", "`20` is a step of `tiny/400/rl/r0/rl`"),
        ("nothing like it at all", "the plan of study has no job nothing like it at all"),
    ],
)
def test_show_of_what_is_no_job(user: User, name: str, said: str) -> None:
    user.exc("compile")
    ran = user.exc("show", name)
    assert ran.code == 1
    assert said in ran.err


def test_show_of_the_end_of_a_long_chain(user: User) -> None:
    """A checkpoint at each of more steps than Python recurses."""
    trunk = (
        STUDY[: STUDY.index("recipes:")]
        .replace("[400, 700, 1000]", "{every: 1}")
        .replace("1024000", "1536000")
    )
    (user.folder / "experiment.yaml").write_text(trunk, encoding="utf-8")
    user.exc("compile")
    ran = user.exc("show", "tiny/pretrain/1500")
    assert ran.code == 0
    assert "resumes <- tiny/pretrain/1 (" in ran.out


def test_explain(user: User) -> None:
    listed = user.exc("explain")
    assert listed.code == 0
    assert all(code in listed.out for code in CODES)
    for code in CODES:
        one = user.exc("explain", code)
        assert one.code == 0
        assert one.out.startswith(f"{code}: ")
        assert "Fix: " in one.out
    wrong = user.exc("explain", "unknow-key")
    assert wrong.code == 2
    assert "did you mean" in wrong.err


@pytest.mark.parametrize("argv", [["status"], ["results"]], ids=lambda argv: argv[0])
def test_other_json_parses(user: User, argv: list[str]) -> None:
    user.exc("compile")
    ran = user.exc(*argv, "--json")
    assert ran.code == 0
    assert ran.json() is not None


# --- submit refuses


def test_a_stale_plan_is_refused_by_field_and_line(user: User) -> None:
    user.exc("compile")
    user.edit("learning_rate: 1.0e-4", "learning_rate: 2.0e-4")
    ran = user.exc("submit")
    assert ran.code == 1
    assert "the plan is not what experiment.yaml says now" in ran.err
    assert re.search(r"args.learning_rate 0.0001 -> 0.0002 \(experiment.yaml:\d+:\d+\)", ran.err)
    assert "`exc compile`" in ran.err
    assert not (user.folder / "store").exists()


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("data/held_out.jsonl", "data/held_out.jsonl has changed (experiment.yaml:"),
        ("arithmetic.py", "the code of arithmetic has changed (experiment.yaml:"),
    ],
)
def test_changed_data_and_code_make_a_plan_stale(user: User, name: str, wanted: str) -> None:
    user.exc("compile")
    path = user.folder / name
    path.write_text(path.read_text() + "\n# more\n" if name.endswith(".py") else path.read_text() * 2)
    if name.endswith(".py"):
        path.write_text(path.read_text().replace("str(num)", "str(num + 1)"))
    ran = user.exc("submit")
    assert ran.code == 1
    assert wanted in ran.err


def test_a_changed_profile_makes_a_plan_stale(user: User) -> None:
    user.exc("compile")
    (user.folder / "profiles.yaml").write_text("local: {resources: [{on: {kind: grpo}, cpus: 4}]}\n")
    ran = user.exc("submit")
    assert ran.code == 1
    assert "resources.cpus 1 -> 4" in ran.err


def test_a_script_edited_by_hand_is_refused(user: User) -> None:
    user.exc("compile")
    user.edit("OMP_NUM_THREADS=1", "OMP_NUM_THREADS=64", "plan/jobs/rl.rl.sh")
    ran = user.exc("submit")
    assert ran.code == 1
    assert "jobs/rl.rl.sh changed since exc wrote it" in ran.err


def test_a_plan_edited_by_hand_is_refused(user: User) -> None:
    user.exc("compile")
    user.edit('"learning_rate": 0.0001', '"learning_rate": 0.5', "plan/plan.json")
    ran = user.exc("submit")
    assert ran.code == 1
    assert "plan.json changed since exc wrote it" in ran.err


def test_a_plan_without_its_spec_is_refused(user: User) -> None:
    user.exc("compile")
    (user.folder / "experiment.yaml").rename(user.folder / "renamed.yaml")
    ran = user.exc("submit")
    assert ran.code == 1
    assert "its spec experiment.yaml is not where it was" in ran.err


def test_a_spec_with_errors_is_refused(user: User) -> None:
    user.exc("compile")
    user.edit("rollouts: 40", "rolouts: 40")
    ran = user.exc("submit")
    assert ran.code == 1
    assert "did you mean `rollouts`?" in ran.err
