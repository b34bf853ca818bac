"""What the plan says of an evaluation to the report."""

from __future__ import annotations

from typing import Any

from exc.compiler.facts import Facts
from exc.compiler.harness import harness_facts
from exc.compiler.sampling import BLOCK_SIZE
from exc.spec.experiment import Evaluation


def evaluation_facts(facts: Facts, evaluation: Evaluation) -> dict[str, Any]:
    """Its kind, its settings, and `metrics`: those that stand for it."""
    if evaluation.lm_eval is not None:
        return harness_facts(facts, evaluation.lm_eval)
    if (text := evaluation.bits_per_byte) is not None:
        return {"kind": evaluation.kind, "data": text.data, "metrics": ["bits_per_byte"]}
    if (sought := evaluation.contamination) is not None:
        settings = {"task": sought.task, "split": sought.split, "limit": sought.limit, "ngram": sought.ngram}
        return {"kind": evaluation.kind, **settings, "metrics": []}
    asked = evaluation.pass_at_k
    assert asked is not None
    return {
        "kind": evaluation.kind,
        "task": asked.task,
        "split": asked.split,
        "k": sorted(asked.k),
        "num_samples": asked.num_samples,
        "block_size": BLOCK_SIZE,
        "limit": asked.limit,
        "max_new_tokens": asked.max_new_tokens,
        "temperature": asked.temperature,
        "top_p": asked.top_p,
        "num_fewshot": asked.num_fewshot.model_dump(),
        "metrics": [f"pass@{k}" for k in sorted(asked.k)],
    }
