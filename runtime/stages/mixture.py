"""A mixture of token files by weight, as one endless stream of rows that is a pure function of the seed.

Row n belongs to a source and is a row of that source; both follow from the seed and n alone. A longer run
therefore sees the same rows first, and a resumed one needs no state: it only needs to know its step.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from exc.runtime.context import JobFailed
from exc.runtime.stages.permutation import Permutation, seed_key

BLOCK = 1024  # rows; within a block every source has its whole share, give or take one row
_GOLDEN = 0.6180339887498949  # steps of this, modulo 1, spread evenly: the rounding of shares evens out
_DTYPES = {"uint16": "<u2", "uint32": "<u4"}


@dataclass(frozen=True, slots=True)
class TokenRows:
    """The memory-mapped tokens of one source, cut into rows of `length` tokens; a remainder is left out."""

    name: str
    tokens: NDArray[Any]
    length: int

    def __len__(self) -> int:
        return len(self.tokens) // self.length

    def __getitem__(self, row: int) -> NDArray[np.int64]:
        tokens: NDArray[np.int64] = self.tokens[row * self.length : (row + 1) * self.length].astype(np.int64)
        return tokens


def open_tokens(name: str, folder: Path, length: int) -> TokenRows:
    """Map the tokens of a `tokens` artifact.

    Raises JobFailed("data") if they do not make up one row, or if the file is not as long as its index says.
    """
    index = json.loads((folder / "index.json").read_text(encoding="utf-8"))
    if index["num_tokens"] < length:
        raise JobFailed(
            "data",
            f"data `{name}` has {index['num_tokens']} tokens, fewer than one sequence of {length}; "
            "lower `sequence_length` or give it more text",
        )
    tokens = np.memmap(folder / "tokens.bin", dtype=_DTYPES[index["dtype"]], mode="r")
    if len(tokens) != index["num_tokens"]:
        raise JobFailed(
            "data", f"data `{name}`: tokens.bin holds {len(tokens)} tokens, its index {index['num_tokens']}"
        )
    return TokenRows(name, tokens, length)


@dataclass(slots=True)
class Mixture:
    """Which row of which source comes when.

    Rows come in blocks. A block holds whole numbers of rows of each source, rounded so that no source is
    ever off its share by more than a few rows, in a seeded order of its own. Within a source, every epoch
    is a permutation of all its rows.
    """

    sizes: Mapping[str, int]  # source -> number of rows
    weights: Mapping[str, float]  # source -> relative weight, by tokens (rows are equally long)
    seed: int
    names: tuple[str, ...] = field(init=False)
    _shares: NDArray[np.float64] = field(init=False)  # cumulative, 0 .. 1, one more than sources
    _before: NDArray[np.int64] = field(init=False)  # (block, source): rows of the source before the block

    def __post_init__(self) -> None:
        # In the order given, which the compiler takes from what the sources hold: names mean nothing here.
        self.names = tuple(name for name, weight in self.weights.items() if weight > 0)
        if not self.names:
            raise JobFailed("config", "the mixture has no source with a weight above zero")
        weights = np.array([self.weights[name] for name in self.names], dtype=np.float64)
        self._shares = np.concatenate([[0.0], np.cumsum(weights / weights.sum())])
        self._shares[-1] = 1.0
        self._before = np.zeros((1, len(self.names)), dtype=np.int64)

    def locate(self, row: int) -> tuple[str, int]:
        """Return (source, row of that source) of row number `row` of the stream."""
        block, offset = divmod(row, BLOCK)
        place = Permutation(BLOCK, seed_key("block", self.seed, block))[offset]
        bounds = self._bounds(block)
        source = int(np.searchsorted(bounds, place, side="right")) - 1
        drawn = self._drawn_before(block, source) + place - int(bounds[source])
        name = self.names[source]
        epoch, index = divmod(drawn, self.sizes[name])
        return name, _epoch(self.sizes[name], self.seed, source, epoch)[index]

    def count(self, rows: int) -> dict[str, int]:
        """Count the rows of each source among the first `rows` of the stream."""
        block, rest = divmod(rows, BLOCK)
        order = Permutation(BLOCK, seed_key("block", self.seed, block))
        bounds = self._bounds(block)
        places = np.array([order[offset] for offset in range(rest)], dtype=np.int64)
        partial = np.bincount(np.searchsorted(bounds, places, side="right") - 1, minlength=len(self.names))
        return {
            name: self._drawn_before(block, source) + int(partial[source])
            for source, name in enumerate(self.names)
        }

    def between(self, start: int, stop: int) -> dict[str, int]:
        """Count the rows of each source from row `start` of the stream up to, and without, row `stop`."""
        before = self.count(start)
        return {name: rows - before[name] for name, rows in self.count(stop).items()}

    def _bounds(self, block: int) -> NDArray[np.int64]:
        """Return where in a block (before it is shuffled) each source begins, and BLOCK at the end."""
        bounds: NDArray[np.int64] = _round_shares(self._shares, np.array([block]))[0]
        return bounds

    def _drawn_before(self, block: int, source: int) -> int:
        if block >= len(self._before):
            blocks = np.arange(max(block + 1, 2 * len(self._before)))
            quotas = np.diff(_round_shares(self._shares, blocks), axis=1)
            self._before = np.concatenate([np.zeros_like(quotas[:1]), np.cumsum(quotas, axis=0)])
        return int(self._before[block, source])


@lru_cache(maxsize=256)
def _epoch(size: int, seed: int, source: int, epoch: int) -> Permutation:
    return Permutation(size, seed_key("epoch", seed, source, epoch))


def _round_shares(shares: NDArray[np.float64], blocks: NDArray[np.int64]) -> NDArray[np.int64]:
    """Round cumulative shares of BLOCK to whole rows, with an offset in [0, 1) that differs by block."""
    offsets = (blocks * _GOLDEN) % 1.0
    return np.floor(shares[None, :] * BLOCK + offsets[:, None]).astype(np.int64)


@dataclass(slots=True)
class MixedRows:
    """`num_rows` of a mixture from row `start` on, as a map-style data set for a sequential sampler."""

    mixture: Mixture
    sources: Mapping[str, TokenRows]
    num_rows: int
    start: int = 0  # rows of the mixture that were read by the run that this one goes on from

    def __len__(self) -> int:
        return self.num_rows

    def __getitem__(self, row: int) -> NDArray[np.int64]:
        name, index = self.mixture.locate(self.start + row)
        return self.sources[name][index]
