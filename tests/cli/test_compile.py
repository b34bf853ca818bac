"""`exc check` and `exc compile`: exit codes, what is printed where, what is written."""

from __future__ import annotations

import json
import os

import pytest

from tests.cli.user import User


def test_check_of_a_good_spec(user: User) -> None:
    ran = user.exc("check")
    assert ran.code == 0
    assert ran.out.startswith("experiment.yaml: no errors; 66 jobs in ")
    assert not (user.folder / "plan").exists()
    assert user.exc("check", "--json").json()["ok"] is True


def test_check_shows_every_mistake_with_its_line(user: User) -> None:
    user.edit("rollouts: 40", "rolouts: 40")
    user.edit("data: held-out}", "data: held_out}")
    ran = user.exc("check")
    assert ran.code == 1
    assert ran.out == ""
    assert "experiment.yaml:" in ran.err
    assert "did you mean `rollouts`?" in ran.err
    assert "held-out" in ran.err
    found = user.exc("check", "--json").json()
    assert found["ok"] is False
    assert len([d for d in found["diagnostics"] if d["severity"] == "error"]) >= 2


def test_compile_writes_and_then_is_up_to_date(user: User) -> None:
    ran = user.exc("compile")
    assert ran.code == 0
    assert ran.out.splitlines()[0].startswith("plan: 66 jobs in ")
    assert "exc submit" in ran.out
    assert os.access(user.folder / "plan" / "jobs" / "rl.rl.sh", os.X_OK)
    times = {path: path.stat().st_mtime_ns for path in (user.folder / "plan").rglob("*") if path.is_file()}
    assert user.exc("compile").out.startswith("plan: up to date")
    assert times == {path: path.stat().st_mtime_ns for path in times}, "nothing is written again"
    user.edit("seed: 0", "seed: 0  # still")
    assert user.exc("compile", "--json").json()["changed"] is False


def test_compile_check_writes_nothing(user: User) -> None:
    ran = user.exc("compile", "--check")
    assert ran.code == 1
    assert not (user.folder / "plan").exists()
    user.exc("compile")
    assert user.exc("compile", "--check").code == 0
    user.edit("rollouts: 40", "rollouts: 50")
    before = (user.folder / "plan" / "plan.json").read_bytes()
    assert user.exc("compile", "--check").code == 1
    assert user.exc("compile", "--check", "--json").json()["changed"] is True
    assert (user.folder / "plan" / "plan.json").read_bytes() == before


def test_scripts_of_classes_that_are_no_more_go(user: User) -> None:
    user.exc("compile")
    user.edit("  soup:\n    - soup: {merge: {of: [rl, sft]}}\n", "")
    user.exc("compile")
    assert not list((user.folder / "plan" / "jobs").glob("soup*"))
    (user.folder / "plan" / "jobs" / "soup.soup.sh").write_text("true\n")
    assert user.exc("compile", "--check").code == 1
    assert user.exc("compile").code == 0
    assert user.exc("compile", "--check").code == 0


def test_a_folder_of_something_else_is_not_written_to(user: User) -> None:
    (user.folder / "results").mkdir()
    (user.folder / "results" / "thesis.tex").write_text("years of work")
    for argv in (
        ["compile", "-o", "results"],
        ["compile", "-o", "."],
        ["compile", "-o", "results", "--json"],
    ):
        ran = user.exc(*argv)
        assert ran.code == 1
        assert "holds no plan" in ran.err
    assert [path.name for path in (user.folder / "results").iterdir()] == ["thesis.tex"]


def test_what_an_interrupted_compile_left_is_written_over(user: User) -> None:
    user.exc("compile")
    (user.folder / "plan" / "plan.json").unlink()
    assert user.exc("compile").code == 0
    assert (user.folder / "plan" / "plan.json").is_file()


def test_a_plan_elsewhere_finds_its_spec(user: User) -> None:
    assert user.exc("compile", "-o", "plans/first").code == 0
    assert json.loads((user.folder / "plans/first/plan.json").read_bytes())["root"] == "../.."
    assert user.exc("diff", "plans/first").code == 0


def test_a_plan_folder_that_is_a_file(user: User) -> None:
    for argv in (["compile", "-o", "experiment.yaml"], ["submit", "experiment.yaml"]):
        ran = user.exc(*argv)
        assert ran.code == 1
        assert ran.err.startswith("error: experiment.yaml is a file")


def test_a_store_that_is_a_file(user: User, monkeypatch: pytest.MonkeyPatch) -> None:
    user.exc("compile")
    monkeypatch.setenv("EXC_STORE", "experiment.yaml")
    for command in ("submit", "status", "results", "plan"):
        ran = user.exc(command)
        assert ran.code == 3
        assert ran.err == f"error: {user.folder / 'experiment.yaml'}: the store is a file, not a folder\n"


def test_text_that_is_not_utf_8_is_found_by_line_and_column(user: User) -> None:
    path = user.folder / "experiment.yaml"
    path.write_bytes(b"version: 1\nexperiment: caf\xc3\xa9 \xe9\n")
    ran = user.exc("check")
    assert "the byte 0xe9 is not UTF-8\n --> experiment.yaml:2:18\n" in ran.err
    path.write_bytes("version: 1\n".encode("utf-16"))
    assert "this is UTF-16, not UTF-8" in user.exc("check").err


def test_an_unknown_profile(user: User) -> None:
    ran = user.exc("compile", "--profile", "cluster")
    assert ran.code == 1
    assert "there is no profile `cluster`" in ran.err


@pytest.mark.parametrize("micro", [3, 5])
def test_a_micro_batch_that_does_not_divide_is_a_finding(user: User, micro: int) -> None:
    text = f"local:\n  resources:\n    - {{on: {{kind: sft}}, micro_batch_size: {micro}}}\n"
    (user.folder / "profiles.yaml").write_text(text)
    ran = user.exc("compile")
    assert ran.code == 1
    assert f"micro_batch_size {micro}" in ran.err


@pytest.mark.parametrize("setting", ["loss_type: bnpo", "top_entropy_quantile: 0.2"])
def test_a_micro_batch_that_would_change_the_loss_is_a_finding(user: User, setting: str) -> None:
    spec = user.folder / "experiment.yaml"
    spec.write_text(spec.read_text().replace("learning_rate: 1.0e-5", f"learning_rate: 1.0e-5, {setting}"))
    assert user.exc("compile").code == 0
    text = "local:\n  resources:\n    - {on: {kind: grpo}, micro_batch_size: 4}\n"
    (user.folder / "profiles.yaml").write_text(text)
    ran = user.exc("compile")
    assert ran.code == 1
    assert f"`{setting}` is computed over what a device takes at once" in ran.err


def test_resources_for_what_the_study_does_not_have_are_named(user: User) -> None:
    """A misspelt name selects nothing, and its jobs would get the defaults."""
    entries = (
        "{on: {recipe: rll}, cpus: 2}, {on: {class: rl}, cpus: 2}, {on: {trunk: tny, kind: grpo}, cpus: 2}"
    )
    (user.folder / "profiles.yaml").write_text(f"local: {{resources: [{entries}]}}\n")
    ran = user.exc("check")
    assert ran.code == 0
    for said in ("the recipe `rll`", "the class `rl`", "the trunk `tny`", "did you mean `rl`?"):
        assert said in ran.err
    right = "{on: {recipe: rl}, cpus: 2}, {on: {class: rl.rl}, cpus: 2}, {on: {recipe: base}, cpus: 2}"
    (user.folder / "profiles.yaml").write_text(f"local: {{resources: [{right}]}}\n")
    assert "resources" not in user.exc("check").err
