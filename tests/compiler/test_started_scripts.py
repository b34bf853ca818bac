"""Scripts of a cluster's plan, run by bash with shims in the place of what they start."""

from __future__ import annotations

import os
import signal
import subprocess
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from tests.compiler.test_scripts import SIZES, rl, scripts


@pytest.mark.parametrize("number", [signal.SIGUSR2, signal.SIGTERM, signal.SIGINT])
def test_signals_to_the_batch_shell_reach_what_srun_started(tmp_path: Path, number: signal.Signals) -> None:
    """The batch shell stands until srun is done, and ends as srun did.

    srun passes SIGUSR2 on; at SIGTERM it kills its tasks, and at SIGINT it only prints how they are.
    """
    shims = {
        "srun": (
            "trap 'echo got >> \"$OUT\"; exit 75' USR2\ntrap 'exit 137' TERM\ntrap : INT\n"
            'echo up >> "$OUT"\nwhile :; do sleep 0.05; done'
        ),
        "scontrol": (
            'case "$*" in\n'
            '*hostnames*) printf "n1\\nn2\\n";;\n'
            '*) echo "NodeName=n1 NodeAddr=10.0.0.1 Port=1";;\n'
            "esac"
        ),
    }
    folder = tmp_path / "bin"
    folder.mkdir()
    for name, body in shims.items():
        (folder / name).write_text(f"#!/bin/bash\n{body}\n", encoding="utf-8")
        (folder / name).chmod(0o755)
    text = scripts({"on": {"kind": "grpo"}, **SIZES["8x4"]}, setup=[])["jobs/rl.rl.sh"]
    (tmp_path / "script.sh").write_text(text, encoding="utf-8")
    out = tmp_path / "out"
    environment = {
        "PATH": f"{folder}:{os.environ['PATH']}", "EXC_PLAN": str(tmp_path), "OUT": str(out),
        "SLURM_JOB_ID": "7", "SLURM_JOB_NODELIST": "n[1-2]",
    }  # fmt: skip
    process = subprocess.Popen(["bash", str(tmp_path / "script.sh"), "job"], env=environment)
    try:
        wait_for(lambda: out.exists() and "up" in out.read_text(encoding="utf-8"))
        process.send_signal(number)
        assert process.wait(30) == 75
    finally:
        process.kill()
    assert "got" in out.read_text(encoding="utf-8")


def run_with(folder: Path, text: str, program: str, body: str, **env: str) -> list[str]:
    """What a program prints in whose place a shim stands, from a script that runs it."""
    shims, plan = folder / "bin", folder / "plan"
    for made in (shims, plan):
        made.mkdir(exist_ok=True)
    (shims / program).write_text(f"#!/bin/bash\n{body}\n", encoding="utf-8")
    (shims / program).chmod(0o755)
    (folder / "script.sh").write_text(text, encoding="utf-8")
    done = subprocess.run(
        ["bash", str(folder / "script.sh"), "some/job"],
        env={"PATH": f"{shims}:{os.environ['PATH']}", "EXC_PLAN": str(plan), **env},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.split()


def test_jobs_that_share_an_allocation_meet_at_ports_of_their_own(tmp_path: Path) -> None:
    text = scripts({"on": {"kind": "grpo"}, **SIZES["1x4"], "pack": 2}, setup=[])["jobs/rl.rl.sh"]
    body = 'while [ "$1" != --main_process_port ]; do shift; done; echo "$2"'
    given = {"EXC_PYTHON": "shim", "SLURM_JOB_ID": "4711"}
    ports = [run_with(tmp_path, text, "shim", body, **given) for _ in range(2)]
    assert ports[0] != ports[1]
    assert all(20_000 <= int(port) < 32_000 for (port,) in ports)


def test_a_container_of_enroot_gets_what_is_set_and_nothing_else(tmp_path: Path) -> None:
    """`--env NAME` of what is not set makes an empty NAME, which accelerate takes for no truth value."""
    text = rl("1x4", container={"enroot": "exc.sqsh"}, setup=[])["jobs/rl.rl.sh"]
    body = 'for word in "$@"; do [ "$word" != exc.sqsh ] || exit 0; echo "$word"; done'
    element = {"SLURM_JOB_ID": "9", "SLURM_ARRAY_JOB_ID": "7", "SLURM_ARRAY_TASK_ID": "2"}
    words = run_with(tmp_path, text, "enroot", body, **element, CUDA_VISIBLE_DEVICES="0", HF_HOME="/hf")
    passed = {name for word, name in pairwise(words) if word == "--env"}
    assert {"EXC_PLAN", "EXC_STORE", "OMP_NUM_THREADS", "CUDA_VISIBLE_DEVICES", "HF_HOME", *element} <= passed
    assert not passed & {"ACCELERATE_USE_CPU", "EXC_ATTEMPT_DIR", "WANDB_API_KEY"}


def wait_for(true: Any) -> None:
    import time

    deadline = time.monotonic() + 30
    while not true():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


def test_a_step_of_one_node_takes_no_more_of_its_allocation_than_its_share(tmp_path: Path) -> None:
    """It would take all memory and all GPUs, and who shares the allocation would wait for it."""
    more: dict[str, Any] = {"container": {"pyxis": "exc.sqsh"}, "setup": [], "slurm": {"gpu_type": "a100"}}
    entry = {"on": {"kind": "grpo"}, **SIZES["1x4"], "pack": 2, "smoke": False}
    made = scripts(entry, {"on": {"kind": "score"}, "mem": "1GB", "pack": 4}, **more)
    body = 'printf "%s\\n" "$@"'
    given = {"SLURM_JOB_ID": "7"}
    rl_words = run_with(tmp_path, made["jobs/rl.rl.sh"], "srun", body, **given)
    assert {"--gres=gpu:a100:4", f"--mem={240 * 10**9 // 2**20}M"} <= set(rl_words)
    (score,) = [text for name, text in made.items() if name.endswith(".score.sh")]
    assert "--gres=none" in run_with(tmp_path, score, "srun", body, **given)
    alone = rl("8x4", **more)["jobs/rl.rl.sh"]
    assert "--gres" not in alone.partition("\nset -euo")[2]
