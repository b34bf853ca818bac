"""Answers in LaTeX compared by what they mean, through math-verify.

It is called in the judge's worker alone, whose time limit ends what sympy cannot decide: math-verify's own
limit is an alarm, which only a process's main thread can have.
"""

from __future__ import annotations

import logging
import re
from typing import Any

from exc.runtime.stages.numeric import last_boxed
from exc.runtime.stages.prompts import Row
from exc.runtime.stages.verifiers import Verdict

_TEXT = re.compile(r"\\(?:text|mathrm|textbf)\s*\{([^{}]*)\}")
_FORMULA = re.compile(r"(?<!\\)\$")  # begins one; escaped it is money, `\$18.90`
_MOST_SHOWN = 200  # characters of an answer as a vote; longer ones are told apart by these


def math(completion: str, row: Row) -> Verdict:
    """Whether the answer of a completion and the row's mean the same.

    The last `\\boxed{...}` of a completion is its answer; without one, the last expression that can be read.
    """
    import math_verify

    logging.getLogger("math_verify").setLevel(logging.ERROR)
    if row.answer is None or not row.answer.strip():
        return Verdict(None, False, False, f"row {row.index} has no answer")
    try:
        wanted = _parse(_as_latex(row.answer))
        if not wanted:
            return Verdict(
                None, False, False, f"row {row.index} has no expression for an answer: {row.answer!r}"
            )
        boxed = last_boxed(completion)
        text = completion if boxed is None else _boxed(boxed)
        found = _parse(text)
        if not found:
            return Verdict(None, False, True)
        same = boxed is not None and _bare(boxed) == _bare(row.answer)  # words, of which sympy makes products
        return Verdict(
            _vote(found), same or bool(math_verify.verify(wanted, found, timeout_seconds=None)), True
        )
    except Exception as error:  # of sympy, on what a model made up
        said = f"{type(error).__name__}: {error}"
        return Verdict(None, False, False, f"math-verify failed on row {row.index}: {said[:_MOST_SHOWN]}")


def _parse(text: str) -> list[Any]:
    """The expressions of a text; without an alarm, for the judge has its own."""
    import math_verify

    how = (math_verify.LatexExtractionConfig(), math_verify.ExprExtractionConfig())
    parse: Any = math_verify.parse
    found: list[Any] = parse(text, extraction_config=how, parsing_timeout=None)
    return found


def _bare(answer: str) -> str:
    """An answer without the box and the `\\text{...}` around it."""
    content = last_boxed(answer)
    return _TEXT.sub(r"\1", answer if content is None else content).strip()


def _boxed(content: str) -> str:
    return f"\\boxed{{{content}}}"


def _as_latex(answer: str) -> str:
    """A row's answer as math-verify reads it: one that stands alone is an expression as a whole."""
    boxed = last_boxed(answer)
    if boxed is not None:
        return _boxed(boxed)
    return answer if _FORMULA.search(answer) or "####" in answer else _boxed(answer.strip())


def _vote(found: list[Any]) -> str:
    """An answer by what it means, as far as its form tells: 0.50 and 1/2 are one vote."""
    value = found[0]
    number = getattr(value, "is_number", False) and getattr(value, "is_rational", False)
    if number and not getattr(value, "is_Float", False):
        return str(value)
    if getattr(value, "is_Float", False):
        from sympy import nsimplify

        value = nsimplify(value, rational=True)
    return str(value)[:_MOST_SHOWN]
