"""Profiles of clusters: what they may say, what belongs to another backend, and that they hold no secret."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import pytest
import yaml

from exc.spec.diagnostics import Diagnostics
from exc.spec.launch_files import read_launch_files
from exc.spec.launch_settings import DEEPSPEED, ELSEWHERE, FSDP
from exc.spec.profile import load_profile
from exc.spec.profiles import Profile
from exc.spec.render import render_text
from exc.spec.secrets_in import secrets_in

CLUSTER = """
cluster:
  backend: slurm
  store: /shared/store
  setup: [module load cuda, source venv/bin/activate]
  env: [HF_HOME, WANDB_API_KEY]
  container: {apptainer: exc.sif, mounts: [/scratch]}
  slurm: {partition: gpu, account: lab, qos: normal, requeue: true, grace: 5m, max_jobs: 200,
          controller: true, extra: {nice: 100, exclusive: true}}
  resources:
    - {cpus: 4, mem: 16GB, time: 2h}
    - {on: {kind: grpo}, nodes: 8, gpus: 4, cpus: 32, mem: 200GB, time: 2d,
       vllm: {mode: colocate, memory: 0.3}, launch: {fsdp: fsdp.yaml},
       slurm: {partition: big, gpu_type: a100}}
    - {on: {kind: score}, pack: 16}
"""


def load(folder: Path, text: str, name: str) -> tuple[Profile | None, Diagnostics, dict[str, str]]:
    (folder / "profiles.yaml").write_text(text, encoding="utf-8")
    diagnostics, sources = Diagnostics(), dict[str, str]()
    return load_profile(name, folder, diagnostics, sources), diagnostics, sources


def found(folder: Path, text: str, name: str = "p") -> list[tuple[int, str]]:
    _, diagnostics, _ = load(folder, text, name)
    return [(each.span.line if each.span else 0, each.code) for each in diagnostics.sorted()]


def test_a_profile_of_a_cluster(tmp_path: Path) -> None:
    profile, diagnostics, _ = load(tmp_path, CLUSTER, "cluster")
    assert not diagnostics.has_errors, list(map(str, diagnostics))
    assert profile is not None
    assert profile.slurm.grace == 300
    grpo = profile.resources[1]
    assert (grpo.nodes, grpo.mem, grpo.time) == (8, 200 * 10**9, 2 * 86400)
    assert grpo.slurm is not None
    assert grpo.slurm.partition == "big"


@pytest.mark.parametrize(
    "text",
    [
        "p: {slurm: {partition: gpu}}",
        "p: {container: {apptainer: exc.sif}}",
        "p: {resources: [{nodes: 2}]}",
        "p: {resources: [{mem: 4GB}]}",
        "p: {resources: [{pack: 4}]}",
        "p: {resources: [{slurm: {partition: gpu}}]}",
        "p: {backend: slurm, slots: 4}",
        "p: {backend: slurm, gpus: 4}",
    ],
)
def test_a_setting_of_the_other_backend_is_an_error_with_a_hint(tmp_path: Path, text: str) -> None:
    _, diagnostics, _ = load(tmp_path, text, "p")
    (finding,) = diagnostics.sorted()
    assert finding.code == "wrong-backend"
    assert finding.hint
    assert finding.span is not None


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("env: [HF_TOKEN=abcdef]", "secret-value"),
        ("env: [not a name]", "bad-value"),
        ("setup: [export WANDB_API_KEY=0123456789]", "secret-value"),
        ("setup: ['curl https://me:hunter2@host/x']", "secret-value"),
        ("setup: [huggingface-cli login --token hf_abcdefghijklmnopqrstuvwx]", "secret-value"),
        ("slurm: {extra: {comment: 'PASSWORD=hunter2'}}", "secret-value"),
        ("container: {pyxis: image, options: ['--container-env=API_KEY=12345']}", "secret-value"),
        ("container: {mounts: [/x]}", "bad-value"),
        ("container: {pyxis: image, enroot: image}", "bad-value"),
        ("slurm: {partition: 'a b'}", "bad-value"),
        ("slurm: {extra: {gres: 'gpu:1'}}", "bad-value"),
        ("slurm: {extra: {mem_per_cpu: 1G}}", "bad-value"),
        ("slurm: {extra: {Nice: 1}}", "bad-value"),
        ("slurm: {grace: 10m}, resources: [{time: 10m}]", "bad-value"),
        ("resources: [{launch: {}}]", "bad-value"),
        ("resources: [{launch: {fsdp: a, deepspeed: b}}]", "bad-value"),
        ("resources: [{nodes: 2, pack: 2}]", "bad-value"),
        ("resources: [{on: {kind: sample}, nodes: 2}]", "bad-value"),
        ("resources: [{on: {kind: score}, processes: 2}]", "bad-value"),
        ("resources: [{on: {kind: sft}, gpus: 4, processes: 8}]", "bad-value"),
        ("resources: [{vllm: {mode: colocated}}]", "bad-choice"),
        ("resources: [{vllm: {memory: 30}}]", "bad-value"),
        ("resources: [{mem: 16}]", "wrong-unit"),
    ],
)
def test_what_a_profile_cannot_say(tmp_path: Path, text: str, code: str) -> None:
    assert found(tmp_path, f"p: {{backend: slurm, {text}}}") == [(1, code)]


@pytest.mark.parametrize(
    "line",
    ["export HF_TOKEN=$(cat ~/.token)", "export KEY_FILE=/etc/key", "HF_TOKEN=$TOKEN", "source ~/secret.sh",
     "export HF_TOKEN", "module load cuda/12", "export TOKENIZERS_PARALLELISM=false",
     "export SSH_KEY=~/.ssh/id"],
)  # fmt: skip
def test_a_line_that_holds_no_secret(line: str) -> None:
    assert list(secrets_in(line)) == []


def test_no_report_shows_the_secret(tmp_path: Path) -> None:
    text = "p:\n  setup: [export HF_TOKEN=hf_abcdefghijklmnopqrstuvwx]\n  env: [MY_KEY=verysecret]\n"
    _, diagnostics, sources = load(tmp_path, text, "p")
    shown = render_text(diagnostics, sources, color=False)
    assert shown.count("secret-value") == 2
    assert "HF_TOKEN" in shown
    assert "hf_abc" not in shown
    assert "verysecret" not in shown


def test_a_command_may_have_several_nodes_to_itself(tmp_path: Path) -> None:
    assert found(tmp_path, "p: {backend: slurm, resources: [{on: {kind: command}, nodes: 2}]}") == []


# Launch files


def launch(folder: Path, text: str | None, way: str = "fsdp") -> tuple[dict[str, object], list[str]]:
    profile = Profile.model_validate({"resources": [{"launch": {way: "file.yaml"}}]})
    if text is not None:
        (folder / "file.yaml").write_text(text, encoding="utf-8")
    diagnostics = Diagnostics()
    settings = read_launch_files(profile, folder, diagnostics, {})
    return dict(settings[way, "file.yaml"]), [each.code for each in diagnostics.sorted()]


def test_a_whole_file_of_accelerate(tmp_path: Path) -> None:
    text = """
compute_environment: LOCAL_MACHINE
distributed_type: FSDP
mixed_precision: 'no'
num_processes: 8
fsdp_config: {fsdp_version: 2, fsdp_auto_wrap_policy: TRANSFORMER_BASED_WRAP}
"""
    settings = {"fsdp_auto_wrap_policy": "TRANSFORMER_BASED_WRAP", "fsdp_version": 2}
    assert launch(tmp_path, text) == (settings, [])


def test_the_section_alone(tmp_path: Path) -> None:
    assert launch(tmp_path, "version: 2\n") == ({"fsdp_version": 2}, [])
    assert launch(tmp_path, "zero_stage: 3\n", "deepspeed") == ({"zero_stage": 3}, [])


@pytest.mark.parametrize(
    ("text", "codes"),
    [
        (None, ["missing-file"]),
        ("fsdp_versoin: 2", ["unknown-key"]),
        ("distributed_type: DEEPSPEED\nfsdp_config: {fsdp_version: 2}", ["launch-settings"]),
        ("distributed_type: FSDP", ["launch-settings"]),
        ("mixed_precision: bf16\nfsdp_config: {fsdp_version: 2}", ["launch-settings"]),
        ("fsdp_config: {fsdp_version: 2}\nnum_process: 4", ["unknown-key"]),
        ("fsdp_config: 2", ["wrong-type"]),
        ("- a", ["wrong-type"]),
        ("a: [", ["yaml-syntax"]),
    ],
)
def test_what_a_launch_file_cannot_say(tmp_path: Path, text: str | None, codes: list[str]) -> None:
    assert launch(tmp_path, text)[1] == codes


def test_a_stage_of_zero_that_there_is_not(tmp_path: Path) -> None:
    assert launch(tmp_path, "zero_stage: 4", "deepspeed")[1] == ["bad-choice"]


def test_the_fields_are_those_of_the_installed_accelerate() -> None:
    from accelerate.commands.config.config_args import ClusterConfig
    from accelerate.commands.launch import launch_command_parser

    there = {action.dest for action in launch_command_parser()._actions}
    not_flags = {"fsdp_ignored_modules"}  # read from a file alone
    assert {f"fsdp_{name}" for name in FSDP} - not_flags == {
        name for name in there if name.startswith("fsdp_")
    }
    assert set(DEEPSPEED) <= there
    known = {field.name for field in fields(ClusterConfig)}
    assert set(ELSEWHERE) <= known


def test_the_files_that_trl_ships_are_read_but_for_their_precision(tmp_path: Path) -> None:
    import trl

    folder = Path(trl.__file__).parent / "accelerate_configs"
    for name, way in (("fsdp2", "fsdp"), ("fsdp1", "fsdp"), ("zero3", "deepspeed"), ("zero1", "deepspeed")):
        data = yaml.safe_load((folder / f"{name}.yaml").read_text(encoding="utf-8"))
        data["mixed_precision"] = "no"
        settings, codes = launch(tmp_path, yaml.safe_dump(data), way)
        assert codes == []
        assert settings
