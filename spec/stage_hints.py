"""Names that people write for the keys of a spec although other words stand there."""

from __future__ import annotations

from collections.abc import Iterable

from pydantic import BaseModel

from exc.spec.arg_names import ELSEWHERE, FOREIGN, RENAMED
from exc.spec.arg_roles import STAGE_KEYS
from exc.spec.args import hint_beside

# Model that is a stage's body -> the kind of the stage.
_KINDS = {"Sft": "sft", "Grpo": "grpo", "Rloo": "rloo", "Dpo": "dpo", "Kto": "kto"}
_KINDS |= {"RlSide": "grpo", "SftSide": "sft"}  # sides of one

_TRUNK = "a model that is trained, or read, is a trunk: write an entry under `trunks`"
_STAGE = "what trains a model is a stage: write it in a recipe, such as `- rl: {grpo: {...}}`"
_RATE = "write it in `schedule`"
# Model -> the hint, and the keys it is for. A hint is a sentence without its point.
_PLACES: dict[str, tuple[tuple[str, str], ...]] = {
    "Spec": (
        (_TRUNK, "base_model model model_name_or_path pretrain actor_rollout_ref"),
        (_STAGE, "trainer algorithm rl sft grpo rloo dpo kto stage training trainers recipe"),
        ("rows are named under `data`", "datasets dataset train_files"),
        ("it is the name of the study: write `experiment`", "name title experiment_name project_name"),
        ("results go to the store, which the profile names", "output_dir out default_local_dir"),
        ("resources belong to a profile, in profiles.yaml", "resources slurm cluster gpus nodes profile"),
        ("write an entry under `evaluations`", "eval evaluate metrics"),
        ("write `num` or `seeds` under `replicates`", "seeds num_seeds"),
    ),
    "Pretrain": (
        (f"{_RATE}, as `peak`", "lr learning_rate max_lr peak_lr"),
        (f"{_RATE}, as `warmup`, in tokens", "warmup warmup_steps warmup_tokens warmup_ratio"),
        (f"{_RATE}, as `shape`", "lr_scheduler lr_scheduler_type"),
        (f"{_RATE}, as `floor`, a share of the peak", "min_lr min_lr_ratio"),
        (
            "write `tokens`: a run is as long as the tokens it reads",
            "steps max_steps epochs num_epochs max_tokens",
        ),
        ("write `sequence_length`", "seq_len seq_length sequence_len block_size context_length cutoff_len"),
        ("write `batch_size`, over all devices", "global_batch_size train_batch_size"),
        (
            "how many sequences a device takes at once is `micro_batch_size` in the profile",
            "micro_batch_size per_device_train_batch_size gradient_accumulation_steps device_batch_size",
        ),
        ("write `weight_decay`, `betas`, `eps` and `max_grad_norm` in `optimizer`",
         "weight_decay betas eps max_grad_norm grad_clip gradient_clipping"),
        ("write `precision`", "bf16 fp16 dtype mixed_precision"),
    ),
    "Stage": (
        ("write it below the stage's kind, beside `task`", "lora args keep"),
        ("write it below the stage's kind", "task split batch_size max_steps like rollouts num_generations"),
    ),
    **dict.fromkeys(
        ("RlSide", "SftSide"),
        (
            ("it is of both sides: write it beside `rl` and `sft`", "keep lora"),
            ("leave it out: a side is as long as its stage", "max_steps rollouts rounds"),
        ),
    ),
    **dict.fromkeys(
        ("Parallel", "Combined", "Interleave"),
        (
            ("write it in `rl`, in `sft`, or in both", "task split args"),
            ("write it in `rl`", "num_generations prompts_per_rollout updates_per_rollout engine loss"),
            ("write it in `sft`", "demonstrations batch_size"),
        ),
    ),
    "Lora": (
        ("write `r`", "rank lora_r lora_rank"),
        ("write `lora_alpha`", "alpha"),
        ("write `lora_dropout`", "dropout"),
        ("write `target_modules`, a list", "lora_target lora_target_modules modules targets"),
    ),
    "Task": (
        ("write `rewards`, or a `verifier` of your own", "reward_funcs reward reward_function reward_fn"),
        ("write `prompt`", "template prompt_template system_prompt chat_template"),
        ("write `stop`", "stop_strings stop_sequences stop_words until"),
        ("write `fewshot`; each evaluation says how many", "few_shot num_fewshot shots exemplars"),
        ("write `splits: {train: {data: ...}}`", "data dataset datasets"),
    ),
    "PassAtK": (
        ("write `num_samples`", "n num_generations n_samples samples rollout_n"),
        ("write `max_new_tokens`", "max_tokens max_completion_length response_length max_response_length"),
        ("write `num_fewshot`", "fewshot few_shot shots n_shot"),
    ),
}  # fmt: skip


def foreign_stage_keys(model: type[BaseModel], known: Iterable[str]) -> dict[str, str]:
    """Key -> what to write instead, for a model of the spec; keys that it has are left out."""
    names = [key for _, keys in _PLACES.get(model.__name__, ()) for key in keys.split()]
    if model.__name__ in _KINDS:
        names += [*RENAMED, *FOREIGN, *ELSEWHERE]
    hints = {name: key_hint(model, name) for name in names if name not in set(known)}
    return {name: hint for name, hint in hints.items() if hint is not None}


def key_hint(model: type[BaseModel] | None, key: str) -> str | None:
    """What to write instead of a key that a model of the spec does not have, if the name is known."""
    if model is None:
        return None
    for hint, keys in _PLACES.get(model.__name__, ()):
        if key in keys.split():
            return hint
    kind = _KINDS.get(model.__name__)
    return hint_beside(kind, key) if kind in STAGE_KEYS else None
