"""Model folders: loading them, and what a pass over them costs."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from exc.runtime.context import JobContext, JobFailed


@dataclass(frozen=True, slots=True)
class Loaded:
    """A model ready for inference in float32, with its tokenizer and where it lives."""

    model: Any
    tokenizer: Any
    device: Any
    num_nonembedding: int  # parameters outside the input and output embeddings


def limit_threads(num_threads: int) -> None:
    """Hold the tokenizers' thread pool to `num_threads`; it is made once, when first used."""
    os.environ.setdefault("RAYON_NUM_THREADS", str(max(1, num_threads)))


def load_model(ctx: JobContext, role: str = "model") -> Loaded:
    """Load the model that fills `role`, offline, on the GPU if there is one.

    Raises JobFailed("config") when the folder does not hold a model that transformers can read.
    """
    import torch
    from transformers import AutoModelForCausalLM
    from transformers.utils import logging

    silence: Any = logging.disable_progress_bar  # bars are for a terminal, not for a log
    silence()
    limit_threads(ctx.num_threads)
    torch.set_num_threads(max(1, ctx.num_threads))
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    folder = ctx.inputs[role]
    tokenizer = load_tokenizer(folder)
    try:
        model: Any = AutoModelForCausalLM.from_pretrained(folder, local_files_only=True, dtype=torch.float32)
    except (OSError, ValueError) as error:
        raise JobFailed("config", f"no model can be loaded from {folder}: {error}") from error
    model = model.to(device).eval()
    return Loaded(model, tokenizer, device, count_nonembedding(model))


def load_tokenizer(folder: Path) -> Any:
    """Load the tokenizer of a folder, offline; raises JobFailed("config") when there is none."""
    from transformers import AutoTokenizer

    try:
        tokenizer: Any = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    except (OSError, ValueError) as error:
        raise JobFailed("config", f"no tokenizer can be loaded from {folder}: {error}") from error
    # Rewards and evaluations judge what the model wrote: no decoding may take the space out of "1 , 2".
    tokenizer.clean_up_tokenization_spaces = False
    return tokenizer


def count_nonembedding(model: Any) -> int:
    """Count the parameters outside the input embedding and, where it is a matrix of its own, the output's."""
    embeddings = [model.get_input_embeddings(), model.get_output_embeddings()]
    barred = {
        id(parameter) for module in embeddings if module is not None for parameter in module.parameters()
    }
    return sum(p.numel() for p in model.parameters() if id(p) not in barred)


def forward_flops(num_nonembedding: int, num_tokens: int) -> float:
    """Estimate the cost of a forward pass: two operations per parameter and token."""
    return 2.0 * num_nonembedding * num_tokens
