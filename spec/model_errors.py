"""pydantic's errors about one entry of the spec, as diagnostics at the place and in the words of the YAML."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, get_args, get_origin

from pydantic import BaseModel, ValidationError

from exc.spec.base import LONGEST_NAME, NAME, RESERVED
from exc.spec.cells import SECTIONS
from exc.spec.data import Column
from exc.spec.diagnostics import Diagnostic, Span, did_you_mean, nearest, one_of
from exc.spec.expected import arms, bare, describe, field_annotation, form, form_of, found, is_model, keys_of
from exc.spec.nodes import Mapping, Node, Path, Scalar, Sequence, span_at
from exc.spec.places import name_of, owner_name, owner_span, span_node, value_span, written
from exc.spec.references import At, FractionBetween, ModelRef, Selector, StepsBetween, TokensBetween
from exc.spec.schedule import FactorRange, FractionRange, Schedule, StepRange, TokenRange
from exc.spec.stage_hints import key_hint
from exc.spec.units import UnitError
from exc.spec.words import cut

# Models that mean nothing with one of their values left out: at fault as a whole.
_WHOLE = (
    *(Schedule, StepRange, TokenRange, FractionRange, FactorRange),
    *(Selector, At, StepsBetween, TokensBetween, FractionBetween),
    *(ModelRef, Column),
)


_LONGEST_SHOWN = 40  # characters of a text that a message repeats


@dataclass(frozen=True)
class Fault:
    """One error of one entry.

    `removable` is the longest path whose value can be left out so that the rest of the entry still means what
    it says; None where nothing of the entry is left.
    """

    diagnostic: Diagnostic
    removable: Path | None
    path: Path  # in the entry


@dataclass
class _Place:
    """Where in an entry an error lies, and what its place is for."""

    path: Path
    annotation: Any
    node: Node | None
    removable: Path | None
    owner: type[BaseModel] | None


def faults(
    error: ValidationError, model: type[BaseModel], root: Node, at: Path, kinds: tuple[str, ...]
) -> list[Fault]:
    """What is wrong with the entry at `at` of a tree; `kinds` are the keys that give it its kind.

    The paths of the faults start at the entry.
    """
    entry = span_node(root, at)
    assert entry is not None
    out: dict[Path, Fault] = {}
    for item in error.errors(include_url=False, include_input=False):
        place = _locate(model, entry, item["loc"], kinds)
        if place is None or (item["type"] == "missing" and is_misspelt(place.owner, place.path, entry)):
            continue
        if item["type"] == "too_short" and _has_enough(place.node, item.get("ctx", {})["min_length"]):
            continue  # its items are at fault, and are reported
        diagnostic = _diagnose(item, place, root, (*at, *place.path))
        # Several arms of a union may complain of the same value: once is enough, where it helps most.
        before = out.get(place.path)
        if before is None or (before.diagnostic.hint is None and diagnostic.hint is not None):
            out[place.path] = Fault(diagnostic, place.removable, place.path)
    return list(out.values())


def _has_enough(node: Node | None, least: int) -> bool:
    return isinstance(node, Sequence) and len(node.items) >= least


def _locate(
    model: type[BaseModel], entry: Node, loc: tuple[int | str, ...], kinds: tuple[str, ...]
) -> _Place | None:
    """Follow an error's location through the types; None where it speaks of an arm that was not meant."""
    place = _Place((), model, entry, None, None)
    steps = iter(loc)
    for step in steps:
        choices = arms(place.annotation)
        if len(choices) > 1:
            meant = [arm for arm in choices if place.node is None or form(arm) == form_of(place.node)]
            if len(meant) != 1 or form(meant[0]) == "scalar":
                return place  # nothing fits, or one of several scalars was meant: say what all of them take
            if _arm_form(str(step)) != form(meant[0]):
                return None
            place.annotation = meant[0]
            continue
        if step == "[key]":
            place.annotation = "key"
            return place
        _enter(place, step, kinds)
    choices = arms(place.annotation)
    if len(choices) == 1:
        place.annotation = choices[0]
    return place


def is_misspelt(owner: type[BaseModel] | None, path: Path, entry: Node) -> bool:
    """Whether a key that is missing stands there under a name much like it, which is reported already."""
    node = span_node(entry, path[:-1])
    if owner is None or not isinstance(node, Mapping):
        return False
    valid = keys_of(owner)
    return any(nearest(key, valid) == path[-1] for key in node.entries if key not in valid)


def _arm_form(label: str) -> str:
    """Which kind of node the arm of that label in pydantic's location reads."""
    if label.startswith("tuple["):
        return "list"
    scalar = label.startswith(("literal[", "constrained-", "function-")) or label in (
        "int",
        "str",
        "float",
        "bool",
    )
    return "scalar" if scalar else "mapping"


def _enter(place: _Place, step: int | str, kinds: tuple[str, ...]) -> None:
    """Go one key or item down."""
    kind, node = bare(arms(place.annotation)[0]), place.node
    place.path = (*place.path, step)
    if isinstance(node, Mapping):
        place.node = node.entries.get(str(step))
    elif isinstance(node, Sequence) and isinstance(step, int):
        place.node = node.items[step] if step < len(node.items) else None
    if is_model(kind):
        field = next((f for name, f in kind.model_fields.items() if step == (f.alias or name)), None)
        place.owner = kind
        place.annotation = field_annotation(field) if field is not None else None
        is_kind = len(place.path) == 1 and step in kinds
        if field is None or (not field.is_required() and not is_kind and not issubclass(kind, _WHOLE)):
            place.removable = place.path
        return
    place.owner = None
    items = get_args(kind)
    if get_origin(kind) is dict:
        place.annotation = items[1]
        place.removable = place.path
    elif get_origin(kind) is tuple:
        place.annotation = items[0]
    else:
        place.annotation = Any


def _diagnose(item: Any, place: _Place, root: Node, path: Path) -> Diagnostic:
    cause = item.get("ctx", {}).get("error")
    if place.annotation == "key":
        return name_fault(str(path[-1]), span_at(root, path, key=True))
    if item["type"] == "extra_forbidden":
        valid = keys_of(place.owner) if place.owner else []
        key = str(path[-1])
        hint = key_hint(place.owner, key)
        if hint is None and len(path) == 3 and path[0] in SECTIONS:  # `matrix` is gone from the tree by now
            hint = did_you_mean(key, ["matrix"])
        return unknown_key(key, valid, span_at(root, path, key=True), hint)
    if item["type"] == "missing":
        return missing_key(root, path, describe(place.annotation))
    span, name = value_span(root, path), name_of(written(root, path))
    if isinstance(cause, UnitError):
        return Diagnostic(
            "wrong-unit", "error", says(name, place.node), span, expected=cause.expected, hint=cause.hint
        )
    if isinstance(cause, ValueError) and isinstance(place.node, Scalar):
        value = str(place.node.value)
        if "module:function" in str(cause):
            return Diagnostic(
                "bad-value",
                "error",
                f"`{value}` names no Python callable",
                span,
                expected="`module:function`",
            )
        return name_fault(value, span)
    return _wrong_value(item, place, span, name)


def _wrong_value(item: Any, place: _Place, span: Span, name: str) -> Diagnostic:
    kind, node, expected = item["type"], place.node, describe(place.annotation)
    if kind in ("too_short", "too_long"):
        few = kind == "too_short"
        message = f"{name} has too {'few' if few else 'many'} items"
        bound = f"at least {item['ctx']['min_length']}" if few else expected
        return Diagnostic("bad-value", "error", message, span, expected=bound)
    texts = [str(choice) for arm in arms(place.annotation) for choice in _choices(arm)]
    if isinstance(node, Scalar) and isinstance(node.value, str) and texts:
        message = f"{name} cannot be `{node.value}`"
        hint = did_you_mean(node.value, texts)
        if node.value in texts:  # the choice is a number, and this the text of it
            message, hint = says(name, node), "remove the quotes"
        return Diagnostic("bad-choice", "error", message, span, expected=expected, hint=hint)
    if kind == "literal_error":
        return Diagnostic("bad-choice", "error", says(name, node), span, expected=expected)
    in_range = isinstance(node, Scalar) and not isinstance(node.value, str | bool | None)
    code = "bad-value" if kind.startswith(("greater", "less")) and in_range else "wrong-type"
    return Diagnostic(code, "error", says(name, node), span, expected=expected, hint=_hint(node, expected))


def _choices(annotation: Any) -> tuple[Any, ...]:
    return get_args(annotation) if getattr(get_origin(annotation), "_name", "") == "Literal" else ()


def _hint(node: Node | None, expected: str) -> str | None:
    if isinstance(node, Mapping) and expected == "text":
        return "text that starts with `{` needs quotes"
    if not isinstance(node, Scalar):
        return None
    if isinstance(node.value, str) and node.value.startswith("$"):
        return "`$` and a name stand for a value of the entry's `matrix`, and it has none"
    if (share := _share(node, expected)) is not None:
        return f"write `{share}`"
    if _could_be_item(node, expected):
        return f"write `[{node.raw}]`"
    if isinstance(node.value, float) and "whole number" in expected and node.value.is_integer():
        return f"write `{int(node.value)}`"
    if (
        isinstance(node.value, str)
        and node.quoted
        and "number" in expected
        and found(node) == "text in quotes"
    ):
        return "remove the quotes"
    if expected == "text" and node.value is not None and not isinstance(node.value, str):
        return "put it in quotes"
    return None


def _could_be_item(node: Scalar, expected: str) -> bool:
    """Whether a list is expected, and this seems to be meant as the one item of it."""
    if not expected.startswith("a list of") or expected.startswith("a list of two") or node.quoted:
        return False
    if expected.startswith(("a list of steps", "a list of whole numbers", "a list of numbers")):
        return isinstance(node.value, int | float) and not isinstance(node.value, bool)
    return isinstance(node.value, str)


def says(name: str, node: Node | None) -> str:
    """What stands under a name, as the message of a diagnostic."""
    if node is None:
        return f"{name} is missing"
    if isinstance(node, Scalar) and isinstance(node.value, str) and len(node.value) <= _LONGEST_SHOWN:
        return f"{name} is {'the text ' if node.quoted else ''}`{node.value}`"
    return f"{name} is {found(node)}"


def _share(node: Scalar, expected: str) -> str | None:
    """`85%` as the number that is meant: 85, or 0.85 where it is a share of 1."""
    if not isinstance(node.value, str) or expected not in ("a number, 0 or more", "a number from 0 to 1"):
        return None
    try:
        number = float(node.value.removesuffix("%")) if node.value.endswith("%") else None
    except ValueError:
        return None
    if number is None:
        return None
    return f"{number / 100 if expected == 'a number from 0 to 1' else number:g}"


def unknown_key(key: str, valid: list[str], span: Span, hint: str | None = None) -> Diagnostic:
    """A key that nothing reads. `hint`: what to write instead, where the name is known."""
    near = nearest(key, valid)
    hint = hint or (f"did you mean `{near}`?" if near is not None else None)
    return Diagnostic(
        "unknown-key", "error", f"there is no key `{key}` here", span, expected=one_of(valid), hint=hint
    )


def missing_key(root: Node, path: Path, expected: str) -> Diagnostic:
    """Nothing stands at `path`."""
    owner, key = path[:-1], path[-1]
    what = f"`{key}`" if isinstance(key, str) else f"item {key + 1}"
    message = f"{owner_name(root, owner)} lacks {what}"
    return Diagnostic("missing-key", "error", message, owner_span(root, owner), expected=expected)


def name_fault(name: str, span: Span) -> Diagnostic:
    """A name that is none, or that has a meaning of its own."""
    if NAME.match(name) and name in RESERVED:
        return Diagnostic(
            "reserved-name", "error", f"`{name}` has a meaning of its own", span, expected="another name"
        )
    expected = "letters, digits, `_` and `-`, starting with a letter or a digit"
    if len(name) > LONGEST_NAME:
        expected = f"at most {LONGEST_NAME} {expected}"
    return Diagnostic(
        "bad-name", "error", f"`{cut(name, LONGEST_NAME)}` is not a name", span, expected=expected
    )
