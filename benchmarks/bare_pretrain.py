"""Pre-training as one would write it with transformers alone: `bare_pretrain.py TOKENIZER TOKENS OUT`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM, Trainer, TrainingArguments

LENGTH = 96


class Windows(torch.utils.data.Dataset[dict[str, torch.Tensor]]):
    """Consecutive windows of one array of token ids."""

    def __init__(self, path: Path) -> None:
        self.tokens = np.memmap(path, dtype=np.uint16, mode="r")

    def __len__(self) -> int:
        return len(self.tokens) // LENGTH

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        ids = torch.from_numpy(self.tokens[index * LENGTH : (index + 1) * LENGTH].astype(np.int64))
        return {"input_ids": ids, "labels": ids}


def make_model(tokenizer: Any) -> LlamaForCausalLM:
    return LlamaForCausalLM(
        LlamaConfig(
            hidden_size=128,
            num_hidden_layers=4,
            num_attention_heads=4,
            intermediate_size=384,
            max_position_embeddings=128,
            vocab_size=len(tokenizer),
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        )
    )


def main() -> None:
    folder, tokens, out = sys.argv[1:]
    torch.manual_seed(0)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    trainer = Trainer(
        model=make_model(tokenizer),
        args=TrainingArguments(
            output_dir=out,
            learning_rate=3e-3,
            lr_scheduler_type="constant_with_warmup",
            warmup_steps=10,
            adam_beta2=0.95,
            weight_decay=0.1,
            per_device_train_batch_size=16,
            max_steps=40,
            logging_steps=10,
            seed=0,
            use_cpu=True,
            save_strategy="no",
            report_to="none",
            disable_tqdm=True,
        ),
        train_dataset=Windows(Path(tokens)),
        processing_class=tokenizer,
    )
    trainer.train()
    trainer.save_model(out)


if __name__ == "__main__":
    main()
