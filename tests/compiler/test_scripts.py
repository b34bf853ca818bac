"""Scripts of a cluster's plan, byte for byte, and as bash and accelerate read them."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from exc.compiler.folder import plan_folder
from exc.compiler.slurm_options import EXPORTED, sbatch_options, slurm_time
from exc.spec.diagnostics import Diagnostics
from exc.spec.nodes import plain
from exc.spec.profiles import Profile
from exc.spec.source import parse
from tests.compiler.study import STUDY, edited, identities, plan_of

GOLDEN = Path(__file__).parent.parent / "golden" / "slurm"
UPDATE = "EXC_UPDATE_GOLDEN"
WHERE = {"partition": "gpu", "account": "lab"}
SIZES: Mapping[str, Mapping[str, Any]] = {
    "1x1": {"gpus": 1, "cpus": 8, "mem": "60GB", "time": "8h"},
    "1x4": {"gpus": 4, "cpus": 32, "mem": "240GB", "time": "1d"},
    "8x4": {"nodes": 8, "gpus": 4, "cpus": 32, "mem": "240GB", "time": "2d", "vllm": {"memory": 0.3}},
}
CONTAINERS: Mapping[str, Mapping[str, Any]] = {
    "apptainer": {"apptainer": "exc.sif", "mounts": ["/scratch"], "options": ["--cleanenv"]},
    "enroot": {"enroot": "exc.sqsh", "mounts": ["/scratch:/data"]},
    "pyxis": {"pyxis": "registry#lab/exc:1", "mounts": ["/scratch"]},
}
# Large enough to be shared by 32 processes.
BIG = edited({"recipes.rl": [{"rl": {"grpo": {
    "task": "sums", "num_generations": 8, "prompts_per_rollout": 64, "rollouts": 40, "keep": [20],
    "args": {"learning_rate": 1.0e-5}}}}]})  # fmt: skip


def profile(*resources: Mapping[str, Any], **more: Any) -> Profile:
    given = {
        "backend": "slurm",
        "setup": ["module load cuda", "source venv/bin/activate"],
        "env": ["HF_HOME", "WANDB_API_KEY"],
        "slurm": WHERE,
        "resources": [{"cpus": 2, "mem": "4GB", "time": "1h"}, *resources],
        **more,
    }
    return Profile.model_validate(given, by_alias=True, by_name=False)


def scripts(*resources: Mapping[str, Any], **more: Any) -> dict[str, str]:
    plan = plan_of(BIG, profile=profile(*resources, **more), profile_name="cluster")
    return {name: content.decode() for name, content in plan_folder(plan).items() if name.startswith("jobs/")}


def rl(size: str, **more: Any) -> dict[str, str]:
    return scripts({"on": {"kind": "grpo"}, **SIZES[size], "smoke": False}, **more)


@pytest.mark.parametrize("size", SIZES)
def test_the_script_of_a_training_job(size: str) -> None:
    made = rl(size)
    for name, golden in (("rl.rl.sh", f"{size}.sh"), ("rl.rl.accelerate.yaml", f"{size}.accelerate.yaml")):
        check(golden, made.get(f"jobs/{name}"))


@pytest.mark.parametrize("way", CONTAINERS)
def test_the_script_of_a_container(way: str) -> None:
    made = rl("8x4" if way == "pyxis" else "1x4", container=CONTAINERS[way])
    check(f"{way}.sh", made["jobs/rl.rl.sh"])


def check(name: str, text: str | None) -> None:
    path = GOLDEN / name
    if os.environ.get(UPDATE):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        if text is not None:
            path.write_text(text, encoding="utf-8")
    there = path.read_text(encoding="utf-8") if path.exists() else None
    assert text == there, f"{name}: {UPDATE}=1 accepts this text"


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("way", [None, *CONTAINERS])
def test_bash_can_read_every_script(size: str, way: str | None, tmp_path: Path) -> None:
    more = {"container": CONTAINERS[way]} if way else {}
    for name, text in rl(size, **more).items():
        if name.endswith(".sh"):
            path = tmp_path / "script.sh"
            path.write_text(text, encoding="utf-8")
            subprocess.run(["bash", "-n", str(path)], check=True)
            lint(path)


def lint(path: Path) -> None:
    """What shellcheck says, where it is installed; and what is wrong in any script."""
    if shutil.which("shellcheck"):
        done = subprocess.run(
            ["shellcheck", "-e", "SC1090,SC1091,SC2317", str(path)], capture_output=True, text=True
        )
        assert done.returncode == 0, done.stdout
    text = path.read_text(encoding="utf-8")
    assert not re.search(r"\{[{%]", text)
    assert not re.search(r"[ \t]+$", text, flags=re.MULTILINE)
    header, _, body = text.partition("set -euo pipefail")
    assert "#SBATCH" not in body, "sbatch reads no options behind the first command"
    assert all(line.startswith("#") for line in header.splitlines() if line)


def test_every_option_of_accelerate_is_one_it_has() -> None:
    from accelerate.commands.launch import launch_command_parser

    known = {option for action in launch_command_parser()._actions for option in action.option_strings}
    for size in ("1x4", "8x4"):
        (command,) = re.findall(
            r"accelerate\.commands\.launch(.*?) -m exc", rl(size)["jobs/rl.rl.sh"], re.DOTALL
        )
        assert set(re.findall(r"--[a-z_]+", command)) <= known


def test_the_file_for_accelerate_is_one_it_reads(tmp_path: Path) -> None:
    from accelerate.commands.config.config_args import load_config_from_file

    path = tmp_path / "accelerate.yaml"
    path.write_text(rl("8x4")["jobs/rl.rl.accelerate.yaml"], encoding="utf-8")
    config = load_config_from_file(str(path))
    assert config.distributed_type == "MULTI_GPU"
    assert config.mixed_precision == "no"


def test_sharded_weights_are_in_script_and_file() -> None:
    from exc.compiler.compile import compile_plan
    from tests.compiler.study import facts_of, load

    experiment = load(BIG).experiment
    assert experiment is not None
    facts = facts_of(experiment.spec)
    settings = {("fsdp", "fsdp.yaml"): {"fsdp_version": 2}}
    given = profile({"on": {"kind": "sft"}, "gpus": 4, "launch": {"fsdp": "fsdp.yaml"}})
    facts = replace(facts, launch=settings)
    folder = plan_folder(compile_plan(experiment, facts, given, profile_name="cluster"))
    assert b"--use_fsdp \\" in folder["jobs/sft.sft.sh"]
    config = yaml.safe_load(folder["jobs/sft.sft.accelerate.yaml"])["fsdp_config"]
    assert config == {"fsdp_version": 2, "fsdp_cpu_ram_efficient_loading": False}
    assert "jobs/smoke.sft.sft.sh" not in folder, "what is sharded cannot be tried in one process"


def test_no_resource_is_part_of_identity() -> None:
    sizes = [profile({"on": {"kind": kind}, **SIZES["8x4"]}) for kind in ("grpo",)]
    alone = identities(plan_of(BIG))
    for given in (*sizes, profile(container=CONTAINERS["pyxis"]), profile({"pack": 4})):
        planned = identities(plan_of(BIG, profile=given))
        assert {name: planned[name] for name in alone} == alone


def test_a_kind_that_cannot_be_spread_has_one_process_on_one_node() -> None:
    made = scripts({"nodes": 2, "gpus": 2})
    assert "--nodes=1" in made["jobs/sums.sample.sh"]
    assert "accelerate.commands" not in made["jobs/sums.sample.sh"]
    assert "--nodes=2" in made["jobs/sft.sft.sh"]
    assert "--num_machines 2 --num_processes 4" in made["jobs/sft.sft.sh"]


def test_a_smoke_run_is_one_process_with_the_share_of_one() -> None:
    plan = plan_of(BIG, profile=profile({"on": {"kind": "grpo"}, **SIZES["8x4"]}))
    (smoke,) = [job for job in plan.jobs if job.id == "smoke/rl.rl"]
    assert smoke.resources["gpus"] == 1
    assert "nodes" not in smoke.resources
    assert smoke.config["config"]["prompts_per_rollout"] == 2


def test_entries_of_a_profile_are_merged_where_they_are_maps() -> None:
    given = profile(
        {"slurm": {"partition": "big", "extra": {"nice": 10}}},
        {"on": {"kind": "sft"}, "slurm": {"qos": "high", "extra": {"exclusive": True}}},
    )
    (sft, *_) = [job for job in plan_of(BIG, profile=given).jobs if job.kind == "sft"]
    merged = {"partition": "big", "qos": "high", "extra": {"nice": 10, "exclusive": True}}
    assert sft.resources["slurm"] == merged


def test_what_sbatch_is_told() -> None:
    resources = {"cpus": 8, "gpus": 2, "mem": 16 * 10**9, "time": 5400, "slurm": {"partition": "big"}}
    given = {
        "slurm": {
            **WHERE,
            "requeue": False,
            "grace": 60,
            "gpu_type": "a100",
            "extra": {"nice": 5, "spread-job": True},
        }
    }
    options = sbatch_options(resources, {**given, "env": ["HF_HOME"]}, "name")
    assert options == {
        "job-name": "name", "partition": "big", "account": "lab", "nodes": "1", "ntasks-per-node": "1",
        "cpus-per-task": "8", "gres": "gpu:a100:2", "mem": "15259M", "time": "01:30:00",
        "signal": "B:USR2@60", "no-requeue": "", "open-mode": "append", "kill-on-invalid-dep": "yes",
        "export": ",".join((*EXPORTED, "HF_HOME")), "nice": "5", "spread-job": "",
    }  # fmt: skip
    packed = sbatch_options(resources, given, "name", pack=3)
    assert (packed["cpus-per-task"], packed["gres"], packed["mem"]) == ("24", "gpu:a100:6", "45777M")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(1, "00:01:00"), (60, "00:01:00"), (5400, "01:30:00"), (86_400, "1-00:00:00"), (90_061, "1-01:02:00")],
)
def test_time_as_slurm_writes_it(seconds: int, text: str) -> None:
    assert slurm_time(seconds) == text


# Where the plan is found


def test_the_plan_of_a_script_that_slurm_copied(tmp_path: Path) -> None:
    """slurmd runs a copy of the script from a folder of its own."""
    study = tmp_path / "study"
    (study / "plan" / "jobs").mkdir(parents=True)
    (study / "plan" / "plan.json").write_text("{}", encoding="utf-8")
    spool = tmp_path / "spool" / "job00007"
    spool.mkdir(parents=True)
    text = scripts({"on": {"kind": "grpo"}}, setup=[])["jobs/sft.sft.sh"]
    (spool / "slurm_script").write_text(text, encoding="utf-8")
    shim = tmp_path / "python"
    shim.write_text('#!/bin/sh\necho "$EXC_PLAN" "$@"\n', encoding="utf-8")
    shim.chmod(0o755)

    def run(**env: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["bash", str(spool / "slurm_script"), "some/job"],
            cwd=tmp_path,
            env={"PATH": os.environ["PATH"], "EXC_PYTHON": str(shim), **env},
            capture_output=True,
            text=True,
        )

    plan = study / "plan"
    for submitted_from in (plan, study):
        done = run(SLURM_SUBMIT_DIR=str(submitted_from))
        assert done.stdout == f"{plan} -P -m exc.runtime.job some/job\n", done
    assert run(EXC_PLAN=str(plan)).stdout.startswith(f"{plan} ")
    lost = run()
    assert lost.returncode != 0
    assert "no plan is here" in lost.stderr


def test_the_study_itself_needs_no_cluster() -> None:
    assert "SBATCH" not in "".join(
        content.decode() for name, content in plan_folder(plan_of(STUDY)).items() if name.endswith(".sh")
    )


def test_the_page_about_scripts_accounts_for_every_line() -> None:
    page = (Path(__file__).parent.parent.parent / "docs" / "scripts.md").read_text(encoding="utf-8")
    blocks = re.findall(r"accounts_for_every_line -->\n```sh\n(.*?)```", page, re.DOTALL)
    shown = [line for block in blocks for line in block.splitlines() if line]
    script = (GOLDEN / "8x4.sh").read_text(encoding="utf-8")
    assert shown == [line for line in script.splitlines() if line]


def test_the_page_shows_the_profile_of_its_script() -> None:
    page = (Path(__file__).parent.parent.parent / "docs" / "scripts.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
    node = parse(block, "profiles.yaml", Diagnostics())
    assert node is not None
    data: Any = plain(node)
    shown = Profile.model_validate(data["cluster"], by_alias=True, by_name=False)
    assert shown == profile({"on": {"kind": "grpo"}, **SIZES["8x4"], "smoke": False})
