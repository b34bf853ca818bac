from __future__ import annotations

import pytest

from exc.runtime.context import JobFailed
from exc.runtime.stages.prompts import Row, fewshot_prefix, render_prompt

TEMPLATE = "{question}=?\n"


def rows(*names: str, solved: bool = True) -> list[Row]:
    return [
        Row(i, {"question": n}, f"a{n}", (f"work {n}\n#### {n}", "second") if solved else ())
        for i, n in enumerate(names)
    ]


def test_braces_are_literal_when_doubled() -> None:
    template = "{question}\nLet's think, and put it in \\boxed{{}}."
    assert render_prompt(template, {"question": "1+{x}?"}) == "1+{x}?\nLet's think, and put it in \\boxed{}."


@pytest.mark.parametrize(
    ("template", "kind", "message"),
    [
        (
            "{questoin}",
            "data",
            "the prompt names {questoin}, but the row has no such field (it has: question, hint)",
        ),
        ("{hint}", "data", "the row's `hint` is null"),
        ("{question.upper}", "config", "`{question.upper}` is not the plain name of a field"),
        ("{question[0]}", "config", "is not the plain name of a field"),
        ("{question!r}", "config", "is not the plain name of a field"),
        ("{question:>5}", "config", "is not the plain name of a field"),
        ("{}", "config", "is not the plain name of a field"),
        ("{question", "config", "write {{ and }} for braces"),
        ("a}b", "config", "write {{ and }} for braces"),
    ],
)
def test_bad_templates(template: str, kind: str, message: str) -> None:
    with pytest.raises(JobFailed) as failure:
        render_prompt(template, {"question": "x", "hint": None})
    assert failure.value.kind == kind
    assert message in str(failure.value)


def test_fewshot_prefix_golden() -> None:
    pool = rows("1+1", "2+2", "3+3", "4+4", "5+5")
    assert fewshot_prefix(TEMPLATE, pool, rows("9+9"), 2, seed=1) == (
        "3+3=?\nwork 3+3\n#### 3+3\n\n5+5=?\nwork 5+5\n#### 5+5\n\n"
    )


def test_answers_stand_in_for_demonstrations() -> None:
    assert fewshot_prefix(TEMPLATE, rows("1+1", solved=False), [], 1, seed=0) == "1+1=?\na1+1\n\n"


def test_no_examples_is_an_empty_prefix() -> None:
    assert fewshot_prefix(TEMPLATE, [], rows("1+1"), 0, seed=0) == ""


def test_an_evaluated_problem_is_never_an_example() -> None:
    pool, evaluated = rows(*"abcdef"), rows(*"bdf")
    for seed in range(20):
        prefix = fewshot_prefix(TEMPLATE, pool, evaluated, 3, seed)
        assert sorted(prefix.split("=?")[0] for prefix in prefix.split("\n\n")[:-1]) == ["a", "c", "e"]


def test_the_choice_hangs_on_the_seed_and_not_on_the_order_of_the_pool() -> None:
    pool = rows(*"abcdefgh")
    choices = {fewshot_prefix(TEMPLATE, pool, [], 3, seed) for seed in range(20)}
    assert len(choices) > 5
    assert fewshot_prefix(TEMPLATE, pool[::-1], [], 3, 7) == fewshot_prefix(TEMPLATE, pool, [], 3, 7)


def test_too_few_examples_is_a_failure() -> None:
    with pytest.raises(
        JobFailed, match="4 few-shot examples are asked for, but only 2 of the pool's 4 rows can serve"
    ):
        fewshot_prefix(TEMPLATE, rows("a", "a", "b", "c"), rows("c"), 4, seed=0)
