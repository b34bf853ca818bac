"""Amounts with units: what is read, what is refused and with which hint, and the way back."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from exc.spec.units import (
    Bytes,
    DurationS,
    Tokens,
    UnitError,
    format_bytes,
    format_duration,
    format_tokens,
    parse_bytes,
    parse_duration_s,
    parse_tokens,
)

Parse = Callable[[object], int]

READ: list[tuple[Parse, object, int]] = [
    (parse_tokens, "50B", 50_000_000_000),
    (parse_tokens, "1.5M", 1_500_000),
    (parse_tokens, "0.001k", 1),
    (parse_tokens, "4T", 4_000_000_000_000),
    (parse_tokens, "1e9", 1_000_000_000),
    (parse_tokens, 4096, 4096),
    (parse_tokens, 1e9, 1_000_000_000),
    (parse_tokens, 0, 0),
    (parse_duration_s, "8h", 28_800),
    (parse_duration_s, "90m", 5_400),
    (parse_duration_s, "1h30m", 5_400),
    (parse_duration_s, "45s", 45),
    (parse_duration_s, "2d", 172_800),
    (parse_duration_s, "1.5h", 5_400),
    (parse_duration_s, "1d2h3m4s", 93_784),
    (parse_bytes, "40GB", 40_000_000_000),
    (parse_bytes, "200kB", 200_000),
    (parse_bytes, "1GiB", 1_073_741_824),
    (parse_bytes, "1.5KiB", 1_536),
    (parse_bytes, "7B", 7),
    (parse_bytes, "123456789012345678.5TiB", 135742175046962388327534166016),
]
# What is refused, and what is suggested instead.
REFUSED: list[tuple[Parse, object, str | None]] = [
    (parse_tokens, "50b", "50B"),
    (parse_tokens, "50 B", "50B"),
    (parse_tokens, "50K", "50k"),
    (parse_tokens, "50G", "50B"),
    (parse_tokens, "50 billion tokens", "50B"),
    (parse_tokens, "1_000", "1000"),
    (parse_tokens, "1,000,000", "1000000"),
    (parse_tokens, "50GB", None),
    (parse_tokens, "1.5", None),
    (parse_tokens, 1.5, None),
    (parse_tokens, -1, None),
    (parse_tokens, True, None),
    (parse_tokens, float("inf"), None),
    (parse_tokens, float("nan"), None),
    (parse_tokens, "1e999999999B", None),
    (parse_tokens, "", None),
    (parse_tokens, None, None),
    (parse_tokens, ["50B"], None),
    (parse_duration_s, "8 hours", "8h"),
    (parse_duration_s, "8H", "8h"),
    (parse_duration_s, "90min", "90m"),
    (parse_duration_s, "1 hour 30 minutes", "1h30m"),
    (parse_duration_s, "2 days", "2d"),
    (parse_duration_s, "1:30:00", "1h30m"),
    (parse_duration_s, "1-12:00:00", "1d12h"),
    (parse_duration_s, "30m1h", None),
    (parse_duration_s, "0.5s", None),
    (parse_duration_s, 90, None),
    (parse_duration_s, "90", None),
    (parse_duration_s, "", None),
    (parse_duration_s, "fortnight", None),
    (parse_bytes, "40G", "40GB"),
    (parse_bytes, "40 gb", "40GB"),
    (parse_bytes, "200KB", "200kB"),
    (parse_bytes, "1gib", "1GiB"),
    (parse_bytes, "40", None),
    (parse_bytes, 40, None),
    (parse_bytes, "0.5B", None),
    (parse_bytes, "GB", None),
]


@pytest.mark.parametrize(("parse", "written", "meant"), READ)
def test_an_amount_is_read(parse: Parse, written: object, meant: int) -> None:
    assert parse(written) == meant


@pytest.mark.parametrize(("parse", "written", "near"), REFUSED)
def test_an_amount_is_refused(parse: Parse, written: object, near: str | None) -> None:
    with pytest.raises(UnitError, match="expected a ") as caught:
        parse(written)
    assert caught.value.hint == (near and f"did you mean `{near}`?")
    assert near is None or parse(near) >= 0


def test_the_message_says_all_of_it() -> None:
    with pytest.raises(ValueError, match="found `50b`") as caught:
        parse_tokens("50b")
    assert str(caught.value) == (
        "expected a number of tokens such as 50B, 1.5M or 4096 (k, M, B or T), found `50b`; "
        "did you mean `50B`?"
    )


@pytest.mark.parametrize(
    ("tokens", "text"),
    [
        (50_000_000_000, "50B"),
        (1_500, "1.5k"),
        (999, "999"),
        (0, "0"),
        (2_097_152, "2097.152k"),
        (4 * 10**12, "4T"),
    ],
)
def test_tokens_are_written(tokens: int, text: str) -> None:
    assert format_tokens(tokens) == text


@pytest.mark.parametrize(
    ("tokens", "digits", "text"),
    [
        (2_097_152_000, 2, "2.1B"),
        (2_097_152_000, 3, "2.1B"),
        (999_999, 3, "1M"),
        (12, 3, "12"),
        (0, 2, "0"),
        (123_456, 1, "100k"),
    ],
)
def test_tokens_are_rounded(tokens: int, digits: int, text: str) -> None:
    assert format_tokens(tokens, digits) == text


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (40_000_000_000, "40GB"),
        (2**30, "1GiB"),
        (1_500, "1.5kB"),
        (0, "0B"),
        (1_234_567, "1234.567kB"),
        (999, "999B"),
    ],
)
def test_sizes_are_written(size: int, text: str) -> None:
    assert format_bytes(size) == text


@pytest.mark.parametrize(("seconds", "text"), [(5_400, "1h30m"), (0, "0s"), (86_401, "1d1s"), (45, "45s")])
def test_durations_are_written(seconds: int, text: str) -> None:
    assert format_duration(seconds) == text


@settings(deadline=None)
@given(st.integers(min_value=0, max_value=10**17))
def test_what_is_written_is_read_back(number: int) -> None:
    assert parse_tokens(format_tokens(number)) == number
    assert parse_bytes(format_bytes(number)) == number
    assert parse_duration_s(format_duration(number)) == number


@settings(deadline=None)
@given(
    st.one_of(
        st.text(), st.floats(), st.none(), st.from_regex(r"[0-9.,_ ]{1,9}[a-zA-Z ]{0,8}", fullmatch=True)
    )
)
def test_nothing_but_a_unit_error_is_raised(value: object) -> None:
    for parse in (parse_tokens, parse_duration_s, parse_bytes):
        try:
            assert parse(value) >= 0
        except UnitError as error:
            if error.hint is not None:
                parse(error.hint.removeprefix("did you mean `").removesuffix("`?"))


@pytest.mark.parametrize(
    ("kind", "good", "bad"), [(Tokens, "50B", "50b"), (DurationS, "8h", 8), (Bytes, "1GiB", "1G")]
)
def test_the_model_types_read_and_refuse(kind: type[int], good: object, bad: object) -> None:
    adapter = TypeAdapter(kind)
    assert isinstance(adapter.validate_python(good), int)
    with pytest.raises(ValidationError) as caught:
        adapter.validate_python(bad)
    assert isinstance(caught.value.errors()[0].get("ctx", {}).get("error"), UnitError)


def test_editors_learn_the_pattern() -> None:
    schema = TypeAdapter(Tokens).json_schema()
    assert [option["type"] for option in schema["anyOf"]] == ["integer", "string"]
    assert TypeAdapter(DurationS).json_schema()["type"] == "string"
