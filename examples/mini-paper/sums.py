"""Data of the miniatures: sums in place of GSM8K and MATH, help texts of Python in place of the web.

A problem of GSM8K is here a sum of two steps, one of MATH a sum of three; every number in it, and every
result on the way, lies in 10..99:

    Q:47+18-25=?
    47+18=65
    65-25=40
    #### 40

A problem has a solution for each order of its terms that stays in that range. What the generators draw
depends on their arguments alone. A tenth of all questions, chosen by a digest of their text, is held out:
neither a document nor a training problem shows one of them.
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
# What a document of the web knows of sums. A model of this mixture can do the work before it prefers to.
SHARES = {"table": 20.0, "right": 28.0, "wrong": 12.0, "guess": 25.0, "chat": 15.0}


def documents(
    seed: int, count: int, steps: int, shares: Mapping[str, float] = SHARES
) -> Iterator[dict[str, str]]:
    """Yield `count` documents to pre-train on, their kinds drawn by relative `shares`.

    A `table` holds single steps, all of them true. The other kinds answer a question of so many `steps`:
    `right` works it out, `wrong` does so with one false step, `guess` names any number, `chat` says nothing
    to check.
    """
    rng = random.Random(f"documents {seed} {steps}")
    kinds, weights = list(shares), list(shares.values())
    for kind in rng.choices(kinds, weights, k=count):
        yield {"text": _table(rng) if kind == "table" else _dialogue(kind, rng, steps)}


def solved(split: str, seed: int, count: int, steps: int) -> Iterator[dict[str, str]]:
    """Yield a row for each solution of each of `count` problems, in the columns of OpenMathInstruct-2."""
    source = {2: "gsm8k", 3: "math"}[steps]
    for results in _problems(split, seed, count, steps):
        for index, order in enumerate(_orders(results)):
            yield {
                "problem": _question(results),
                "problem_source": f"augmented_{source}" if index else source,
                "expected_answer": str(results[-1]),
                "generated_solution": _work(order),
            }


def benchmark(split: str, seed: int, count: int, steps: int) -> Iterator[dict[str, str]]:
    """Yield `count` problems in the columns of GSM8K: the answer stands behind ####."""
    for results in _problems(split, seed, count, steps):
        yield {"question": _question(results), "answer": _work(results)}


def english(split: str) -> Iterator[dict[str, str]]:
    """Yield help texts of Python, one per topic; the "test" split has about a tenth of the paragraphs."""
    for name in sorted(topics):
        paragraphs = (paragraph.strip() for paragraph in topics[name].split("\n\n"))
        text = "\n\n".join(paragraph for paragraph in paragraphs if _split(paragraph) == split)
        if text:
            yield {"text": text}


def _problems(split: str, seed: int, count: int, steps: int) -> Iterator[list[int]]:
    rng = random.Random(f"problems {split} {seed} {steps}")
    seen: set[str] = set()
    while len(seen) < count:
        results = _results(rng, steps)
        question = _question(results)
        if question not in seen and _split(question) == split:
            seen.add(question)
            yield results


def _split(name: str) -> str:
    """Assign a question or a paragraph to its split, the same one on every machine."""
    return "test" if hashlib.sha256(name.encode()).digest()[0] < 26 else "train"  # 26 of 256 values


def _results(rng: random.Random, steps: int) -> list[int]:
    """Draw a start and the results of steps that add or subtract a two-digit number."""
    results = [rng.randint(LOW, HIGH)]
    while len(results) <= steps:
        result = rng.randint(LOW, HIGH)
        if abs(result - results[-1]) >= LOW:
            results.append(result)
    return results


def _terms(results: list[int]) -> list[int]:
    return [after - before for before, after in itertools.pairwise(results)]


def _orders(results: list[int]) -> list[list[int]]:
    """Give the results along the terms in each order that stays in the range, that of the question first."""
    orders = [
        list(itertools.accumulate(terms, initial=results[0]))
        for terms in itertools.permutations(_terms(results))
    ]
    return [order for order in orders if all(LOW <= result <= HIGH for result in order)]


def _question(results: list[int]) -> str:
    return f"{results[0]}" + "".join(f"{term:+d}" for term in _terms(results))


def _work(results: list[int], false_step: int | None = None, error: int = 0) -> str:
    """Write the steps and the answer; `error` shifts the result of `false_step` within 10..99."""
    value, lines = results[0], []
    for index, term in enumerate(_terms(results)):
        shift = error if index == false_step else 0
        result = value + term + shift
        if shift or not LOW <= result <= HIGH:
            result = LOW + (result - LOW) % (HIGH - LOW + 1)
        lines.append(f"{value}{term:+d}={result}")
        value = result
    return "\n".join([*lines, f"#### {value}"])


def _table(rng: random.Random) -> str:
    rows = [_results(rng, 1) for _ in range(6)]
    return ", ".join(f"{before}{after - before:+d}={after}" for before, after in rows)


def _dialogue(kind: str, rng: random.Random, steps: int) -> str:
    results = _results(rng, steps)
    while _split(_question(results)) == "test":
        results = _results(rng, steps)
    replies = {
        "right": lambda: _work(results),
        "wrong": lambda: _work(results, rng.randrange(steps), rng.randint(1, HIGH - LOW)),
        "guess": lambda: f"#### {rng.randint(LOW, HIGH)}",
        "chat": lambda: rng.choice(CHAT),
    }
    return f"Q:{_question(results)}=?\n{replies[kind]()}"
