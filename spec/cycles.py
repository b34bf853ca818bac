"""Things that need each other: the cycles of a graph that is walked along its edges."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

N = TypeVar("N")
E = TypeVar("E")


def cycles(starts: Iterable[N], needs: Callable[[N], Iterator[tuple[N, E]]]) -> Iterator[tuple[list[N], E]]:
    """Each cycle that can be reached, once: its nodes, with the first again at the end, and what closes it.

    `needs` gives the nodes that a node needs, each with whatever tells where that is written. Depth first,
    and without recursion: chains may be deeper than Python's stack.
    """
    done: set[N] = set()
    for start in starts:
        if start in done:
            continue
        chain, waiting = [start], [needs(start)]
        while chain:
            need = next(waiting[-1], None)
            if need is None:
                done.add(chain.pop())
                waiting.pop()
            elif need[0] in chain:
                yield [*chain[chain.index(need[0]) :], need[0]], need[1]
            elif need[0] not in done:
                chain.append(need[0])
                waiting.append(needs(need[0]))
