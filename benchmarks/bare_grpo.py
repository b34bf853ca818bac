"""GRPO as one would write it with TRL alone: `bare_grpo.py MODEL ROWS OUT`."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from datasets import Dataset
from transformers import AutoModelForCausalLM, AutoTokenizer
from trl import GRPOConfig, GRPOTrainer


def reward(completions: list[str], answer: list[str], **_: Any) -> list[float | None]:
    return [
        1.0 if text.strip() == right else 0.1 if text.strip() else 0.0
        for text, right in zip(completions, answer, strict=True)
    ]


def main() -> None:
    model, rows, out = sys.argv[1:]
    lines = [json.loads(line) for line in Path(rows).read_text(encoding="utf-8").splitlines()]
    prompts = [{"prompt": row["fields"]["question"], "answer": row["answer"]} for row in lines]
    trainer = GRPOTrainer(
        model=AutoModelForCausalLM.from_pretrained(model, dtype="float32"),
        reward_funcs=[reward],
        args=GRPOConfig(
            output_dir=out,
            learning_rate=5e-4,
            max_completion_length=24,
            num_generations=8,
            per_device_train_batch_size=64,
            max_steps=12,
            seed=0,
            use_cpu=True,
            bf16=False,
            gradient_checkpointing=False,
            save_strategy="no",
            report_to="none",
            disable_tqdm=True,
        ),
        train_dataset=Dataset.from_list(prompts),
        processing_class=AutoTokenizer.from_pretrained(model),
    )
    trainer.train()
    trainer.save_model(out)


if __name__ == "__main__":
    main()
