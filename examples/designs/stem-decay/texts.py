"""Problems with their solutions as texts to pre-train on."""

from __future__ import annotations

from collections.abc import Iterator


def solutions(repo: str, split: str, revision: str, question: str, answer: str) -> Iterator[dict[str, str]]:
    """Yield one text for each solution of a data set on the hub; `answer` is the column of one or of several.

    Jobs do not reach the hub, so the data set must be in the cache of the library `datasets`: calling this
    function once where the hub can be reached puts it there.
    """
    from datasets import load_dataset

    for row in load_dataset(repo, split=split, revision=revision):
        found = row[answer]
        for solution in [found] if isinstance(found, str) else found:
            yield {"text": f"Question: {row[question]}\nAnswer: {solution}\n"}
