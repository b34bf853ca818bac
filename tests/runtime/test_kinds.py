"""Every list of kinds of jobs knows every kind: one that is new fails here until each has been thought of."""

from __future__ import annotations

from collections.abc import Collection
from typing import get_args

import pytest

from exc.compiler.classes import LEAVES, WHAT
from exc.compiler.graph_svg import FILL
from exc.compiler.identity import FIELDS
from exc.runtime import adopt_checks, card, card_words, devices, preload
from exc.runtime.gc_items import KEPT_KINDS
from exc.runtime.stages import STAGES
from exc.spec.paired import PAIRED_KINDS
from exc.spec.profiles import SMOKED, Kind

KINDS = frozenset(get_args(Kind))
MODELS = {kind for kind, leaves in LEAVES.items() if leaves.startswith("model/")}
# Those that a list leaves out, so that a kind is in neither only while nobody has thought of it.
LIGHT = {"rows", "derive", "rate", "select", "fetch", "command", "trainer", "score", "contamination"}
WITHOUT_GPU = LIGHT | {"tokenizer", "tokens", "merge"}
NOT_ADOPTED = {"tokenizer", "tokens", "rows", "derive", "rate", "select", "smoke", "contamination"}
# Of what gc removes; models aside.
MADE_AGAIN = {"tokenizer", "tokens", "rows", "derive", "rate", "smoke", "contamination"}
NOT_TRIED = KINDS - {"pretrain", "sft", "grpo", "rloo", "dpo", "kto", *PAIRED_KINDS, "sample"}


@pytest.mark.parametrize(
    "table", [STAGES, WHAT, LEAVES, FILL, FIELDS], ids=["stages", "what", "leaves", "fill", "fields"]
)
def test_a_table_has_every_kind(table: Collection[str]) -> None:
    assert set(table) == KINDS


@pytest.mark.parametrize(
    ("listed", "others"),
    [
        pytest.param(preload.HEAVY, LIGHT, id="heavy"),
        pytest.param(devices.ON_DEVICE, WITHOUT_GPU, id="on-device"),
        pytest.param(card.MODEL_KINDS, KINDS - MODELS, id="models"),
        pytest.param(card_words._WORDS, KINDS - MODELS, id="words"),
        pytest.param(adopt_checks._CHECKS, NOT_ADOPTED, id="adopted"),
        pytest.param(KEPT_KINDS, MODELS | MADE_AGAIN, id="kept"),
        pytest.param(SMOKED, NOT_TRIED, id="smoked"),
    ],
)
def test_a_kind_is_in_a_list_or_meant_not_to_be(listed: Collection[str], others: Collection[str]) -> None:
    assert set(listed) | set(others) == KINDS
    assert not set(listed) & set(others)


def test_modules_are_named_for_what_is_slow_to_start() -> None:
    assert preload._MODULES.keys() == preload.HEAVY - {"smoke"}


def test_what_is_measured_is_adopted_and_kept() -> None:
    assert set(adopt_checks._MEASURES) == KEPT_KINDS
