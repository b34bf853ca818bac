"""Data of the quickstart: arithmetic with two-digit running results, and real English.

A problem is a chain of additions and subtractions whose running results all lie in 0..99:

    47+8-15=?
    47+8=55
    55-15=40
    #### 40

Every generator draws only from its `seed`, so the same arguments always yield the same rows. A tenth
of all problems, chosen by a digest of the question, is held out: no document and no training problem
shows one of them.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator
from pydoc_data.topics import topics

LOW, HIGH = 10, 99  # running results have two digits
CHAT = (
    "I am not sure about this one.",
    "Let me come back to it later.",
    "That is a good question.",
    "Sorry, no idea.",
    "Ask me something else, please.",
    "It is not so hard if one takes it step by step.",
)


def documents(seed: int, count: int, shares: dict[str, float] | None = None) -> Iterator[dict[str, str]]:
    """Yield `count` pre-training documents, drawn by the relative `shares` of their kinds.

    The kinds: `table` (single steps, all right), and answers to a question: `right`, `wrong` (one false
    step), `guess` (no work, a random answer), `chat` (nothing that can be checked).
    """
    rng = random.Random(f"documents {seed}")
    shares = shares or {"table": 15, "right": 30, "wrong": 13, "guess": 30, "chat": 12}
    kinds, weights = list(shares), list(shares.values())
    for _ in range(count):
        kind = rng.choices(kinds, weights)[0]
        yield {"text": _document(kind, rng)}


def problems(split: str, seed: int, count: int) -> Iterator[dict[str, object]]:
    """Yield `count` different problems of `split` ("train" or "test") with one worked demonstration each."""
    rng = random.Random(f"problems {split} {seed}")
    seen: set[str] = set()
    while len(seen) < count:
        chain = _chain(rng)
        question = _question(chain)
        if question in seen or _held_out(question) != (split == "test"):
            continue
        seen.add(question)
        work, answer = _work(chain)
        yield {"question": question, "answer": str(answer), "demonstrations": [work]}


def english(split: str) -> Iterator[dict[str, str]]:
    """Yield the topics of Python's own help as documents; a tenth of them make up the "test" split."""
    for name in sorted(topics):
        if _held_out(name) == (split == "test"):
            yield {"text": topics[name].strip()}


def _chain(rng: random.Random, lengths=(2, 3, 4)) -> list[int]:
    """Draw a start in 0..99 and two or three signed operands that keep the running result there."""
    chain = [rng.randint(LOW, HIGH)]
    for _ in range(rng.choice(lengths)):
        chain.append(_operand(sum(chain), rng))
    return chain


def _operand(value: int, rng: random.Random) -> int:
    while True:
        size = rng.randint(1, 9) if rng.random() < SMALL else rng.randint(10, 50)
        operand = rng.choice((size, -size))
        if LOW <= value + operand <= HIGH:
            return operand


SMALL = 1.0
DOCL = (1, 2, 3, 4)


def _question(chain: list[int]) -> str:
    return str(chain[0]) + "".join(f"{operand:+d}" for operand in chain[1:])


def _work(chain: list[int], error_at: int | None = None, error: int = 0) -> tuple[str, int]:
    """Write the steps out and return them with the answer; `error` is added to the result of one step."""
    value, lines = chain[0], []
    for index, operand in enumerate(chain[1:]):
        result = value + operand
        if index == error_at:
            result = LOW + (result - LOW + error) % (HIGH - LOW + 1)
        lines.append(f"{value}{operand:+d}={result}")
        value = result
    return "\n".join([*lines, f"#### {value}"]), value


def _document(kind: str, rng: random.Random) -> str:
    if kind == "table":
        starts = [rng.randint(LOW, HIGH) for _ in range(6)]
        return "\n".join(f"{a}{b:+d}={a + b}" for a in starts for b in [_operand(a, rng)])
    chain = _chain(rng, DOCL)
    while _held_out(_question(chain)):
        chain = _chain(rng, DOCL)
    if kind == "right":
        reply = _work(chain)[0]
    elif kind == "wrong":
        reply = _work(chain, rng.randrange(len(chain) - 1), rng.randint(1, HIGH - LOW))[0]
    elif kind == "guess":
        reply = f"#### {rng.randint(LOW, HIGH)}"
    else:
        reply = rng.choice(CHAT)
    return f"Q:{_question(chain)}=?\n{reply}"


def _held_out(name: str) -> bool:
    """Say whether a question or topic is kept for testing; stable over runs and machines."""
    return hashlib.sha256(name.encode()).digest()[0] < 26  # 26 of 256: a tenth
