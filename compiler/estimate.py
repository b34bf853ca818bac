"""What a job will cost, as far as its config tells: operations, tokens, samples, bytes left."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from exc.compiler.build import Draft
from exc.compiler.identity import TRAINING_KINDS
from exc.compiler.parameters import UnknownSize, num_parameters
from exc.compiler.plan import SMOKE
from exc.compiler.published import FETCH
from exc.spec.paired import LENGTHS, PAIRED_KINDS, SIDES

PUBLISHED_BYTES_PER_PARAMETER = 2  # most weights are published in 16 bits
BYTES_PER_PARAMETER = 4  # fp32 weights on disk
ADAM_BYTES_PER_PARAMETER = 12  # weights and two moments, in a resume state
MOMENTS_BYTES_PER_PARAMETER = 8  # of a second optimizer
COUNTED_KINDS = ("pretrain", "grpo", "rloo", *PAIRED_KINDS)  # whose operations follow from their config
TWO_OPTIMIZERS = ("parallel", "interleave")
FORWARD, TRAIN = 2, 6  # flops per parameter and token (arXiv 2001.08361)
MAX_EXACT = 2**53  # above, a count is a float: no reader of JSON need take larger whole numbers


def _parameters(model: Mapping[str, Any], vocab_size: int) -> int:
    """Exact where the architecture is known so well, else those of a decoder much like it."""
    try:
        return num_parameters(model, vocab_size)
    except UnknownSize:
        return _roughly(model, vocab_size)


def _roughly(model: Mapping[str, Any], vocab_size: int) -> int:
    """Parameters of a decoder, from its config: embeddings, attention and a gated MLP; norms left out."""
    hidden = int(model.get("hidden_size", model.get("n_embd", 768)))
    layers = int(model.get("num_hidden_layers", model.get("n_layer", 12)))
    heads = int(model.get("num_attention_heads", model.get("n_head", 12)))
    kv_share = int(model.get("num_key_value_heads") or heads) / heads
    intermediate = int(model.get("intermediate_size") or 4 * hidden)
    embeddings = vocab_size * hidden * (1 if model.get("tie_word_embeddings") else 2)
    return embeddings + layers * int(hidden * hidden * (2 + 2 * kv_share) + 3 * hidden * intermediate)


def estimates(drafts: list[Draft], vocabularies: Mapping[str, int | None]) -> None:
    """Fill in `estimate` of every draft. Inputs come before their readers, so sizes flow along the edges.

    `vocabularies`: the sizes of tokenizers that lie in folders.
    """
    size: dict[str, int] = {}  # job id -> parameters of the model it leaves
    by_id = {draft.id: draft for draft in drafts}
    in_folders = {Path(folder).as_posix(): number or 0 for folder, number in vocabularies.items()}
    for draft in drafts:
        size[draft.id] = _model_size(draft, size, by_id, in_folders)
        draft.estimate = _estimate(draft, size[draft.id], by_id)


def _vocabulary(tokenizer: Mapping[str, Any], in_folders: Mapping[str, int]) -> int:
    """How many tokens a tokenizer has; 0 where that is not known."""
    if files := tokenizer.get("files"):
        return in_folders.get(Path(files[0]["path"]).parent.as_posix(), 0)
    return int(tokenizer.get("vocab_size", 0))


def _model_size(
    draft: Draft, size: Mapping[str, int], by_id: Mapping[str, Draft], in_folders: Mapping[str, int]
) -> int:
    if draft.kind in ("tokenizer", "tokens", "rows", "derive", "rate"):
        return 0  # data has no parameters, even if a model was sampled for it
    if draft.kind == FETCH:
        return _published_bytes(draft) // PUBLISHED_BYTES_PER_PARAMETER
    if draft.kind == "pretrain" and draft.config["model"]:
        tokenizer = next(need.job for need in draft.needs if need.role == "tokenizer")
        own = draft.config["model"].get("vocab_size")
        return _parameters(draft.config["model"], own or _vocabulary(by_id[tokenizer].config, in_folders))
    return max((size[need.job] for need in draft.needs), default=0)


def _published_bytes(fetch: Draft, suffix: str = ".safetensors") -> int:
    """The size of what is fetched, as far as it is locked or lies in a folder."""
    hub = fetch.config.get("hub")
    files = (
        [(file["path"], file) for file in fetch.config["files"]]
        if hub is None
        else [(file["name"], file) for file in hub["files"]]
    )
    return sum(int(file["bytes"]) for name, file in files if name.endswith(suffix))


def _count(number: int) -> float:
    return number if number <= MAX_EXACT else float(number)


def _of_both(draft: Draft, parameters: int, by_id: Mapping[str, Draft]) -> dict[str, float]:
    """What a stage with two sides costs: each as a stage of its own, for as long as this one lasts."""
    config, steps = draft.config, draft.horizon
    lengths = {"rl": steps * config.get("rl_steps", 1), "sft": steps * config.get("sft_steps", 1)}
    parts = []
    for side, kind in SIDES.items():
        inner = {**config[side], LENGTHS[side]: lengths[side]}
        parts.append(_estimate(replace(draft, kind=kind, config=inner, kept={}), parameters, by_id))
    names = dict.fromkeys(name for part in parts for name in part)
    return {name: sum(part.get(name, 0) for part in parts) for name in names}


def _rollout_passes(kind: str, config: Mapping[str, Any]) -> int:
    """Operations per parameter and token of a rollout: sampled, judged by other models, trained on.

    A reference model judges where there is a penalty for leaving it; the model that sampled does where the
    one that is trained may have moved on, or where another engine did the sampling.
    """
    judged = bool(config["args"].get("beta"))
    judged_again = (
        kind == "rloo" or config.get("updates_per_rollout", 1) > 1 or config.get("engine") == "vllm"
    )
    return FORWARD + TRAIN + FORWARD * (judged + judged_again)


def _estimate(draft: Draft, parameters: int, by_id: Mapping[str, Draft]) -> dict[str, float]:
    config, out = draft.config, {}
    if draft.kind == "trainer":
        begun = [by_id[need.job].config["step"] for need in draft.needs if need.role == "resumes"]
        return {"tokens": (config["step"] - (begun[0] if begun else 0)) * config["tokens_per_step"]}
    if draft.kind == "pretrain":
        before = [need.job for need in draft.needs if need.role == "resumes"]
        start = by_id[before[0]].config["step"] if before else 0
        tokens = (config["step"] - start) * config["batch_size"] * config["sequence_length"]
        out = {"tokens": tokens, "flops": _count(TRAIN * parameters * tokens)}
    elif draft.kind in ("sft", "dpo", "kto"):
        out = {"samples": config["max_steps"] * config["batch_size"]}
    elif draft.kind in ("grpo", "rloo"):
        samples = config["rollouts"] * config["prompts_per_rollout"] * config["num_generations"]
        tokens = samples * int(config["args"].get("max_completion_length") or 0)
        flops = _count(_rollout_passes(draft.kind, config) * parameters * tokens)
        out = {"samples": samples, "tokens": tokens, "flops": flops}
    elif draft.kind in PAIRED_KINDS:
        out = _of_both(draft, parameters, by_id)
    elif draft.kind == SMOKE:
        return _estimate(replace(draft, kind=config["of"], config=config["config"]), 0, by_id)
    if draft.kind in TRAINING_KINDS:
        state = ADAM_BYTES_PER_PARAMETER + MOMENTS_BYTES_PER_PARAMETER * (draft.kind in TWO_OPTIMIZERS)
        out["disk_bytes"] = len(draft.kept) * parameters * (BYTES_PER_PARAMETER + state)
    elif draft.kind == FETCH:
        out["disk_bytes"] = _published_bytes(draft, "")
    elif draft.kind in ("merge", "command"):
        out["disk_bytes"] = parameters * BYTES_PER_PARAMETER
    return {name: value for name, value in out.items() if value}
