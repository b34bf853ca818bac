"""Data of the quickstart: sums and differences of two-digit numbers, and real English.

A problem has two steps; every number in it, and every result on the way, lies in 10..99:

    Q:47+18-25=?
    47+18=65
    65-25=40
    #### 40

What the generators draw depends on their arguments alone. A tenth of all questions, chosen by a digest
of their text, is held out: neither a document nor a training problem shows one of them.
"""

from __future__ import annotations

import hashlib
import itertools
import random
from collections.abc import Iterator, Mapping
from pydoc_data.topics import topics

LOW, HIGH = 10, 99
CHAT = (
    "I am not sure about this one.",
    "Let me come back to it later.",
    "That is a good question.",
    "Ask me something else, please.",
    "It is not so hard if one takes it step by step.",
)
SHARES = {"table": 15.0, "right": 55.0, "wrong": 8.0, "guess": 15.0, "chat": 7.0}


def documents(seed: int, count: int, shares: Mapping[str, float] = SHARES) -> Iterator[dict[str, str]]:
    """Yield `count` documents to pre-train on, their kinds drawn by relative `shares`.

    A `table` holds single steps, all of them true. The other kinds answer a question: `right` works it
    out, `wrong` does so with one false step, `guess` names any number, `chat` says nothing to check.
    A model of this mixture can do the work before it prefers to: that preference is what RL teaches.
    """
    rng = random.Random(f"documents {seed}")
    kinds, weights = list(shares), list(shares.values())
    for kind in rng.choices(kinds, weights, k=count):
        yield {"text": _table(rng) if kind == "table" else _dialogue(kind, rng)}


def problems(split: str, seed: int, count: int) -> Iterator[dict[str, object]]:
    """Yield `count` different problems of the "train" or "test" split, each with one demonstration."""
    rng = random.Random(f"problems {split} {seed}")
    seen: set[str] = set()
    while len(seen) < count:
        results = _results(rng)
        question = _question(results)
        if question not in seen and _split(question) == split:
            seen.add(question)
            yield {"question": question, "answer": str(results[-1]), "demonstrations": [_work(results)]}


def english(split: str) -> Iterator[dict[str, str]]:
    """Yield help texts of Python, one per topic; the "test" split has about a tenth of the topics."""
    for name in sorted(topics):
        paragraphs = (paragraph.strip() for paragraph in topics[name].split("\n\n"))
        text = "\n\n".join(paragraph for paragraph in paragraphs if _split(paragraph) == split)
        if text:
            yield {"text": text}


def _split(name: str) -> str:
    """Assign a question or a topic to its split, the same one on every machine."""
    return "test" if hashlib.sha256(name.encode()).digest()[0] < 26 else "train"  # 26 of 256 values


def _results(rng: random.Random) -> list[int]:
    """Draw a start and two results such that each step adds or subtracts a two-digit number."""
    results = [rng.randint(LOW, HIGH)]
    while len(results) < 3:
        result = rng.randint(LOW, HIGH)
        if abs(result - results[-1]) >= LOW:
            results.append(result)
    return results


def _steps(results: list[int]) -> list[int]:
    return [after - before for before, after in itertools.pairwise(results)]


def _question(results: list[int]) -> str:
    return f"{results[0]}" + "".join(f"{step:+d}" for step in _steps(results))


def _work(results: list[int], false_step: int | None = None, error: int = 0) -> str:
    """Write the steps and the answer; `error` shifts the result of `false_step` within 10..99."""
    value, lines = results[0], []
    for index, step in enumerate(_steps(results)):
        shift = error if index == false_step else 0
        result = value + step + shift
        if shift or not LOW <= result <= HIGH:
            result = LOW + (result - LOW) % (HIGH - LOW + 1)
        lines.append(f"{value}{step:+d}={result}")
        value = result
    return "\n".join([*lines, f"#### {value}"])


def _table(rng: random.Random) -> str:
    rows = [_results(rng)[:2] for _ in range(6)]
    return ", ".join(f"{before}{after - before:+d}={after}" for before, after in rows)


def _dialogue(kind: str, rng: random.Random) -> str:
    results = _results(rng)
    while _split(_question(results)) == "test":
        results = _results(rng)
    replies = {
        "right": lambda: _work(results),
        "wrong": lambda: _work(results, rng.randrange(2), rng.randint(1, HIGH - LOW)),
        "guess": lambda: f"#### {rng.randint(LOW, HIGH)}",
        "chat": lambda: rng.choice(CHAT),
    }
    return f"Q:{_question(results)}=?\n{replies[kind]()}"
