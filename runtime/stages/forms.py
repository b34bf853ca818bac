"""The form in which a task asks for an answer, as far as a reward for form goes."""

from __future__ import annotations

import re

from exc.runtime.stages.numeric import last_boxed

_HASHES = re.compile(r"^\s*####[ \t]*\S", re.MULTILINE)
_TAGGED = re.compile(r"<answer>\s*\S.*?</answer>", re.DOTALL)


def in_form(completion: str, form: str) -> bool:
    """Whether a completion gives something as its answer in the form: boxed, hashes, answer-tags, or any.

    Raises ValueError for another form.
    """
    if form == "any":
        return True
    if form == "boxed":
        return bool((last_boxed(completion) or "").strip())
    if form == "hashes":
        return _HASHES.search(completion) is not None
    if form == "answer-tags":
        return _TAGGED.search(completion) is not None
    raise ValueError(f"there is no form `{form}`")
