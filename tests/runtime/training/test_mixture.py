"""The order of pre-training rows: prefix-stable, in proportion, every row once an epoch."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exc.runtime.context import JobFailed
from exc.runtime.stages.mixture import BLOCK, Mixture, open_tokens
from exc.runtime.stages.permutation import Permutation, seed_key
from tests.runtime.training.world import write_tokens

sizes = st.integers(min_value=1, max_value=3000)
seeds = st.integers(min_value=0, max_value=2**40)
mixtures = st.dictionaries(
    st.text("abcdef", min_size=1, max_size=3),
    st.tuples(sizes, st.floats(min_value=0.01, max_value=100)),
    min_size=1,
    max_size=6,
)


def make(parts: dict[str, tuple[int, float]], seed: int) -> Mixture:
    return Mixture(
        {name: size for name, (size, _) in parts.items()},
        {name: weight for name, (_, weight) in parts.items()},
        seed,
    )


@given(size=sizes, key=seeds)
def test_a_permutation_reaches_everything_once(size: int, key: int) -> None:
    permutation = Permutation(size, key)
    assert sorted(permutation[index] for index in range(size)) == list(range(size))


def test_a_permutation_moves_things_about() -> None:
    permutation = Permutation(10_000, seed_key("test"))
    moved = np.array([permutation[index] for index in range(10_000)])
    assert abs(np.corrcoef(np.arange(10_000), moved)[0, 1]) < 0.03
    assert np.mean(np.abs(np.diff(moved)) == 1) < 0.01
    other = Permutation(10_000, seed_key("test", 1))
    assert sum(int(moved[index] == other[index]) for index in range(10_000)) < 20


def test_a_permutation_refuses_what_is_outside() -> None:
    with pytest.raises(IndexError):
        Permutation(5, 0)[5]


@settings(max_examples=30, deadline=None)
@given(parts=mixtures, seed=seeds, far=st.integers(min_value=0, max_value=20_000))
def test_a_row_does_not_depend_on_what_was_asked_before(
    parts: dict[str, tuple[int, float]], seed: int, far: int
) -> None:
    fresh, used = make(parts, seed), make(parts, seed)
    rows = [used.locate(row) for row in range(50)]
    assert fresh.locate(far) == used.locate(far)
    assert [fresh.locate(row) for row in range(50)] == rows


@settings(max_examples=25, deadline=None)
@given(parts=mixtures, seed=seeds, rows=st.integers(min_value=1, max_value=5 * BLOCK))
def test_shares_are_kept_and_counted(parts: dict[str, tuple[int, float]], seed: int, rows: int) -> None:
    mixture = make(parts, seed)
    counts = Counter(mixture.locate(row)[0] for row in range(rows))
    assert {name: counts[name] for name in mixture.names} == mixture.count(rows)
    total = sum(weight for _, weight in parts.values())
    whole_blocks = rows - rows % BLOCK
    for name, count in mixture.count(whole_blocks).items():
        assert abs(count - whole_blocks * parts[name][1] / total) <= 3


@settings(max_examples=25, deadline=None)
@given(parts=mixtures, seed=seeds)
def test_every_row_comes_once_an_epoch(parts: dict[str, tuple[int, float]], seed: int) -> None:
    mixture = make(parts, seed)
    drawn: dict[str, list[int]] = {name: [] for name in mixture.names}
    # Which draw of its source a row is follows from the block, not from the order inside it.
    for block in range(4):
        before = {name: len(rows) for name, rows in drawn.items()}
        for row in range(block * BLOCK, (block + 1) * BLOCK):
            name, index = mixture.locate(row)
            drawn[name].append(index)
        for name, rows in drawn.items():
            size = parts[name][0]
            epochs = Counter(rows)
            complete = len(rows) // size
            assert all(epochs[index] in (complete, complete + 1) for index in range(size)), (block, before)


def test_what_a_source_is_called_means_nothing() -> None:
    first = make({"b": (30, 3.0), "a": (20, 1.0)}, seed=4)
    renamed = make({"x": (30, 3.0), "y": (20, 1.0)}, seed=4)
    other = {"b": "x", "a": "y"}
    for row in range(500):
        name, index = first.locate(row)
        assert renamed.locate(row) == (other[name], index)


def test_a_rare_source_is_not_forgotten() -> None:
    mixture = Mixture({"common": 100, "rare": 100}, {"common": 9999.0, "rare": 1.0}, 0)
    assert mixture.count(100 * BLOCK)["rare"] == pytest.approx(10.24, abs=2)


def test_a_source_without_weight_is_left_out() -> None:
    mixture = Mixture({"a": 10, "b": 10}, {"a": 1.0, "b": 0.0}, 0)
    assert mixture.count(1000) == {"a": 1000}
    with pytest.raises(JobFailed, match="weight above zero"):
        Mixture({"b": 10}, {"b": 0.0}, 0)


def test_rows_are_slices_of_the_tokens(tmp_path: Path) -> None:
    rows = open_tokens("web", write_tokens(tmp_path / "web", 35), 10)
    assert len(rows) == 3
    raw = np.fromfile(tmp_path / "web" / "tokens.bin", dtype="<u2")
    assert rows[2].tolist() == raw[20:30].tolist()
    assert rows[2].dtype == np.int64


def test_a_source_shorter_than_a_row_is_refused(tmp_path: Path) -> None:
    with pytest.raises(JobFailed, match="`web` has 9 tokens, fewer than one sequence of 10") as failure:
        open_tokens("web", write_tokens(tmp_path / "web", 9), 10)
    assert failure.value.kind == "data"


def test_a_token_file_cut_short_is_refused(tmp_path: Path) -> None:
    folder = write_tokens(tmp_path / "web", 40)
    (folder / "tokens.bin").write_bytes(b"\0" * 60)
    with pytest.raises(JobFailed, match="holds 30 tokens, its index 40"):
        open_tokens("web", folder, 10)
