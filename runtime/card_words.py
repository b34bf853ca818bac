"""What each stage did, said in a sentence, from the fields that were hashed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

from exc.runtime.lineage import Node
from exc.spec.units import format_tokens
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


def _rollouts(method: str, fields: Fields, step: int | None) -> str:
    args = fields.get("args", {})
    rate = f", learning rate {args['learning_rate']}" if "learning_rate" in args else ""
    beta = f", KL weight {args['beta']}" if args.get("beta") else ""
    return (
        f"reinforcement learning with {method} (TRL), {step or '?'} rollouts of "
        f"{fields.get('prompts_per_rollout', '?')} prompts x "
        f"{fields.get('num_generations', '?')} completions, "
        f"{fields.get('updates_per_rollout', 1)} updates on each{rate}{beta}{_lora(fields)}; rewards "
        f"{', '.join(f'{name} {value}' for name, value in fields.get('rewards', {}).items()) or 'as usual'}"
    )


def _merge(fields: Fields, _: int | None) -> str:
    numbers = {"weights": fields.get("weights"), "densities": fields.get("density"), "t": fields.get("t")}
    said = [
        f"{name} {', '.join(f'{each:g}' for each in (value if isinstance(value, list) else [value]))}"
        for name, value in numbers.items()
        if value is not None
    ]
    return f"the {fields.get('method', 'linear')} merge of its parents, {'; '.join(said)}"


def _command(fields: Fields, _: int | None) -> str:
    return f"a command of the experiment's author: `{fields.get('run', '')}`"


def _preferences(method: str, unit: str, fields: Fields, step: int | None) -> str:
    args = fields.get("args", {})
    rate = f", learning rate {args['learning_rate']}" if "learning_rate" in args else ""
    beta = f", beta {args['beta']}" if "beta" in args else ""
    size = fields.get("batch_size", "?")
    return (
        f"preference optimization with {method} (TRL), {step or '?'} steps of {size} {unit}"
        f"{rate}{beta}{_lora(fields)}"
    )


def _parallel(fields: Fields, step: int | None) -> str:
    weights, every = fields.get("weights", (0.5, 0.5)), fields.get("sync_every", 1)
    when = "every step" if every == 1 else f"every {every} steps"
    return (
        f"both of the following side by side, {step or '?'} steps of each, their models averaged {when} "
        f"with weights {weights[0]:g} and {weights[1]:g}: {_both(fields, step, step)}{_lora(fields)}"
    )


def _combined(fields: Fields, step: int | None) -> str:
    weights = fields.get("weights", (0.5, 0.5))
    return (
        f"the losses of both of the following as one sum, {step or '?'} steps of one optimizer, weights "
        f"{weights[0]:g} and {weights[1]:g}: {_both(fields, step, step)}{_lora(fields)}"
    )


def _interleave(fields: Fields, step: int | None) -> str:
    rl, sft = int(fields.get("rl_steps", 1)), int(fields.get("sft_steps", 1))
    of_both = _both(fields, step and step * rl, step and step * sft)
    return (
        f"both of the following in turn, {step or '?'} rounds, each begun by {sft} steps of the second: "
        f"{of_both}{_lora(fields)}"
    )


def _both(fields: Fields, rl: int | None, sft: int | None) -> str:
    """What each side of a stage did, in as many steps."""
    return f"{_rollouts('GRPO', fields.get('rl', {}), rl)}; and {_sft(fields.get('sft', {}), sft)}"


def _lora(fields: Fields) -> str:
    lora = fields.get("lora")
    return f", by adapters (LoRA) of rank {lora['r']}, merged into the weights" if lora else ""


def _select(fields: Fields, step: int | None) -> str:
    better = "highest" if fields.get("mode") == "max" else "lowest"
    return f"of the kept steps the one with the {better} {fields.get('metric', '?')}: step {step or '?'}"


def _trainer(fields: Fields, step: int | None) -> str:
    tokens = step * int(fields.get("tokens_per_step", 0)) if step else 0
    seen = f", {format_tokens(tokens)} tokens" if tokens else ""
    return f"pre-training by a trainer of its own, {step or '?'} steps{seen}: `{fields.get('run', '?')}`"


def _fetch(fields: Fields, _: int | None) -> str:
    hub = fields.get("hub")
    commit = f", commit {hub['commit']}" if isinstance(hub, Mapping) and hub.get("commit") else ""
    return f"a published model, taken as it is{commit}"


_WORDS: Mapping[str, Callable[[Fields, int | None], str]] = {
    "pretrain": _pretrain,
    "trainer": _trainer,
    "sft": _sft,
    "grpo": partial(_rollouts, "GRPO"),
    "rloo": partial(_rollouts, "RLOO"),
    "dpo": partial(_preferences, "DPO", "pairs"),
    "kto": partial(_preferences, "KTO", "completions"),
    "parallel": _parallel,
    "combined": _combined,
    "interleave": _interleave,
    "fetch": _fetch,
    "select": _select,
    "merge": _merge,
    "command": _command,
}
