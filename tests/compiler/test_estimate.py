"""What jobs will cost."""

from __future__ import annotations

import json

from exc.compiler.folder import plan_folder
from tests.compiler.study import STUDY, loaded, plan_of


def test_costs_beyond_64_bits_are_told() -> None:
    """A run of real size has more operations than a whole number in JSON may have."""
    spec = loaded(STUDY)
    run = spec["trunks"]["tiny"]["pretrain"]
    run["model"] |= {"hidden_size": 2048, "num_hidden_layers": 16, "num_attention_heads": 16}
    run |= {"batch_size": 1024, "sequence_length": 4096, "tokens": "50B"}
    run["schedule"] |= {"warmup": "1B", "decay": "5B"}
    plan = plan_of(spec)
    heaviest = max(job.estimate.get("flops", 0) for job in plan.jobs)
    assert heaviest > 0
    costs = {job["id"]: job["estimate"] for job in json.loads(plan_folder(plan)["plan.json"])["jobs"]}
    assert max(cost.get("flops", 0) for cost in costs.values()) == heaviest
