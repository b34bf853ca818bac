"""`exc doctor`: what would keep jobs from running is said before any is queued."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from exc.runtime.doctor.asking import seconds, values
from tests.end_to_end.project import Done, Project
from tests.slurm.fake import BUSY, FakeSlurm

pytestmark = pytest.mark.slow

PROFILES = """
local: {slots: 1}
cluster:
  backend: slurm
  slurm: {partition: main}
  resources: [{time: 10m, mem: 1GB}, {on: {kind: grpo}, cpus: 2}]
"""


@pytest.fixture
def project(tmp_path: Path) -> Project:
    made = Project.new(tmp_path / "study")
    (made.folder / "profiles.yaml").write_text(PROFILES, encoding="utf-8")
    return made


@pytest.fixture
def slurm(tmp_path: Path, project: Project) -> FakeSlurm:
    fake = FakeSlurm(tmp_path / "slurm", nodes=2, cpus=4)
    project.env.update({name: text for name, text in fake.env().items() if name in ("PATH", "FAKE_SLURM")})
    bin_folder = f"{Path(sys.executable).parent}"
    project.env["PATH"] = f"{fake.folder / 'bin'}{os.pathsep}{bin_folder}{os.pathsep}{os.environ['PATH']}"
    return fake


def findings(done: Done) -> dict[str, list[dict[str, Any]]]:
    out: dict[str, list[dict[str, Any]]] = {}
    for finding in json.loads(done.out)["findings"]:
        out.setdefault(finding["check"], []).append(finding)
    return out


def words(done: Done) -> dict[str, set[str]]:
    return {check: {each["word"] for each in found} for check, found in findings(done).items()}


def doctor(project: Project, *more: str, profile: str = "cluster") -> Done:
    return project.exc("doctor", "--profile", profile, "--json", *more)


def test_a_cluster_that_is_well(project: Project, slurm: FakeSlurm) -> None:
    done = doctor(project)
    assert done.code == 0, done
    found = words(done)
    assert not any("failure" in each for each in found.values()), done
    assert {
        "commands",
        "controller",
        "arrays",
        "accounting",
        "partitions",
        "store",
        "python",
        "scripts",
    } <= set(found)
    tested = [call for call in slurm.calls("sbatch") if "--test-only" in call.argv]
    assert len(tested) == len({job.cls for job in compiled(project)})
    assert not slurm.jobs(), "nothing is queued"


def compiled(project: Project) -> list[Any]:
    project.ok("compile", "--profile", "cluster")
    return list(project.plan.jobs)


def test_a_machine_without_slurm(project: Project, tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "bash").symlink_to("/bin/bash")
    project.env["PATH"] = str(tmp_path / "bin")
    done = doctor(project)
    assert done.code == 3, done
    (commands,) = findings(done)["commands"]
    assert "sbatch" in commands["said"]
    assert commands["todo"]
    assert "store" in words(done), "the rest is looked at all the same"


def test_a_partition_that_there_is_not(project: Project, slurm: FakeSlurm) -> None:
    project.edit("partition: main", "partition: gpu", "profiles.yaml")
    done = doctor(project)
    assert done.code == 3, done
    (partitions,) = findings(done)["partitions"]
    assert "`gpu`" in partitions["said"]
    assert "main" in partitions["todo"]
    assert slurm.folder.exists()


def test_a_controller_that_does_not_answer(project: Project, slurm: FakeSlurm) -> None:
    slurm.inject("scontrol", "slurm_load_ping error: Unable to contact slurm controller", times=10)
    done = doctor(project)
    assert done.code == 3, done
    assert words(done)["controller"] == {"failure"}
    assert "scripts" not in words(done), "nothing is asked of a controller that does not answer"


def test_a_script_that_slurm_refuses(project: Project, slurm: FakeSlurm) -> None:
    slurm.inject("sbatch", BUSY, at=2, times=1)
    done = doctor(project)
    assert done.code == 3, done
    (refused,) = [each for each in findings(done)["scripts"] if each["word"] == "failure"]
    assert "temporarily unable" in refused["said"]


def test_jobs_that_share_an_allocation_are_asked_about_together(project: Project, slurm: FakeSlurm) -> None:
    project.edit("{on: {kind: grpo}, cpus: 2}", "{on: {kind: score}, cpus: 2, pack: 3}", "profiles.yaml")
    assert doctor(project).code in (0, 3)
    wide = [call.argv for call in slurm.calls("sbatch") if "--cpus-per-task=6" in call.argv]
    assert len(wide) == 1, "of the one class of these jobs"
    assert "--mem=2862M" in wide[0]


def test_a_setup_that_fails(project: Project, slurm: FakeSlurm) -> None:
    project.edit(
        "  backend: slurm\n", "  backend: slurm\n  setup: [source nowhere/bin/activate]\n", "profiles.yaml"
    )
    done = doctor(project)
    assert done.code == 3, done
    (python,) = findings(done)["python"]
    assert "nowhere" in python["said"]
    assert slurm.folder.exists()


def test_a_variable_that_is_not_set(project: Project, slurm: FakeSlurm) -> None:
    project.edit("  backend: slurm\n", "  backend: slurm\n  env: [EXC_TEST_NOWHERE]\n", "profiles.yaml")
    done = doctor(project)
    assert done.code == 0, done
    assert words(done)["env"] == {"warning"}
    assert slurm.folder.exists()


def test_a_store_that_cannot_be_written_to(project: Project) -> None:
    (project.folder / "store").mkdir()
    (project.folder / "store" / "tmp").write_text("a file", encoding="utf-8")
    done = doctor(project, profile="local")
    assert done.code == 3, done
    assert words(done)["store"] == {"failure"}


def test_more_than_this_machine_has(project: Project) -> None:
    greedy = "local: {slots: 1, resources: [{on: {kind: sample}, cpus: 4, gpus: 9}]}"
    project.edit("local: {slots: 1}", greedy, "profiles.yaml")
    done = doctor(project, profile="local")
    assert done.code == 3, done
    assert words(done)["cpus"] == {"failure"}
    assert words(done)["gpus"] == {"failure"}


def test_a_node_sees_what_is_needed(project: Project, slurm: FakeSlurm) -> None:
    done = doctor(project, "--run")
    assert done.code == 0, done
    (node,) = findings(done)["node"]
    assert node["word"] == "ok"
    assert "sees the store" in node["said"]
    assert slurm.folder.exists()
    assert not list((project.store / "tmp").glob(".doctor*")), "nothing is left behind"


def test_a_node_that_does_not_see_the_store(project: Project, slurm: FakeSlurm) -> None:
    node, _ = on_a_node(project, slurm, "echo the store is not seen; exit 9")
    assert node["word"] == "failure"
    assert "the store is not seen" in node["said"]


def on_a_node(project: Project, slurm: FakeSlurm, said: str) -> tuple[dict[str, Any], str]:
    """What doctor finds of a node that says this, and what srun was given."""
    shim, given = slurm.folder / "bin" / "srun", slurm.folder / "given"
    shim.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" > {given}\n{said}\n', encoding="utf-8")
    done = doctor(project, "--run")
    (node,) = findings(done)["node"]
    assert done.code == (3 if node["word"] == "failure" else 0), done
    return node, given.read_text(encoding="utf-8")


def test_a_node_is_asked_for_a_gpu_where_jobs_want_some(project: Project, slurm: FakeSlurm) -> None:
    said = (
        "echo 'exc.runtime.context.JobFailed: the plan gives this job 1 GPU, and torch sees none' >&2\n"
        "echo 'srun: error: n1: task 0: Exited with exit code 1' >&2; exit 1"
    )
    _, given = on_a_node(project, slurm, said)
    assert "--gres" not in given
    assert "import exc\n" in given.replace("'", "\n")
    project.edit("{on: {kind: grpo}, cpus: 2}", "{on: {kind: grpo}, cpus: 2, gpus: 2}", "profiles.yaml")
    node, given = on_a_node(project, slurm, said)
    assert (node["word"], node["said"].rpartition(": ")[2]) == (
        "failure",
        "the plan gives this job 1 GPU, and torch sees none",
    )
    assert "a torch that fits the driver" in node["todo"]
    assert "--gres=gpu:1\n" in given
    assert "--export=HOME,PATH," in given
    assert "check_gpus(1)" in given


def test_a_node_that_is_not_free_is_no_fault(project: Project, slurm: FakeSlurm) -> None:
    busy = "srun: error: Unable to allocate resources: Requested nodes are busy"
    node, given = on_a_node(project, slurm, f"echo '{busy}' >&2; exit 1")
    assert (node["word"], node["said"]) == ("warning", f"none was free: {busy}")
    assert "--immediate=300" in given


@pytest.mark.parametrize(
    ("container", "line"),
    [
        ("{apptainer: exc.sif}", 'apptainer exec --bind "$EXC_ROOT:$EXC_ROOT"'),
        ("{pyxis: exc.sqsh}", "--container-image=exc.sqsh"),
    ],
)
def test_exc_is_looked_for_in_the_container(
    project: Project, slurm: FakeSlurm, container: str, line: str
) -> None:
    project.edit("backend: slurm", f"backend: slurm\n  container: {container}", "profiles.yaml")
    _, given = on_a_node(project, slurm, "exit 1")
    assert line in given
    assert "python -P -c 'import exc'" in given


def test_without_a_spec_the_profile_is_looked_at(project: Project) -> None:
    (project.folder / "experiment.yaml").unlink()
    done = project.exc("doctor")
    assert done.code == 0, done
    assert "no job was looked at" in done.out


def test_a_spec_with_mistakes(project: Project) -> None:
    project.edit("seed: 0", "seeds: 0")
    done = project.exc("doctor")
    assert done.code == 1, done
    assert "unknown-key" in done.err


def test_a_profile_that_there_is_not(project: Project) -> None:
    (project.folder / "experiment.yaml").unlink()
    assert doctor(project, profile="nowhere").code == 1


@pytest.mark.parametrize(
    ("text", "expected"),
    [("30 sec", 30), ("00:05:00", 300), ("2-00:00:00", 172800), ("05:00", 300), ("1-12", 129600),
     ("UNLIMITED", None), ("", None), ("0", 0)],
)  # fmt: skip
def test_times_as_slurm_prints_them(text: str, expected: float | None) -> None:
    assert seconds(text) == expected


def test_values_as_scontrol_prints_them() -> None:
    assert values("MinJobAge               = 300 sec\nPartitionName=a\n   State=UP MaxTime=1:00\n") == {
        "MinJobAge": "300 sec", "PartitionName": "a", "State": "UP", "MaxTime": "1:00",
    }  # fmt: skip
