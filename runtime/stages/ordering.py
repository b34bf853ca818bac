"""The order in which fine-tuning reads its rows: a pure function of the seed, in one epoch of Trainer's.

TRL's own samplers carry a random state from epoch to epoch that is not part of a saved state, so that a run
resumed in a later epoch would see other rows than one that was never stopped.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Any

from torch.utils.data import Sampler

from exc.runtime.stages.permutation import Permutation, seed_key

SAMPLING = ("random", "sequential")  # TRL's names of the orders that a resumed run can go on in exactly


def row_at(position: int, num_rows: int, seed: int | None) -> int:
    """Return the row at a position of an endless pass over `num_rows` rows.

    Every epoch is a fresh permutation of all rows; with no seed the rows come as they are, over and over.
    """
    epoch, index = divmod(position, num_rows)
    return index if seed is None else _epoch(num_rows, seed, epoch)[index]


@lru_cache(maxsize=64)
def _epoch(num_rows: int, seed: int, epoch: int) -> Permutation:
    return Permutation(num_rows, seed_key("rows", seed, epoch))


class OrderedSampler(Sampler[int]):
    """Groups of `width` rows, each row `repeats` times over, each group `passes` times."""

    def __init__(
        self, num_rows: int, groups: int, width: int, seed: int | None, *, repeats: int = 1, passes: int = 1
    ) -> None:
        self.num_rows, self.groups, self.width, self.seed = num_rows, groups, width, seed
        self.repeats, self.passes = repeats, passes

    def __len__(self) -> int:
        return self.groups * self.width * self.repeats * self.passes

    def __iter__(self) -> Iterator[int]:
        for group in range(self.groups):
            rows: list[Any] = []
            for position in range(group * self.width, (group + 1) * self.width):
                rows.extend([row_at(position, self.num_rows, self.seed)] * self.repeats)
            for _ in range(self.passes):
                yield from rows
