"""A job whose weights FSDP spreads, by the script of its plan: on the CPU, where accelerate is told to."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from tests.end_to_end.project import TIMEOUT_S, Project, wait_until
from tests.end_to_end.test_together import script
from tests.end_to_end.together import by_hand, difference, lead_up, of_kind, saved_steps

pytestmark = pytest.mark.ci

CHECKOUT = Path(__file__).resolve().parents[2]
PROFILES = """
local: {save_interval: 0s, resources: [{on: {kind: pretrain}, micro_batch_size: 4}]}
spread:
  save_interval: 0s
  resources:
    - {on: {kind: pretrain}, micro_batch_size: 4}
    - {on: {kind: sft}, gpus: 2, cpus: 2, launch: {fsdp: fsdp.yaml}}
"""
SETTINGS = """
distributed_type: FSDP
fsdp_config: {fsdp_version: 2, fsdp_auto_wrap_policy: TRANSFORMER_BASED_WRAP}
"""
# Read by every Python that starts; those of a job have a rank.
ALLOW = "import os\nif 'RANK' in os.environ:\n    from tests.fsdp_on_cpu import allow\n    allow()\n"


def test_stopped_and_gone_on_with_it_is_what_one_process_makes(tmp_path: Path) -> None:
    alone = Project.new(tmp_path / "alone")
    lead_up(alone, PROFILES)
    spread = alone.copy(tmp_path / "spread")
    (job,) = of_kind(alone, "sft")
    by_hand(alone, job)
    (spread.folder / "fsdp.yaml").write_text(SETTINGS, encoding="utf-8")
    (spread.folder / "sitecustomize.py").write_text(ALLOW, encoding="utf-8")
    path = (str(spread.folder), str(CHECKOUT), os.environ.get("PYTHONPATH", ""))
    spread.env["PYTHONPATH"] = os.pathsep.join(path)
    spread.ok("compile", "--profile", "spread")
    undisturbed = spread.copy(tmp_path / "undisturbed")
    by_hand(undisturbed, job)
    assert 0 < difference(alone, undisturbed, job) < 1e-5
    with script(spread, job) as process:
        wait_until(lambda: len(saved_steps(spread, job)) >= 2)
        os.killpg(process.pid, signal.SIGUSR2)
        assert process.wait(TIMEOUT_S) == 75, "saved, and to be gone on with"
    assert max(saved_steps(spread, job)) < 40
    by_hand(spread, job)
    assert difference(undisturbed, spread, job) == 0.0
