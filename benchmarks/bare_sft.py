"""Supervised fine-tuning as one would write it with TRL alone: `bare_sft.py MODEL ROWS OUT`."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from datasets import Dataset
from transformers import AutoModelForCausalLM, AutoTokenizer
from trl import SFTConfig, SFTTrainer


def main() -> None:
    model, rows, out = sys.argv[1:]
    lines = [json.loads(line) for line in Path(rows).read_text(encoding="utf-8").splitlines()]
    examples = [
        {"prompt": row["fields"]["question"], "completion": row["demonstrations"][0]} for row in lines
    ]
    trainer = SFTTrainer(
        model=AutoModelForCausalLM.from_pretrained(model, dtype="float32"),
        args=SFTConfig(
            output_dir=out,
            learning_rate=1e-3,
            per_device_train_batch_size=32,
            max_steps=80,
            seed=0,
            use_cpu=True,
            bf16=False,
            gradient_checkpointing=False,
            save_strategy="no",
            report_to="none",
            disable_tqdm=True,
        ),
        train_dataset=Dataset.from_list(examples),
        processing_class=AutoTokenizer.from_pretrained(model),
    )
    trainer.train()
    trainer.save_model(out)


if __name__ == "__main__":
    main()
