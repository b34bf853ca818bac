"""`exc gc` on a store that was really used: what it lists, what goes, and that nothing runs again."""

from __future__ import annotations

from pathlib import Path

import pytest

from exc.runtime.store import Store
from exc.runtime.submitters import Submitting
from tests.end_to_end.project import Project

pytestmark = pytest.mark.slow


@pytest.fixture
def project(finished: Project, tmp_path: Path) -> Project:
    return finished.copy(tmp_path / "mini")


def test_a_dry_run_lists_and_leaves_everything(project: Project) -> None:
    before = sorted(project.store.rglob("*"))
    said = project.ok("gc")
    assert "nothing was removed: to do it, add --delete" in said
    assert "its job is done" in said
    listed = project.json("gc")
    assert {item["sort"] for item in listed["items"]} == {"resume state"}
    assert listed["deleted"] is False
    assert sorted(project.store.rglob("*")) == before


def test_after_it_nothing_has_to_run_again(project: Project) -> None:
    contents = project.contents()
    listed = project.json("gc", "--delete", "--older-than", "0s")
    assert listed["bytes"] > 0
    assert not any(item["left"] for item in listed["items"])
    assert list((project.store / "work").iterdir()) == []
    assert project.contents() == contents
    assert "nothing to do" in project.ok("submit")
    assert "nothing to remove" in project.ok("gc", "--older-than", "0s")


def test_a_change_of_the_spec_frees_what_only_the_old_plan_needed(project: Project) -> None:
    old = project.plan
    project.edit(
        "learning_rate: 1.0e-3, max_completion_length", "learning_rate: 2.0e-3, max_completion_length"
    )
    project.ok("compile")
    project.ok("submit")
    arguments = ("gc", "--older-than", "0s")
    listed = project.json(*arguments)
    assert [item for item in listed["items"] if item["sort"] == "artifact"] == []
    assert f"plans: mini/{min(old.digest, project.plan.digest)[:12]}, mini/" in project.ok("gc")
    project.ok("gc", "--unregister", old.digest)
    freed = [item for item in project.json(*arguments, "--delete")["items"] if item["sort"] == "artifact"]
    needed = {ref for job in project.plan.jobs for ref in job.artifacts()}
    gone = {ref for job in old.jobs for ref in job.artifacts() if not project.artifact(ref).exists()}
    assert gone
    assert not gone & needed
    assert {item["path"].removeprefix("artifacts/") for item in freed} == gone
    assert not any(ref.startswith(("sample/", "score/", "bits_per_byte/")) for ref in gone)
    assert "nothing to do" in project.ok("submit")
    project.ok("report")


def test_resume_state_alone(project: Project) -> None:
    listed = project.json("gc", "--resume-state", "--delete")
    assert {item["sort"] for item in listed["items"]} == {"resume state"}
    done = project.exc("gc", "--resume-state", "store")
    assert (done.code, "name its folder" in done.err) == (2, True)


def test_what_cannot_be_meant(project: Project) -> None:
    assert "registered: mini/" in project.exc("gc", "--unregister", "mine").err
    assert "no plan `` is registered" in project.exc("gc", "--unregister", "").err
    assert "expected a whole number" in project.exc("gc", "--keep-attempts", "-1").err
    assert "expected an age such as" in project.exc("gc", "--older-than", "soon").err
    assert project.exc("gc", "nowhere").code == 1
    assert "plans: mini/" in project.ok("gc", "store")


def test_a_plan_that_is_submitted_now_is_not_let_go_of(project: Project) -> None:
    with Submitting(Store(project.store), "mini", cpus=1, gpus=0):
        done = project.exc("gc", "--unregister", "mini")
    assert (done.code, "submits it; wait for it" in done.err) == (1, True), done
    assert project.json("gc")["plans"] == [f"mini/{project.plan.digest[:12]}"]
    project.ok("gc", "--unregister", "mini")
