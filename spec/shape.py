"""Short forms: what a person may write is brought into the one shape that the models have.

A step is left as it is where it has a form that cannot be meant, so that validation can say what is wrong.
Nodes are never changed; where a form is short, a new node stands at the place of the old one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from exc.spec.diagnostics import Diagnostics
from exc.spec.expected import arms, keys_of
from exc.spec.model_errors import unknown_key
from exc.spec.nodes import Mapping, Node, Scalar, Sequence, small_span
from exc.spec.paired import PAIRED_KINDS
from exc.spec.recipes import STAGE_KINDS, Stage
from exc.spec.repeat import REPEATS_KEY, is_block, read_block, rounds_of

Step = Callable[[Node], Node]


def shape(root: Mapping, diagnostics: Diagnostics) -> Mapping:
    """The whole spec in the models' shape. Recipe items that have no one name are reported."""
    return _mapping(
        root,
        {
            "data": _each(_data),
            "tasks": _each(_task),
            "trunks": _each(
                _keys(
                    **{
                        "from": reference,
                        "pretrain": _keys(tokenizer=_keys(hub=_hub)),
                        "checkpoints": schedule,
                        "hub": _hub,
                        "folder": _folder,
                        "command": _lists("files"),
                    }
                )
            ),
            "recipes": lambda node: _recipes(node, diagnostics),
            "branches": _items(_keys(at=schedule)),
            "replicates": _replicates,
            "evaluations": _each(_evaluation),
            "report": _keys(contrasts=_items(_keys(a=reference, b=reference)), figures=_items(_figure)),
        },
    )


def schedule(node: Node) -> Node:
    """`[1, 2]` -> `{steps: [1, 2]}`."""
    return wrap("steps", node) if isinstance(node, Sequence) else node


def reference(node: Node) -> Node:
    """`rl` -> `{recipe: rl}`."""
    return wrap("recipe", node) if isinstance(node, Scalar) and node.value is not None else node


def wrap(key: str, node: Node) -> Mapping:
    """`{key: node}`, standing where the node stands."""
    return Mapping({key: node}, {key: node.span}, node.span)


def _mapping(node: Mapping, steps: dict[str, Step]) -> Mapping:
    """The mapping with the values of some keys replaced."""
    entries = {key: steps[key](value) if key in steps else value for key, value in node.entries.items()}
    return Mapping(entries, node.keys, node.span)


def _keys(**steps: Step) -> Step:
    return lambda node: _mapping(node, steps) if isinstance(node, Mapping) else node


def _each(step: Step) -> Step:
    """The step for every value of a mapping."""
    return lambda node: (
        _mapping(node, dict.fromkeys(node.entries, step)) if isinstance(node, Mapping) else node
    )


def _items(step: Step) -> Step:
    return lambda node: (
        Sequence([step(item) for item in node.items], node.span) if isinstance(node, Sequence) else node
    )


def _list(node: Node) -> Node:
    """`word` -> `[word]`."""
    return Sequence([node], node.span) if isinstance(node, Scalar) and node.value is not None else node


def _lists(*keys: str) -> Step:
    return _keys(**dict.fromkeys(keys, _list))


def _column(node: Node) -> Node:
    return wrap("column", node) if isinstance(node, Scalar) and node.value is not None else node


_split = _keys(columns=_each(_column))
_task = _keys(splits=_each(_split), fewshot=_split, stop=_list)
_selector = _keys(at=schedule)


def _fewshot(node: Node) -> Node:
    """`4` -> `{base: 4, trained: 4}`."""
    if not isinstance(node, Scalar) or node.value is None:
        return node
    return Mapping({"base": node, "trained": node}, {"base": node.span, "trained": node.span}, node.span)


_evaluation = _keys(
    pass_at_k=_keys(num_fewshot=_fewshot),
    lm_eval=_keys(num_fewshot=_fewshot, tasks=_list, mean=_list),
    contamination=_keys(fields=_list),
    on=_selector,
)


_figure_body = _keys(on=_selector, **dict.fromkeys(("metrics", "against", "references", "costs"), _list))


def _figure(node: Node) -> Node:
    """`gains` -> `{figure: gains}`, and `{gains: {on: ...}}` -> `{figure: gains, on: ...}`."""
    if isinstance(node, Scalar) and node.value is not None:
        return wrap("figure", node)
    if not isinstance(node, Mapping) or len(node.entries) != 1:
        return node
    ((name, body),) = node.entries.items()
    key = node.keys[name]
    own = _figure_body(body) if isinstance(body, Mapping) else wrap("on", body)
    if not isinstance(own, Mapping) or (isinstance(body, Scalar) and body.value is None):
        own = Mapping({}, {}, node.span)
    named = Scalar(name, key, name, False)
    return Mapping({**own.entries, "figure": named}, {**own.keys, "figure": key}, node.span)


def _condition(node: Node) -> Node:
    """`a` -> `{is: [a]}`, `[a, b]` -> `{is: [a, b]}`; in `is` and `not` a bare value is a list of one."""
    if isinstance(node, Mapping):
        return _lists("is", "not")(node)
    return wrap("is", _list(node)) if not isinstance(node, Scalar) or node.value is not None else node


def _pairs(node: Node) -> Node:
    """`2` -> `{per_problem: 2}`."""
    return wrap("per_problem", node) if isinstance(node, Scalar) and node.value is not None else node


_samples = _keys(**{"from": reference, "num_fewshot": _fewshot})


def _hub(node: Node) -> Node:
    """`owner/name` -> `{repo: owner/name}`."""
    return wrap("repo", node) if isinstance(node, Scalar) and node.value is not None else node


def _folder(node: Node) -> Node:
    """`models/a` -> `{path: models/a}`."""
    return wrap("path", node) if isinstance(node, Scalar) and node.value is not None else node


def _data(node: Node) -> Node:
    listed = _lists("jsonl", "parquet", "text", "files")(node)
    return _keys(hub=_hub, samples=_samples, where=_each(_condition), pairs=_pairs)(listed)


def _replicates(node: Node) -> Node:
    """`4` -> `[{num: 4}]`."""
    if isinstance(node, Scalar) and node.value is not None:
        return Sequence([wrap("num", node)], node.span)
    return _items(_keys(on=_selector))(node)


_STAGE = {
    "from": reference,
    "sft": _keys(keep=schedule),
    "grpo": _keys(keep=schedule),
    "rloo": _keys(keep=schedule),
    "dpo": _keys(keep=schedule),
    "kto": _keys(keep=schedule),
    **dict.fromkeys(PAIRED_KINDS, _keys(keep=schedule)),
    "pretrain": _keys(keep=schedule),
    "merge": _keys(of=_items(reference), base=reference),
    "command": _lists("files"),
    "hub": _hub,
    "folder": _folder,
}


def _recipes(node: Node, diagnostics: Diagnostics) -> Node:
    if not isinstance(node, Mapping):
        return node
    return _mapping(node, {name: _recipe(name, diagnostics) for name in node.entries})


def _recipe(name: str, diagnostics: Diagnostics) -> Step:
    """`[name: {kind: ...}]` -> `[{name: name, kind: ...}]`, with blocks that are repeated written out."""

    def shaped(node: Node) -> Node:
        if not isinstance(node, Sequence):
            return node
        return Sequence([stage for item in node.items for stage in stages(item)], node.span)

    def stages(item: Node) -> Iterable[Node]:
        if not is_block(item):
            return [_stage(item, diagnostics)]
        block = read_block(item, diagnostics)
        if block is None:
            return [Scalar(None, item.span, "", False)]
        once = [_stage(each, diagnostics) for each in block.items]
        return rounds_of(name, once, block.rounds, diagnostics)

    return shaped


def _stage(item: Node, diagnostics: Diagnostics) -> Node:
    example = "a stage with its name, such as `- rl: {grpo: {...}}`"
    if not isinstance(item, Mapping) or len(item.entries) != 1:
        names = list(item.entries) if isinstance(item, Mapping) else []
        message, hint = "a stage is one name with its body", None
        if len(names) > 1:
            message = f"this stage has {len(names)} keys: {', '.join(f'`{name}`' for name in names[:4])}"
            hint = "indent what belongs to the stage below its name"
        diagnostics.error("wrong-type", message, small_span(item), expected=example, hint=hint)
        return Scalar(None, item.span, "", False)
    ((name, body),) = item.entries.items()
    key = item.keys[name]
    if not isinstance(body, Mapping):
        diagnostics.error("wrong-type", f"the stage `{name}` has no body", key, expected=example)
        return Scalar(None, item.span, "", False)
    if _has_no_name(name, body):
        message = f"this stage has a kind, `{name}`, but no name"
        diagnostics.error(
            "wrong-type",
            message,
            key,
            expected=f"the name above the kind, such as `- {name}: {{{name}: {{...}}}}`",
        )
        return Scalar(None, item.span, "", False)
    shaped = _mapping(body, _STAGE)
    named = Scalar(name, key, name, False)
    entries: dict[str, Node] = {"name": named, **{k: v for k, v in shaped.entries.items() if k != "name"}}
    if "name" in body.keys:
        diagnostics.error("unknown-key", f"the stage `{name}` is already named", body.keys["name"])
    if REPEATS_KEY in body.keys:
        diagnostics.add(unknown_key(REPEATS_KEY, keys_of(Stage), body.keys[REPEATS_KEY]))
        del entries[REPEATS_KEY]
    return Mapping(entries, {**body.keys, "name": key}, item.span)


def _has_no_name(name: str, body: Mapping) -> bool:
    """Whether what is called a stage is a kind with its settings."""
    kind = Stage.model_fields.get(name) if name in STAGE_KINDS else None
    if kind is None or any(key in STAGE_KINDS for key in body.entries):
        return False
    return any(key in keys_of(arms(kind.annotation)[0]) for key in body.entries)


def is_dropped(item: Node) -> bool:
    """Whether a recipe's item was reported here and holds nothing to validate."""
    return isinstance(item, Scalar) and item.value is None


def names_of(node: Node | None) -> Iterable[str]:
    """The keys of a mapping; nothing for anything else."""
    return node.entries.keys() if isinstance(node, Mapping) else ()
