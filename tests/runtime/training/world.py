"""Small things to train on and with: a tokenizer, token files, rows and models, made in a second."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

MODEL = {
    "architecture": "llama",
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "max_position_embeddings": 64,
    "initializer_range": 0.1,
}
SEQUENCE_LENGTH = 12


def write_tokenizer(folder: Path) -> Path:
    """A byte-level tokenizer without merges: 256 bytes, then the special tokens."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    tokenizer_class: Any = PreTrainedTokenizerFast

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE(vocab={char: n for n, char in enumerate(alphabet)}, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    fast = tokenizer_class(tokenizer_object=tokenizer, eos_token="<|endoftext|>", pad_token="<|padding|>")
    fast.save_pretrained(folder)
    return folder


def write_tokens(folder: Path, num_tokens: int, seed: int = 0, vocabulary: int = 256) -> Path:
    folder.mkdir(parents=True)
    tokens = np.random.default_rng(seed).integers(0, vocabulary, num_tokens).astype("<u2")
    tokens.tofile(folder / "tokens.bin")
    index = {"dtype": "uint16", "num_tokens": num_tokens, "num_documents": 1, "num_bytes": num_tokens}
    (folder / "index.json").write_text(json.dumps(index), encoding="utf-8")
    return folder


def write_rows(folder: Path, count: int = 7) -> Path:
    folder.mkdir(parents=True)
    lines = [
        {
            "index": n,
            "fields": {"a": n, "b": 2, "chosen": f" {n + 2}", "rejected": f" it is {n}"},
            "answer": str(n + 2),
            "demonstrations": [f" {n + 2}", f" it is {n + 2}"],
        }
        for n in range(count)
    ]
    (folder / "rows.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    return folder


def write_model_folder(folder: Path, tokenizer: Path, **changes: Any) -> Path:
    from exc.runtime.stages.models import load_tokenizer
    from exc.runtime.stages.weights import make_model, write_model

    write_model(make_model({**MODEL, **changes}, load_tokenizer(tokenizer), 5), tokenizer, folder)
    return folder


def make_world(folder: Path) -> dict[str, Path]:
    """Every input that a training stage may name."""
    tokenizer = write_tokenizer(folder / "tokenizer")
    return {
        "tokenizer": tokenizer,
        "tokens:big": write_tokens(folder / "big", 600, seed=1),
        "tokens:small": write_tokens(folder / "small", 100, seed=2),
        "rows": write_rows(folder / "rows"),
        "rows:rl": write_rows(folder / "rows-rl"),
        "rows:sft": write_rows(folder / "rows-sft", 5),
        "model": write_model_folder(folder / "model", tokenizer),
    }


def pretrain_config(step: int, **changes: Any) -> dict[str, Any]:
    lr = {
        "shape": "cosine",
        "peak": 1e-2,
        "warmup_steps": 3,
        "total_steps": 24,
        "decay_steps": 0,
        "floor": 0.1,
    }
    return {
        "model": MODEL,
        "mixture": [{"name": "big", "weight": 3.0}, {"name": "small", "weight": 1.0}],
        "batch_size": 4,
        "sequence_length": SEQUENCE_LENGTH,
        "step": step,
        "lr": lr,
        "optimizer": {"betas": [0.9, 0.95], "eps": 1e-8, "weight_decay": 0.1, "max_grad_norm": 1.0},
        "precision": "fp32",
        "seed": 3,
        "micro_batch_size": 2,
        **changes,
    }


def frozen_arguments(config_class: Any, **changes: Any) -> dict[str, Any]:
    """Every field of a TRL config at its default, as JSON holds it: what a plan's `args` is."""
    import dataclasses
    from enum import Enum

    defaults = {}
    for field in dataclasses.fields(config_class):
        if not field.init:
            continue
        value = field.default
        if field.default_factory is not dataclasses.MISSING:
            value = field.default_factory()
        defaults[field.name] = value.value if isinstance(value, Enum) else value
    return {**defaults, **changes}


def sft_config(**changes: Any) -> dict[str, Any]:
    from trl import SFTConfig

    args = changes.pop("args", {})
    return {
        "prompt": "{a}+{b}=",
        "stop": [],
        "demonstrations": "all",
        "batch_size": 4,
        "max_steps": 12,
        "args": frozen_arguments(SFTConfig, **{"learning_rate": 1e-2, "max_length": 32, **args}),
        "seed": 11,
        "micro_batch_size": 2,
        **changes,
    }


def dpo_config(**changes: Any) -> dict[str, Any]:
    from trl import DPOConfig

    args = changes.pop("args", {})
    return {
        "prompt": "{a}+{b}=",
        "batch_size": 4,
        "max_steps": 10,
        "args": frozen_arguments(DPOConfig, **{"learning_rate": 1e-3, "max_length": 32, **args}),
        "seed": 5,
        "micro_batch_size": 2,
        **changes,
    }


def kto_config(**changes: Any) -> dict[str, Any]:
    from trl import KTOConfig

    args = changes.pop("args", {})
    return {
        "prompt": "{a}+{b}=",
        "unpair": True,
        "batch_size": 4,
        "max_steps": 10,
        "args": frozen_arguments(
            KTOConfig,
            **{"learning_rate": 1e-3, "max_length": 32, "train_sampling_strategy": "random", **args},
        ),
        "seed": 5,
        "micro_batch_size": 2,
        **changes,
    }


LORA = {
    "r": 4,
    "lora_alpha": 8.0,
    "lora_dropout": 0.1,
    "target_modules": "all-linear",
    "use_rslora": False,
}


def grpo_config(**changes: Any) -> dict[str, Any]:
    from trl import GRPOConfig

    args = changes.pop("args", {})
    return {
        "prompt": "{a}+{b}=",
        "stop": [],
        "verifier": {"kind": "python", "target": "judge:judge", "code": ""},
        "rewards": {"correct": 1.0, "format": 0.1},
        "num_generations": 4,
        "prompts_per_rollout": 2,
        "updates_per_rollout": 2,
        "rollouts": 8,
        "args": frozen_arguments(GRPOConfig, **{"learning_rate": 1e-2, "max_completion_length": 6, **args}),
        "seed": 7,
        "micro_batch_size": 2,
        **changes,
    }


def rloo_config(**changes: Any) -> dict[str, Any]:
    from trl import RLOOConfig

    args = changes.pop("args", {})
    given = {"learning_rate": 1e-2, "max_completion_length": 6, **args}
    return grpo_config(**changes) | {"args": frozen_arguments(RLOOConfig, **given)}


def paired_config(kind: str, **changes: Any) -> dict[str, Any]:
    """A stage with two sides: 6 steps, or 3 rounds of 2 on rollouts and 3 on demonstrations."""
    lengths: dict[str, Any] = {"max_steps": 6, "weights": [0.5, 0.5]}
    own: dict[str, Any] = {
        "parallel": {**lengths, "sync_every": 1},
        "combined": lengths,
        "interleave": {"rounds": 3, "rl_steps": 2, "sft_steps": 3},
    }[kind]
    sides = {"rl": changes.pop("rl", {}), "sft": changes.pop("sft", {})}
    made = {"rl": grpo_config(**{"updates_per_rollout": 1, **sides["rl"]}), "sft": sft_config(**sides["sft"])}
    of_both = ("seed", "micro_batch_size", "rollouts", "max_steps")
    inner = {
        side: {name: value for name, value in config.items() if name not in of_both}
        for side, config in made.items()
    }
    return {**own, **inner, "seed": 7, "micro_batch_size": 2, **changes}


# Half of what a random model says is right, so that there is something to learn from.
JUDGE = """def judge(completion, answer, row):
    return None if not completion else len(completion.encode()) % 2 == 0
"""


def tree_digests(folder: Path) -> Mapping[str, str]:
    """Relative path -> sha256 of every file."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
