"""What a fork server imports before it forks: all that stages of these kinds would import one by one.

Libraries load most of their modules on first use, so that importing a stage alone saves little: the modules
that its work touches are named here. A name that is not there is passed over; the job then imports what it
needs itself.
"""

from __future__ import annotations

import contextlib
import importlib
from collections.abc import Iterable, Sequence

from exc.runtime.stages import STAGES
from exc.spec.paired import PAIRED_KINDS
from exc.spec.profiles import TOGETHER

# Kinds whose processes spend seconds on importing torch and transformers.
HEAVY = frozenset(
    {
        *TOGETHER,
        *("merge", "sample", "bits_per_byte", "lm_eval", "tokenizer", "tokens"),
        "smoke",  # of kinds whose own jobs are in the plan, with modules of their own
    }
)

_MODEL = (
    "torch",
    "safetensors.torch",
    "transformers.models.auto.modeling_auto",
    "transformers.models.auto.tokenization_auto",
    "transformers.tokenization_utils_fast",
    "transformers.tokenization_utils_tokenizers",
    "transformers.generation.utils",
    "transformers.modeling_utils",
)
_TRAINER = (*_MODEL, "accelerate", "transformers.trainer", "torch.optim.adamw", "torch._dynamo")
_MODULES: dict[str, tuple[str, ...]] = {
    "pretrain": _TRAINER,
    "sft": (*_TRAINER, "datasets", "trl.trainer.sft_trainer"),
    "dpo": (*_TRAINER, "datasets", "trl.trainer.dpo_trainer"),
    "kto": (*_TRAINER, "datasets", "trl.trainer.kto_trainer"),
    "grpo": (*_TRAINER, "datasets", "trl.trainer.grpo_trainer"),
    **dict.fromkeys(
        PAIRED_KINDS, (*_TRAINER, "datasets", "trl.trainer.grpo_trainer", "trl.trainer.sft_trainer")
    ),
    "rloo": (*_TRAINER, "datasets", "trl.trainer.rloo_trainer"),
    "sample": (*_MODEL, "exc.runtime.stages.generate"),
    "bits_per_byte": _MODEL,
    "lm_eval": (*_MODEL, "datasets", "lm_eval", "lm_eval.models.huggingface", "lm_eval.tasks"),
    "merge": (*_MODEL, "mergekit.merge"),
    "tokenizer": ("tokenizers", "transformers.tokenization_utils_fast"),
    "tokens": ("tokenizers", "transformers.models.auto.tokenization_auto"),
}


def modules_for(kinds: Iterable[str], architectures: Iterable[str]) -> list[str]:
    """Modules to import for stages of these kinds on models of these architectures (such as `llama`)."""
    wanted: dict[str, None] = {}
    for kind in sorted(kinds):
        wanted.update(dict.fromkeys(_MODULES.get(kind, ())))
        if kind in STAGES:
            wanted[STAGES[kind].partition(":")[0]] = None
    for architecture in sorted(architectures):
        wanted[f"transformers.models.{architecture}.modeling_{architecture}"] = None
    return list(wanted)


def preload(modules: Sequence[str]) -> None:
    """Import what is there of these modules."""
    for module in modules:
        # A library that cannot be imported is the job's to explain, with its log and its failure class.
        with contextlib.suppress(Exception):
            importlib.import_module(module)
