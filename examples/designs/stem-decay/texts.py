"""Problems with their solutions as texts to pre-train on."""

from __future__ import annotations

from collections.abc import Iterator


def solutions(repo: str, split: str, revision: str, question: str, answer: str) -> Iterator[dict[str, str]]:
    """Yield one text for each solution of a data set on the hub; `answer` holds one solution or a list of them.

    It is read with the library `datasets`, from where that keeps what was downloaded or from the hub itself.
    """
    from datasets import load_dataset

    for row in load_dataset(repo, split=split, revision=revision, streaming=True):
        found = row[answer]
        for solution in [found] if isinstance(found, str) else found:
            yield {"text": f"Question: {row[question]}\nAnswer: {solution}\n"}
