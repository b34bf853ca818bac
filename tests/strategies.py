"""Hypothesis strategies: variations of a study that must not change what is computed."""

from __future__ import annotations

import re
from random import Random
from typing import Any

from hypothesis import strategies as st

from exc.spec.base import RESERVED
from exc.spec.profiles import Profile

PLACEHOLDER = re.compile(r"<([a-z-]+)>")


def names() -> st.SearchStrategy[str]:
    """What a person may call something, with words that YAML would take for something else."""
    odd = st.sampled_from(["no", "null", "1e5", "0", "true", "A", "x-y_z", "10"])
    usual = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_-]{0,11}", fullmatch=True)
    return (odd | usual).filter(lambda name: name not in RESERVED)


def namings(placeholders: set[str]) -> st.SearchStrategy[dict[str, str]]:
    """A name for each placeholder, all different."""
    ordered = sorted(placeholders)
    chosen = st.lists(names(), min_size=len(ordered), max_size=len(ordered), unique=True)
    return chosen.map(lambda found: dict(zip(ordered, found, strict=True)))


def fill(value: Any, naming: dict[str, str]) -> Any:
    """The data with every `<placeholder>`, in keys too, replaced by its name."""
    if isinstance(value, str):
        return PLACEHOLDER.sub(lambda found: naming[found[1]], value)
    if isinstance(value, dict):
        return {fill(key, naming): fill(item, naming) for key, item in value.items()}
    return [fill(item, naming) for item in value] if isinstance(value, list) else value


def shuffled(value: Any, random: Random) -> Any:
    """The data with the keys of every mapping in another order; lists stay."""
    if isinstance(value, dict):
        keys = list(value)
        random.shuffle(keys)
        return {key: shuffled(value[key], random) for key in keys}
    return [shuffled(item, random) for item in value] if isinstance(value, list) else value


@st.composite
def profiles(draw: st.DrawFn) -> Profile:
    """Any resources, for any of the jobs."""
    kinds = st.sampled_from([None, "pretrain", "sft", "grpo", "sample"])
    entries = [
        {
            "on": {"kind": draw(kinds), "trunk": draw(st.sampled_from([None, "tiny"]))},
            "cpus": draw(st.integers(1, 64)),
            "micro_batch_size": draw(st.sampled_from([None, 1, 2, 4, 8])),
        }
        for _ in range(draw(st.integers(0, 3)))
    ]
    setup = draw(st.sampled_from([(), ("module load cuda",)]))
    return Profile.model_validate(
        {"resources": entries, "setup": setup, "slots": draw(st.sampled_from([None, 1, 8]))}
    )
