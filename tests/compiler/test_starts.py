"""Pre-training that starts from a model: trunks with `from`, `pretrain` stages, and repeated blocks."""

from __future__ import annotations

from typing import Any

import pytest

from exc.compiler.plan import Job, Plan
from exc.spec.diagnostics import Diagnostics
from tests.compiler.study import artifacts, edited, load, loaded, plan_of, plan_with

ALL = {"optimizer": "continue", "data_position": "continue", "schedule": "continue"}
CONSTANT = {"shape": "constant", "peak": 3.0e-3, "warmup": 51200}
STEM = {"trunks.tiny.pretrain.schedule": CONSTANT}
PER_STEP = 16 * 64  # tokens


def trunk(start: dict[str, Any], tokens: int, *steps: int, **settings: Any) -> dict[str, Any]:
    pretrain = {"like": "tiny", "tokens": tokens, **settings}
    return {"from": start, "pretrain": pretrain, "checkpoints": list(steps)}


def cycle(*stages: dict[str, Any], repeat: int = 3) -> list[dict[str, Any]]:
    return [{"cycle": {"repeat": repeat, "stages": list(stages)}}]


def rounds(**settings: Any) -> list[dict[str, Any]]:
    """Reinforcement learning and more pre-training in turn, 50 steps of it in each round."""
    rl = {"rl": {"grpo": {"like": "rl.rl", "args": {"learning_rate": 2.0e-5}}}}
    return cycle(rl, {"more": {"pretrain": {"like": "tiny", "tokens": 50 * PER_STEP, **settings}}})


def reads(plan: Plan, job_id: str) -> dict[str, str]:
    return {need.role: need.job for need in plan.job(job_id).needs}


def begins(job: Job) -> tuple[int, int]:
    return job.config.get("start_step", 0), job.config.get("start_row", 0)


# Trunks


def test_a_trunk_from_a_checkpoint_has_its_own_steps_and_segments() -> None:
    plan = plan_with(STEM | {"trunks.more": trunk({"trunk": "tiny", "at": 700}, 200 * PER_STEP, 100, 200)})
    first, second = plan.job("more/pretrain/100"), plan.job("more/pretrain/200")
    assert reads(plan, first.id) == {
        "tokenizer": "tiny/tokenizer",
        "tokens:docs": "tiny/tokens/docs",
        "tokens:problems": "tiny/tokens/problems",
        "model": "tiny/pretrain/700",
    }
    assert reads(plan, second.id)["resumes"] == first.id
    assert first.config["model"] == {}
    assert begins(first) == begins(second) == (0, 0)
    facts = plan.report["trunks"]["more"]
    assert (facts["tokens_before"], facts["from"]) == (700 * PER_STEP, "tiny/pretrain/700")
    tokens = {cell["at"]: cell["tokens"] for cell in plan.report["cells"] if cell["trunk"] == "more"}
    assert tokens == {100: 800 * PER_STEP, 200: 900 * PER_STEP}


def test_what_was_planned_before_is_what_it_was() -> None:
    changes = {
        "trunks.more": trunk({"trunk": "tiny", "at": 700}, 300 * PER_STEP, 100),
        "recipes.mixed": rounds(schedule=CONSTANT),
    }
    assert artifacts(plan_of()) < artifacts(plan_with(changes))


def test_the_order_of_trunks_means_nothing() -> None:
    chain = {
        "a": trunk({"trunk": "b", "at": "last"}, 50 * PER_STEP, 50),
        "b": trunk({"trunk": "tiny", "at": "first"}, 50 * PER_STEP, 50),
    }
    spec = edited(STEM)
    spec["trunks"] = {**chain, **spec["trunks"]}
    other = edited(STEM)
    other["trunks"] = {**other["trunks"], **dict(reversed(chain.items()))}
    assert artifacts(plan_of(spec)) == artifacts(plan_of(other))
    assert plan_of(spec).report["trunks"]["a"]["tokens_before"] == 450 * PER_STEP


def test_a_trunk_from_a_trained_model_is_trained() -> None:
    start = {"recipe": "rl", "trunk": "tiny", "at": 400, "step": 20}
    plan = plan_with({"trunks.after": trunk(start, 50 * PER_STEP, 50, schedule=CONSTANT)})
    assert reads(plan, "after/pretrain/50")["model"] == "tiny/400/rl/r0/rl"
    model = next(need for need in plan.job("after/pretrain/50").needs if need.role == "model")
    assert model.artifact == f"grpo/{plan.job('tiny/400/rl/r0/rl').kept[20]}"
    assert plan.job("after/pretrain/50.sums.sample.0").config["num_fewshot"] == 0
    assert plan.job("tiny/pretrain/400.sums.sample.0").config["num_fewshot"] == 4
    assert plan.report["trunks"]["after"]["tokens_before"] == 400 * PER_STEP


def test_pretraining_alone_leaves_a_base_model() -> None:
    plan = plan_with(
        {
            "recipes.more": [
                {"more": {"pretrain": {"like": "tiny", "tokens": 60 * PER_STEP, "schedule": CONSTANT}}}
            ]
        }
    )
    assert plan.job("tiny/400/more/r0/more.sums.sample.0").config["num_fewshot"] == 4
    assert plan.job("tiny/400/rl/r0/rl.sums.sample.0").config["num_fewshot"] == 0


def test_continuing_everything() -> None:
    start = {"trunk": "tiny", "at": 400}
    plan = plan_with(STEM | {"trunks.more": trunk(start, 300 * PER_STEP, 300, continues=ALL)})
    job = plan.job("more/pretrain/300")
    assert reads(plan, job.id)["continues"] == "tiny/pretrain/400"
    assert begins(job) == (400, 400 * 16)
    assert plan.report["trunks"]["more"]["start_step"] == 400


def test_a_chain_adds_up() -> None:
    changes = STEM | {
        "trunks.b": trunk({"trunk": "tiny", "at": 400}, 100 * PER_STEP, 40, 100, continues=ALL),
        "trunks.c": trunk({"trunk": "b", "at": 40}, 60 * PER_STEP, 60, continues=ALL),
    }
    plan = plan_with(changes)
    assert begins(plan.job("c/pretrain/60")) == (440, 440 * 16)
    assert reads(plan, "c/pretrain/60")["continues"] == "b/pretrain/40"
    assert plan.report["trunks"]["c"]["tokens_before"] == 440 * PER_STEP


def test_the_optimizer_is_that_of_the_last_pretraining_behind_other_stages() -> None:
    recipe = [
        {"tune": {"sft": {"like": "sft.sft"}}},
        {"soup": {"merge": {"of": ["base", "prev"]}}},
        {"run": {"command": {"run": "true"}}},
        {
            "more": {
                "pretrain": {
                    "like": "tiny",
                    "tokens": 60 * PER_STEP,
                    "schedule": CONSTANT,
                    "continues": {"optimizer": "continue"},
                }
            }
        },
    ]
    plan = plan_with({"recipes.long": recipe})
    found = reads(plan, "tiny/400/long/r0/more")
    assert (found["model"], found["continues"]) == ("tiny/400/long/r0/run", "tiny/pretrain/400")


def test_each_part_counts_in_identity() -> None:
    def identity(continues: dict[str, str]) -> str:
        start = {"trunk": "tiny", "at": 400}
        plan = plan_with(STEM | {"trunks.more": trunk(start, 300 * PER_STEP, 300, continues=continues)})
        return plan.job("more/pretrain/300").identity

    parts = [{}, *({part: "continue"} for part in ALL), ALL]
    assert len({identity(part) for part in parts}) == len(parts)


def test_the_data_go_on_in_the_order_of_the_seed_they_began_with() -> None:
    changes: dict[str, Any] = {
        "recipes.mixed": rounds(continues={"data_position": "continue"}, schedule=CONSTANT),
        "replicates": [{"num": 2, "on": {"recipes": ["mixed"]}}],
    }
    plan = plan_with(changes)
    first, second = plan.job("tiny/400/mixed/r0/more-1"), plan.job("tiny/400/mixed/r1/more-1")
    assert first.config["seed"] != second.config["seed"]
    assert "data_seed" not in first.config
    assert second.config["data_seed"] == first.config["seed"]


# Stages


def test_kept_steps_of_a_stage_are_segments_that_are_measured() -> None:
    stage = {
        "like": "tiny",
        "tokens": 100 * PER_STEP,
        "schedule": CONSTANT,
        "keep": {"tokens": [40 * PER_STEP]},
    }
    plan = plan_with(
        {
            "recipes.more": [{"more": {"pretrain": stage}}],
            "recipes.then": [
                {"tune": {"from": {"recipe": "more", "step": 70}, "sft": {"like": "sft.sft"}}},
            ],
        }
    )
    assert reads(plan, "tiny/400/more/r0/more")["resumes"] == "tiny/400/more/r0/more@40"
    assert reads(plan, "tiny/400/more/r0/more@70")["resumes"] == "tiny/400/more/r0/more@40"
    assert reads(plan, "tiny/400/then/r0/tune")["model"] == "tiny/400/more/r0/more@70"
    assert {plan.job(f"tiny/400/more/r0/more{at}").cls for at in ("", "@40", "@70")} == {"more.more"}
    cells = [
        c for c in plan.report["cells"] if (c["recipe"], c["at"], c["evaluation"]) == ("more", 400, "sums")
    ]
    assert [(cell["step"], cell["final"]) for cell in cells] == [(70, False), (None, True)]


def test_a_stage_that_is_what_a_trunk_does_is_one_job() -> None:
    """The same pre-training from the same checkpoint, under two names."""
    plan = plan_with(
        STEM
        | {
            "recipes.more": [{"more": {"pretrain": {"like": "tiny", "tokens": 100 * PER_STEP}}}],
            "trunks.longer": trunk({"trunk": "tiny", "at": 400}, 100 * PER_STEP, 100),
        }
    )
    assert plan.job("longer/pretrain/100") is plan.job("tiny/400/more/r0/more")


# Repeated blocks


def test_rounds_follow_each_other() -> None:
    plan = plan_with(STEM | {"recipes.mixed": rounds(continues=ALL)})
    chain = ["tiny/pretrain/400"]
    for number in (1, 2, 3):
        rl, more = f"tiny/400/mixed/r0/rl-{number}", f"tiny/400/mixed/r0/more-{number}"
        assert reads(plan, rl)["model"] == chain[-1]
        assert reads(plan, more)["model"] == rl
        assert reads(plan, more)["continues"] == (chain[-1] if number > 1 else "tiny/pretrain/400")
        assert begins(plan.job(more)) == (400 + 50 * (number - 1), 16 * (400 + 50 * (number - 1)))
        assert (plan.job(rl).cls, plan.job(more).cls) == ("mixed.rl", "mixed.more")
        chain.append(more)


def test_rounds_walk_down_one_cosine() -> None:
    cosine = {"shape": "cosine", "peak": 3.0e-3, "floor": 0.1}
    changes = {"trunks.tiny.pretrain.schedule": cosine, "recipes.mixed": rounds(continues=ALL)}
    plan = plan_with(changes | {"branches": [{"recipes": ["mixed"], "at": [700]}]})
    last = plan.job("tiny/700/mixed/r0/more-3").config
    assert (last["start_step"], last["lr"]["total_steps"]) == (800, 1000)


def test_a_block_is_its_stages_written_out() -> None:
    stages: list[dict[str, Any]] = [
        {"rl": {"grpo": {"like": "rl.rl", "keep": None}}},
        {"tune": {"from": {"recipe": "mixed", "stage": "rl"}, "sft": {"like": "sft.sft"}}},
        {"soup": {"merge": {"of": [{"recipe": "mixed", "stage": "rl"}, "prev", "base"]}}},
    ]
    by_hand: list[dict[str, Any]] = []
    for number in (1, 2):
        rl = {"recipe": "mixed", "stage": f"rl-{number}"}
        by_hand += [
            {f"rl-{number}": stages[0]["rl"]},
            {f"tune-{number}": {**stages[1]["tune"], "from": rl}},
            {f"soup-{number}": {"merge": {"of": [rl, "prev", "base"]}}},
        ]
    head = [{"warm": {"sft": {"like": "sft.sft", "max_steps": 5}}}]
    repeated = plan_with({"recipes.mixed": [*head, *cycle(*stages, repeat=2)]})
    written = plan_with({"recipes.mixed": [*head, *by_hand]})
    assert [job.id for job in repeated] == [job.id for job in written]
    for mine, theirs in zip(repeated, written, strict=True):
        same = {key: value for key, value in mine.config.items() if key != "seed"}
        assert same == {key: value for key, value in theirs.config.items() if key != "seed"}
        assert [(need.role, need.job) for need in mine.needs] == [
            (need.role, need.job) for need in theirs.needs
        ]


def test_each_round_draws_its_own_rows() -> None:
    plan = plan_with({"recipes.mixed": cycle({"rl": {"grpo": {"like": "rl.rl", "keep": None}}}, repeat=3)})
    seeds = [plan.job(f"tiny/400/mixed/r0/rl-{number}").config["seed"] for number in (1, 2, 3)]
    assert len(set(seeds)) == 3
    assert seeds[0] == plan.job("tiny/400/rl/r0/rl").config["seed"]  # so that the first is shared


def test_rounds_are_named_and_copied_from_outside() -> None:
    plan = plan_with(
        STEM
        | {
            "recipes.mixed": rounds(),
            "recipes.then": [
                {"a": {"from": {"recipe": "mixed", "stage": "rl-2"}, "grpo": {"like": "mixed.rl"}}},
            ],
            "recipes.more": [{"b": {"from": "mixed", "pretrain": {"like": "mixed.more"}}}],
        }
    )
    assert reads(plan, "tiny/400/then/r0/a")["model"] == "tiny/400/mixed/r0/rl-2"
    assert reads(plan, "tiny/400/more/r0/b")["model"] == "tiny/400/mixed/r0/more-3"


def test_what_a_copy_changes_is_listed_once() -> None:
    found = load(edited(STEM | {"recipes.mixed": rounds()}))
    assert len([o for o in found.overrides if "tokens" in o.path]) == 1


def test_a_stage_can_be_told_apart_by_a_profile_without_its_number() -> None:
    from exc.spec.profiles import Profile

    profile = Profile.model_validate({"resources": [{"on": {"job_class": "mixed.more"}, "cpus": 3}]})
    plan = plan_of(edited(STEM | {"recipes.mixed": rounds()}), profile=profile)
    assert {plan.job(f"tiny/700/mixed/r0/more-{n}").resources["cpus"] for n in (1, 2, 3)} == {3}


# Schedules by parameters


def test_multiples_of_a_compute_optimal_run() -> None:
    from exc.compiler.parameters import num_parameters

    spec = loaded()
    optimal = 20 * num_parameters(spec["trunks"]["tiny"]["pretrain"]["model"], 512)
    factor = 0.25
    changes: dict[str, Any] = {"trunks.tiny.checkpoints": {"chinchilla": [factor], "snap": "nearest"}}
    changes["trunks.tiny.pretrain.tokens"] = 2 * 10**6
    changes["trunks.more"] = {
        "from": {"trunk": "tiny", "at": "last"},
        "pretrain": {"like": "tiny"},
        "checkpoints": {"chinchilla": [factor], "snap": "nearest"},
    }
    plan = plan_of(edited(changes))
    step = round(factor * optimal / PER_STEP)
    assert plan.report["trunks"]["tiny"]["checkpoints"] == [["0.25x chinchilla", step]]
    assert plan.report["trunks"]["more"]["checkpoints"] == [["0.25x chinchilla", step]]


@pytest.mark.parametrize("size", [None, 512])
def test_a_tokenizer_from_a_folder(size: int | None) -> None:
    from exc.compiler.checks import check
    from exc.compiler.facts import Facts

    spec = edited({"trunks.tiny.checkpoints": {"chinchilla": [0.1], "snap": "nearest"}})
    spec["trunks"]["tiny"]["pretrain"]["tokenizer"] = {"path": "tok"}
    draft = load(spec).draft
    assert draft is not None
    diagnostics = Diagnostics()
    check(draft, diagnostics, Facts(vocabularies={"tok": size}))
    assert [found.code for found in diagnostics if found.severity == "error"] == (
        ["unknown-size"] if size is None else []
    )


def test_a_model_that_was_made_elsewhere_brings_its_tokenizer() -> None:
    from dataclasses import replace

    from exc.compiler.compile import compile_plan
    from exc.compiler.facts import FileFact
    from exc.spec.profiles import Profile
    from tests.compiler.study import facts_of

    more = {"pretrain": {"like": "tiny", "tokens": 60 * PER_STEP, "schedule": CONSTANT}}
    experiment = load(
        edited({"recipes.given": [{"load": {"folder": {"path": "m"}}}, {"more": more}]})
    ).experiment
    assert experiment is not None
    facts = facts_of(experiment.spec)
    file = FileFact("m/model.safetensors", 1, "ab")
    plan = compile_plan(experiment, replace(facts, files={**facts.files, "m": (file,)}), Profile())
    needs = {need.role: (need.job, need.output) for need in plan.job("tiny/400/given/r0/more").needs}
    assert needs["tokenizer"] == needs["model"] == ("tiny/400/given/r0/load", "model")
    tokens = plan.job(needs["tokens:docs"][0])
    assert [(need.role, need.job) for need in tokens.needs] == [("tokenizer", "tiny/400/given/r0/load")]


def test_estimates_follow_the_shape() -> None:
    plan = plan_with(STEM | {"trunks.more": trunk({"trunk": "tiny", "at": 400}, 100 * PER_STEP, 60, 100)})
    first, second = plan.job("more/pretrain/60").estimate, plan.job("more/pretrain/100").estimate
    whole = plan.job("tiny/pretrain/400").estimate
    assert (first["tokens"], second["tokens"]) == (60 * PER_STEP, 40 * PER_STEP)
    assert first["flops"] / first["tokens"] == whole["flops"] / whole["tokens"]
