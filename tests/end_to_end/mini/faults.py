"""Data and verifiers that go wrong."""

from __future__ import annotations

from collections.abc import Iterator, Mapping


def nothing() -> Iterator[dict[str, object]]:
    return iter(())


def raising() -> Iterator[dict[str, object]]:
    yield {"question": "1+1", "answer": 2, "demonstrations": ["2\n"]}
    raise ValueError("the second row cannot be made")


def judge_most(completion: str, answer: str, row: Mapping[str, object]) -> bool:  # noqa: ARG001
    if answer == "0":
        raise RuntimeError("no judge for nought")
    return answer in completion


def judge_none(completion: str, answer: str, row: Mapping[str, object]) -> bool:  # noqa: ARG001
    raise RuntimeError("the judge is away")


def greedy() -> Iterator[dict[str, object]]:
    yield {"question": "1+1", "answer": 2, "demonstrations": ["2\n"]}
    import resource

    resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))
    yield {"question": "x" * (1 << 31), "answer": 2, "demonstrations": ["2\n"]}


def judge_never(completion: str, answer: str, row: Mapping[str, object]) -> bool:  # noqa: ARG001
    while completion is not answer:
        pass
    return True
