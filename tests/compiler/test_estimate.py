"""What jobs will cost."""

from __future__ import annotations

from pathlib import Path

from exc.compiler.folder import plan_folder
from exc.compiler.plan import read_plan
from tests.compiler.study import STUDY, loaded, plan_of


def test_costs_beyond_64_bits_are_told(tmp_path: Path) -> None:
    """A run of real size has more operations than a whole number in JSON may have."""
    spec = loaded(STUDY)
    run = spec["trunks"]["tiny"]["pretrain"]
    run["model"] |= {
        "hidden_size": 8192,
        "intermediate_size": 28672,
        "num_hidden_layers": 80,
        "num_attention_heads": 64,
    }
    run |= {"batch_size": 1024, "sequence_length": 4096, "tokens": "50B"}
    run["schedule"] |= {"warmup": "1B", "decay": "5B"}
    plan = plan_of(spec)
    heaviest = max(job.estimate.get("flops", 0) for job in plan.jobs)
    assert heaviest > 2**64
    (tmp_path / "plan.json").write_bytes(plan_folder(plan)["plan.json"])
    assert max(job.estimate.get("flops", 0) for job in read_plan(tmp_path).jobs) == heaviest
