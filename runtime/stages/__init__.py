"""What jobs do: one module per stage kind.

`STAGES` names each kind's entry point as "module:function"; the modules are imported only when a job of
that kind runs, because most of them load torch.
"""

from __future__ import annotations

STAGES: dict[str, str] = {
    "tokenizer": "exc.runtime.stages.tokenizer:run",
    "rows": "exc.runtime.stages.rows:run",
    "tokens": "exc.runtime.stages.tokens:run",
    "derive": "exc.runtime.stages.derive:run",
    "rate": "exc.runtime.stages.rate:run",
    "pretrain": "exc.runtime.stages.pretrain:run",
    "trainer": "exc.runtime.stages.trainer:run",
    "sft": "exc.runtime.stages.sft:run",
    "grpo": "exc.runtime.stages.grpo:run",
    "rloo": "exc.runtime.stages.rloo:run",
    "dpo": "exc.runtime.stages.dpo:run",
    "parallel": "exc.runtime.stages.parallel:run",
    "interleave": "exc.runtime.stages.interleave:run",
    "combined": "exc.runtime.stages.combined:run",
    "kto": "exc.runtime.stages.kto:run",
    "merge": "exc.runtime.stages.merge:run",
    "fetch": "exc.runtime.stages.fetch:run",
    "select": "exc.runtime.stages.select:run",
    "command": "exc.runtime.stages.command:run",
    "sample": "exc.runtime.stages.sample:run",
    "score": "exc.runtime.stages.score:run",
    "bits_per_byte": "exc.runtime.stages.bits_per_byte:run",
    "lm_eval": "exc.runtime.stages.lm_eval:run",
    "contamination": "exc.runtime.stages.contamination:run",
    "smoke": "exc.runtime.stages.smoke:run",
}
