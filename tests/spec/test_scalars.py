"""What an unquoted value means, against a table written by hand from the YAML 1.2 core schema."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exc.spec.diagnostics import Diagnostics
from exc.spec.nodes import Scalar
from exc.spec.scalars import resolve_plain
from exc.spec.source import parse

MEANINGS: dict[str, object] = {
    "1e-6": 1e-6, "1.0e-6": 1e-6, "4E5": 4e5, "2.": 2.0, ".5": 0.5, "-.5": -0.5, "+1.5": 1.5, "0.0": 0.0,
    "0": 0, "-7": -7, "+7": 7, "010": 10, "0x1F": 31, "0o17": 15,
    ".inf": math.inf, "-.INF": -math.inf, "+.Inf": math.inf,
    "true": True, "True": True, "FALSE": False, "null": None, "Null": None, "~": None,
    # Text to a person, and to YAML 1.2.
    "no": "no", "No": "No", "yes": "yes", "on": "on", "off": "off", "y": "y", "n": "n",
    "2B": "2B", "50B": "50B", "8h": "8h", "1h30m": "1h30m", "40GB": "40GB", "1:30:00": "1:30:00",
    "1_000": "1_000", "0b11": "0b11", "0o8": "0o8", "-0x1": "-0x1", "0X1": "0X1", "1e": "1e", "e5": "e5",
    "2026-01-31": "2026-01-31", "1.2.3": "1.2.3", "inf": "inf", "nan": "nan", "+": "+", ".": ".", "..": "..",
    "tRUE": "tRUE", "nULL": "nULL", "$sft_lr": "$sft_lr", "\u0663": "\u0663",
}  # fmt: skip


@pytest.mark.parametrize("raw", MEANINGS)
def test_a_plain_scalar_means(raw: str) -> None:
    value, meant = resolve_plain(raw), MEANINGS[raw]
    assert value == meant
    assert type(value) is type(meant)


@pytest.mark.parametrize("raw", [".nan", ".NaN", ".NAN"])
def test_not_a_number(raw: str) -> None:
    value = resolve_plain(raw)
    assert isinstance(value, float)
    assert math.isnan(value)


def test_an_empty_value_is_nothing() -> None:
    assert resolve_plain("") is None


@pytest.mark.parametrize(
    "quoted", ["'1e-6'", '"1e-6"', "'true'", "'null'", "''", '"~"', "|-\n  5", ">-\n  5"]
)
def test_quotes_make_text(quoted: str) -> None:
    diagnostics = Diagnostics()
    node = parse(quoted, "f", diagnostics)
    assert isinstance(node, Scalar)
    assert isinstance(node.value, str)
    assert not len(diagnostics)


@settings(deadline=None)
@given(st.integers())
def test_integers_are_read_back(number: int) -> None:
    assert resolve_plain(str(number)) == number


@settings(deadline=None)
@given(st.floats(allow_nan=False, allow_infinity=False))
def test_floats_are_read_back(number: float) -> None:
    value = resolve_plain(repr(number))
    assert value == number
    assert isinstance(value, float)


@pytest.mark.parametrize("raw", ["9" * 5000, "1." + "9" * 5000, "0x" + "f" * 5000])
def test_a_number_longer_than_python_reads_is_text(raw: str) -> None:
    assert resolve_plain(raw) == raw
