"""What each stage did, said in a sentence, from the fields that were hashed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from exc.runtime.lineage import Node
from exc.spec.words import cut

Fields = Mapping[str, Any]


def sentence(node: Node, step: int | None) -> str:
    """What the stage that made an artifact did. `step` is the kept step, None where there are none."""
    if not node.record:
        return f"`{node.name}`: nothing is recorded of it."
    words = _WORDS.get(node.kind)
    # What it starts from is an input, and no field.
    fields = {**node.fields, "continues": "model" in node.record["inputs"]}
    said = words(fields, step) if words else f"a `{node.kind}` stage"
    instead = "\u2020 made elsewhere and adopted, in place of " if node.adopted else ""
    return f"`{node.name}`: {instead}{said}."


def chosen_step(node: Node) -> int | None:
    """The kept step that a `select` job chose; None of other kinds."""
    step = (node.record.get("metrics") or {}).get("step") if node.kind == "select" else None
    return None if step is None else int(step)


def settings(fields: Fields) -> list[tuple[str, str]]:
    """Fields by dotted name, as a table shows them; `|` would end a cell."""
    return [(name, _shown(value)) for name, value in sorted(_flat(fields, ""))]


def _flat(value: Fields, prefix: str) -> Iterator[tuple[str, Any]]:
    for key, inner in value.items():
        if isinstance(inner, Mapping) and inner:
            yield from _flat(inner, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", inner


def _shown(value: Any) -> str:
    text = cut(repr(value) if isinstance(value, str) else str(value), 120)
    return "`" + text.replace("|", "\\|").replace("\n", "\\n").replace("`", "'") + "`"


def _pretrain(fields: Fields, step: int | None) -> str:
    lr = fields.get("lr", {})
    model = fields.get("model", {})
    batch, length = int(fields.get("batch_size", 0)), int(fields.get("sequence_length", 0))
    tokens = f", {batch * length * step:,} tokens" if step else ""
    start = (
        "continued pre-training"
        if fields.get("continues")
        else f"pre-training of a {model.get('architecture', '')} model"
    )
    return (
        f"{start}, {step or '?'} steps of "
        f"{batch} sequences of {length} tokens{tokens}; learning rate {lr.get('shape', '')} with peak "
        f"{lr.get('peak', '?')}, warm-up over {lr.get('warmup_steps', 0)} steps"
    ).replace("  ", " ")


def _sft(fields: Fields, step: int | None) -> str:
    args = fields.get("args", {})
    which = "all demonstrations" if fields.get("demonstrations") == "all" else "the first demonstration"
    rate = f", learning rate {args['learning_rate']}" if "learning_rate" in args else ""
    return (
        f"supervised fine-tuning (TRL) on {which} of each problem, {step or '?'} steps of "
        f"{fields.get('batch_size', '?')} sequences{rate}{_lora(fields)}"
    )


def _grpo(fields: Fields, step: int | None) -> str:
    args = fields.get("args", {})
    rate = f", learning rate {args['learning_rate']}" if "learning_rate" in args else ""
    beta = f", KL weight {args['beta']}" if args.get("beta") else ""
    return (
        f"reinforcement learning with GRPO (TRL), {step or '?'} rollouts of "
        f"{fields.get('prompts_per_rollout', '?')} prompts x "
        f"{fields.get('num_generations', '?')} completions, "
        f"{fields.get('updates_per_rollout', 1)} updates on each{rate}{beta}{_lora(fields)}; rewards "
        f"{', '.join(f'{name} {value}' for name, value in fields.get('rewards', {}).items()) or 'as usual'}"
    )


def _merge(fields: Fields, _: int | None) -> str:
    weights = ", ".join(f"{weight:g}" for weight in fields.get("weights", ()))
    return f"the {fields.get('method', 'linear')} merge of its parents, weights {weights}"


def _command(fields: Fields, _: int | None) -> str:
    return f"a command of the experiment's author: `{fields.get('run', '')}`"


def _dpo(fields: Fields, step: int | None) -> str:
    args = fields.get("args", {})
    rate = f", learning rate {args['learning_rate']}" if "learning_rate" in args else ""
    beta = f", beta {args['beta']}" if "beta" in args else ""
    size = fields.get("batch_size", "?")
    return (
        f"preference optimization with DPO (TRL), {step or '?'} steps of {size} pairs"
        f"{rate}{beta}{_lora(fields)}"
    )


def _lora(fields: Fields) -> str:
    lora = fields.get("lora")
    return f", by adapters (LoRA) of rank {lora['r']}, merged into the weights" if lora else ""


def _select(fields: Fields, step: int | None) -> str:
    better = "highest" if fields.get("mode") == "max" else "lowest"
    return f"of the kept steps the one with the {better} {fields.get('metric', '?')}: step {step or '?'}"


def _fetch(fields: Fields, _: int | None) -> str:
    hub = fields.get("hub")
    commit = f", commit {hub['commit']}" if isinstance(hub, Mapping) and hub.get("commit") else ""
    return f"a published model, taken as it is{commit}"


_WORDS: Mapping[str, Callable[[Fields, int | None], str]] = {
    "pretrain": _pretrain,
    "sft": _sft,
    "grpo": _grpo,
    "dpo": _dpo,
    "fetch": _fetch,
    "select": _select,
    "merge": _merge,
    "command": _command,
}
