"""Which jobs a spec becomes: branches, replicates, sharing, kept steps and what evaluations measure."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from exc.compiler.plan import Job, Plan
from exc.compiler.seeds import replicate_seed
from tests.compiler.study import artifacts, edited, identities, ids, loaded, plan_of, plan_with

BASE = plan_of()


def reads(job: Job) -> dict[str, str]:
    """Role -> the job read."""
    return {need.role: need.job for need in job.needs}


def added(plan: Plan, before: Plan = BASE) -> set[str]:
    """The ids of the jobs that leave something new."""
    known = artifacts(before)
    return {job.id for job in plan if not set(job.artifacts()) <= known}


def cells(plan: Plan, evaluation: str, recipe: str, at: int = 400) -> list[dict[str, Any]]:
    return [
        cell
        for cell in plan.report["cells"]
        if (cell["evaluation"], cell["recipe"], cell["at"]) == (evaluation, recipe, at)
    ]


def steps_measured(plan: Plan, evaluation: str, recipe: str) -> list[int | None]:
    return [cell["step"] for cell in cells(plan, evaluation, recipe)]


# --- the whole

SPECS: dict[str, dict[str, Any]] = {
    "study": {},
    "replicates": {"replicates": [{"num": 3}]},
    "curve": {"evaluations.sums.on": {"step": "all"}},
    "blocks": {"evaluations.sums.pass_at_k.num_samples": 40},
    "two stages": {"recipes.both": [{"a": {"sft": {"like": "sft.sft"}}}, {"b": {"grpo": {"like": "rl.rl"}}}]},
}


@pytest.mark.parametrize("changes", SPECS.values(), ids=SPECS.keys())
def test_every_job_comes_after_what_it_reads(changes: dict[str, Any]) -> None:
    plan = plan_with(changes)
    done: set[str] = set()
    left: set[str] = set()
    for job in plan:
        assert {need.job for need in job.needs} <= done
        assert {need.artifact for need in job.needs} <= left
        done.add(job.id)
        left |= set(job.artifacts())


@pytest.mark.parametrize("changes", SPECS.values(), ids=SPECS.keys())
def test_ids_are_unique_and_none_is_a_folder_of_another(changes: dict[str, Any]) -> None:
    plan = plan_with(changes)
    names = [name for job in plan for name in (job.id, *job.aliases)]
    assert len(names) == len(set(names))
    parents = {name.rsplit("/", depth)[0] for name in names for depth in range(1, name.count("/") + 1)}
    assert not parents & set(names)


def test_every_recipe_is_applied_at_every_checkpoint() -> None:
    stages = {(part[2], part[1]) for job in BASE if len(part := job.id.split("/")) == 5}
    assert stages == {
        (recipe, at) for recipe in ("rl", "sft", "sft-rl", "soup") for at in ("400", "700", "1000")
    }


def test_branches_say_which_recipes_at_which_checkpoints() -> None:
    plan = plan_with({"branches": [{"recipes": ["rl"]}, {"recipes": ["sft"], "at": [700]}]})
    branches = {tuple(job.id.split("/")[1:3]) for job in plan if job.kind in ("sft", "grpo", "merge")}
    assert branches == {("400", "rl"), ("700", "rl"), ("1000", "rl"), ("700", "sft")}


def test_a_branch_that_another_reads_is_made_though_not_asked_for_and_not_measured() -> None:
    plan = plan_with({"branches": [{"recipes": ["sft-rl"], "at": [400]}]})
    assert "tiny/400/sft/r0/sft" in ids(plan)
    assert not cells(plan, "sums", "sft")


def test_a_checkpoint_reads_the_state_of_the_one_before() -> None:
    segment = BASE.job("tiny/pretrain/700")
    state = next(need for need in segment.needs if need.role == "resumes")
    assert (state.job, state.output) == ("tiny/pretrain/400", "state")
    assert "resumes" not in reads(BASE.job("tiny/pretrain/400"))


def test_checkpoints_in_between_change_no_other_identity() -> None:
    plan = plan_with({"trunks.tiny.checkpoints": [400, 550, 700, 1000]})
    before, after = identities(BASE), identities(plan)
    assert {name: after[name] for name in before} == before
    assert reads(plan.job("tiny/pretrain/700"))["resumes"] == "tiny/pretrain/550"
    assert added(plan) == {name for name in ids(plan) if "/550" in name}


# --- sharing


def test_rl_after_sft_starts_from_the_job_of_sft() -> None:
    assert reads(BASE.job("tiny/400/sft-rl/r0/rl"))["model"] == "tiny/400/sft/r0/sft"
    assert len(ids(BASE, "/sft")) == 3


def test_equal_recipes_become_one_job_with_aliases() -> None:
    plan = plan_with({"recipes.again": [{"tune": {"sft": {"like": "sft.sft"}}}]})
    assert plan.job("tiny/400/again/r0/tune") is plan.job("tiny/400/sft/r0/sft")
    assert plan.job("tiny/400/sft/r0/sft").aliases == ("tiny/400/again/r0/tune",)
    assert not added(plan)
    assert cells(plan, "sums", "again")[0]["artifact"] == cells(plan, "sums", "sft")[0]["artifact"]


def test_stages_of_one_recipe_are_shared_with_recipes_that_read_each_other() -> None:
    both = [{"tune": {"sft": {"like": "sft.sft"}}}, {"reinforce": {"grpo": {"like": "rl.rl"}}}]
    plan = plan_with({"recipes.both": both})
    assert plan.job("tiny/400/both/r0/reinforce") is plan.job("tiny/400/sft-rl/r0/rl")
    assert not added(plan)


def test_a_stage_that_two_recipes_of_unlike_start_have_is_two_jobs() -> None:
    assert BASE.job("tiny/400/rl/r0/rl") is not BASE.job("tiny/400/sft-rl/r0/rl")
    assert not set(BASE.job("tiny/400/rl/r0/rl").artifacts()) & set(
        BASE.job("tiny/400/sft-rl/r0/rl").artifacts()
    )


def second_trunk(**schedule: Any) -> dict[str, Any]:
    """The study with another trunk like the first, but longer."""
    pretrain: dict[str, Any] = {**loaded()["trunks"]["tiny"]["pretrain"], "tokens": 2 * 1024000}
    pretrain["schedule"] = {**pretrain["schedule"], **schedule}
    return {"trunks.long": {"pretrain": pretrain, "checkpoints": [400, 1000, 2000]}}


def test_trunks_with_the_same_prefix_share_it() -> None:
    plan = plan_with(second_trunk())
    assert plan.job("long/pretrain/400") is plan.job("tiny/pretrain/400")
    assert plan.job("long/400/rl/r0/rl") is plan.job("tiny/400/rl/r0/rl")
    # The shorter run has decayed at its last step.
    assert plan.job("long/pretrain/1000") is not plan.job("tiny/pretrain/1000")
    assert reads(plan.job("long/pretrain/1000"))["resumes"] == "tiny/pretrain/400"


def test_trunks_whose_rate_holds_the_horizon_share_nothing() -> None:
    cosine = {"trunks.tiny.pretrain.schedule": {"shape": "cosine", "peak": 3.0e-3, "warmup": 51200}}
    one = edited(cosine)
    pretrain = {**one["trunks"]["tiny"]["pretrain"], "tokens": 2 * 1024000}
    plan = plan_of(edited({"trunks.long": {"pretrain": pretrain, "checkpoints": [400]}}, one))
    assert plan.job("long/pretrain/400") is not plan.job("tiny/pretrain/400")
    assert plan.job("long/tokenizer") is plan.job("tiny/tokenizer")


CONSTANT = {"learning_rate": 1.0e-4, "lr_scheduler_type": "constant"}


def horizons(args: dict[str, Any]) -> Plan:
    """SFT for 60 steps and the same for 90."""
    longer = [{"sft": {"sft": {"task": "sums", "batch_size": 16, "max_steps": 90, "args": args}}}]
    return plan_with({"recipes.sft.0.sft.sft.args": args, "recipes.longer": longer})


def test_a_constant_rate_makes_one_job_of_two_horizons() -> None:
    plan = horizons(CONSTANT)
    job = plan.job("tiny/400/sft/r0/sft")
    assert plan.job("tiny/400/longer/r0/sft") is job
    assert list(job.kept) == [60, 90]
    assert job.config["max_steps"] == 90
    assert job.identity == job.kept[90]
    short, long = cells(plan, "sums", "sft")[0], cells(plan, "sums", "longer")[-1]
    assert (short["final"], long["final"]) == (True, True)
    assert short["model"]["artifact"] == f"sft/{job.kept[60]}"
    assert long["model"]["artifact"] == f"sft/{job.kept[90]}"
    rl = next(need for need in plan.job("tiny/400/sft-rl/r0/rl").needs if need.role == "model")
    assert rl.artifact == f"sft/{job.kept[60]}", "sft-rl means the end of sft, not of the job that makes it"


def test_which_of_two_horizons_stands_first_does_not_matter() -> None:
    one = horizons(CONSTANT)
    spec = edited({"recipes.sft.0.sft.sft.args": CONSTANT})
    longer = {
        "longer": [{"sft": {"sft": {"task": "sums", "batch_size": 16, "max_steps": 90, "args": CONSTANT}}}]
    }
    other = plan_of({**spec, "recipes": {**longer, **spec["recipes"]}})
    assert artifacts(one) == artifacts(other)


def test_a_falling_rate_makes_two_jobs_of_two_horizons() -> None:
    plan = horizons({"learning_rate": 1.0e-4, "lr_scheduler_type": "cosine"})
    assert plan.job("tiny/400/longer/r0/sft") is not plan.job("tiny/400/sft/r0/sft")


# --- replicates


def test_a_replicate_adds_only_its_own_jobs() -> None:
    plan = plan_with({"replicates": [{"num": 2, "on": {"recipes": ["rl"]}}]})
    assert artifacts(BASE) < artifacts(plan)
    assert added(plan) == {name for name in ids(plan) if "/rl/r1/" in name}


def test_replicates_have_seeds_of_their_own_that_are_the_same_everywhere() -> None:
    plan = plan_with({"replicates": [{"num": 2}]})
    seeds = {(job.id.split("/")[3], job.config["seed"]) for job in plan if job.kind in ("sft", "grpo")}
    assert seeds == {("r0", replicate_seed(0, 0)), ("r1", replicate_seed(0, 1))}


def test_a_replicate_reads_the_same_replicate_upstream() -> None:
    plan = plan_with({"replicates": [{"num": 2}]})
    assert reads(plan.job("tiny/400/sft-rl/r1/rl"))["model"] == "tiny/400/sft/r1/sft"
    assert reads(plan.job("tiny/400/soup/r1/soup")) == {
        "parent:0": "tiny/400/rl/r1/rl",
        "parent:1": "tiny/400/sft/r1/sft",
    }


def test_a_replicate_reads_the_only_one_upstream() -> None:
    plan = plan_with({"replicates": [{"num": 2, "on": {"recipes": ["sft-rl"]}}]})
    assert reads(plan.job("tiny/400/sft-rl/r1/rl"))["model"] == "tiny/400/sft/r0/sft"


def test_merges_of_single_parents_never_pose_as_two() -> None:
    plan = plan_with({"replicates": [{"num": 2, "on": {"recipes": ["soup"]}}]})
    assert not added(plan)
    assert len({cell["artifact"] for cell in cells(plan, "sums", "soup")}) == 1


def test_a_merge_of_replicates_is_one_each() -> None:
    plan = plan_with({"replicates": [{"num": 2, "on": {"recipes": ["rl", "soup"]}}]})
    assert len({cell["artifact"] for cell in cells(plan, "sums", "soup")}) == 2


def test_a_replicate_may_be_named() -> None:
    first = {"recipe": "rl", "replicate": 0}
    plan = plan_with(
        {
            "replicates": [{"num": 2, "on": {"recipes": ["rl", "soup"]}}],
            "recipes.soup.0.soup.merge.of.0": first,
        }
    )
    assert reads(plan.job("tiny/400/soup/r1/soup"))["parent:0"] == "tiny/400/rl/r0/rl"


def test_pinned_seeds() -> None:
    plan = plan_with({"replicates": [{"seeds": [6198, 7], "on": {"recipes": ["rl"]}}]})
    found = {
        job.id: job.config["seed"] for job in plan if job.kind == "grpo" and job.id.startswith("tiny/400/rl/")
    }
    assert found == {"tiny/400/rl/r0/rl": 6198, "tiny/400/rl/r1/rl": 7}


def test_the_last_entry_that_matches_says_how_many() -> None:
    entries = [{"num": 3, "on": {"recipes": ["rl"]}}, {"num": 2, "on": {"recipes": ["rl"], "at": [400]}}]
    jobs = [job.id.split("/") for job in plan_with({"replicates": entries}) if job.kind == "grpo"]
    counts = Counter(at for _, at, recipe, _, _ in jobs if recipe == "rl")
    assert counts == {"400": 2, "700": 3, "1000": 3}


def test_replicates_at_a_range_of_tokens() -> None:
    within = {"tokens": {"start": "600k", "stop": "800k"}}  # step 700 is 716.8k tokens
    plan = plan_with({"replicates": [{"num": 2, "on": {"recipes": ["rl"], "at": within}}]})
    assert {name.split("/")[1] for name in added(plan)} == {"700"}


def test_the_root_seed_changes_everything_that_draws_and_nothing_else() -> None:
    plan = plan_with({"seed": 1})
    before, after = identities(BASE), identities(plan)
    same = {BASE.job(name).kind for name in before if before[name] == after[name]}
    assert same == {"tokenizer", "tokens", "rows"}


# --- kept steps and references


def test_kept_steps_and_the_last_are_artifacts_of_one_job() -> None:
    assert list(BASE.job("tiny/400/rl/r0/rl").kept) == [20, 40]
    assert list(BASE.job("tiny/400/sft/r0/sft").kept) == [60]


def test_a_step_that_is_read_is_kept() -> None:
    plan = plan_with(FROM_30)
    assert list(plan.job("tiny/400/sft/r0/sft").kept) == [30, 60]
    model = next(need for need in plan.job("tiny/400/sft-rl/r0/rl").needs if need.role == "model")
    assert model.artifact == f"sft/{plan.job('tiny/400/sft/r0/sft').kept[30]}"


def test_keeping_more_changes_no_identity() -> None:
    plan = plan_with({"recipes.rl.0.rl.grpo.keep": {"every": 10}})
    assert list(plan.job("tiny/400/rl/r0/rl").kept) == [10, 20, 30, 40]
    assert artifacts(BASE) < artifacts(plan)
    assert plan.job("tiny/400/rl/r0/rl").computation == BASE.job("tiny/400/rl/r0/rl").computation


def test_an_earlier_stage_may_be_read_at_a_step() -> None:
    both = [
        {"tune": {"sft": {"like": "sft.sft"}}},
        {"reinforce": {"from": {"recipe": "both", "stage": "tune", "step": 30}, "grpo": {"like": "rl.rl"}}},
    ]
    plan = plan_with({"recipes.both": both})
    tuned = plan.job("tiny/400/both/r0/tune")
    model = next(need for need in plan.job("tiny/400/both/r0/reinforce").needs if need.role == "model")
    assert model.artifact == f"sft/{tuned.kept[30]}"


def test_a_stage_may_name_an_earlier_one_and_the_checkpoint() -> None:
    three = [
        {"one": {"sft": {"like": "sft.sft"}}},
        {"two": {"from": "base", "grpo": {"like": "rl.rl"}}},
        {
            "mean": {
                "merge": {"of": [{"recipe": "three", "stage": "one"}, {"recipe": "three", "stage": "two"}]}
            }
        },
    ]
    plan = plan_with({"recipes.three": three})
    assert plan.job("tiny/400/three/r0/two") is plan.job("tiny/400/rl/r0/rl")
    assert plan.job("tiny/400/three/r0/mean").kind == "merge"


def test_a_reference_may_name_another_checkpoint() -> None:
    plan = plan_with({"recipes.soup.0.soup.merge.of": ["rl", {"recipe": "rl", "at": 400}]})
    assert reads(plan.job("tiny/1000/soup/r0/soup"))["parent:1"] == "tiny/400/rl/r0/rl"


# --- evaluations

FROM_30 = {"recipes.sft-rl": [{"rl": {"from": {"recipe": "sft", "step": 30}, "grpo": {"like": "rl.rl"}}}]}


def test_final_models_and_used_snapshots_are_measured() -> None:
    plan = plan_with(FROM_30)
    assert steps_measured(plan, "sums", "sft") == [30, None]
    assert steps_measured(plan, "sums", "rl") == [None], "kept, but nothing reads it"
    assert steps_measured(plan, "sums", "base") == [None]


@pytest.mark.parametrize(
    ("step", "rl", "sft"),
    [
        ("final", [None], [None]),
        ("used", [None], [30, None]),
        ("all", [20, None], [30, None]),
        ([20], [20], []),
        ([20, 40], [20, None], []),
        ([30, 60], [], [30, None]),
    ],
)
def test_a_selector_says_which_steps(step: Any, rl: list[int | None], sft: list[int | None]) -> None:
    plan = plan_with({**FROM_30, "evaluations.sums.on": {"step": step}})
    assert steps_measured(plan, "sums", "rl") == rl
    assert steps_measured(plan, "sums", "sft") == sft


def test_a_step_of_recipes_means_no_checkpoint() -> None:
    """Step 400 of a trunk is not step 400 of a recipe."""
    plan = plan_with({"recipes.sft.0.sft.sft.max_steps": 400, "evaluations.sums.on": {"step": [400]}})
    assert steps_measured(plan, "sums", "base") == []
    assert steps_measured(plan, "sums", "sft") == [None]


def test_a_selector_says_which_recipes_checkpoints_and_replicates() -> None:
    on = {"recipes": ["base", "rl"], "at": [700], "replicates": [1]}
    plan = plan_with({"replicates": [{"num": 2}], "evaluations.sums.on": on})
    measured = {
        (c["recipe"], c["at"], c["replicate"]) for c in plan.report["cells"] if c["evaluation"] == "sums"
    }
    assert measured == {("rl", 700, 1)}


def test_more_samples_add_only_a_block_and_a_new_score() -> None:
    plan = plan_with({"evaluations.sums.pass_at_k.num_samples": 32})
    new = added(plan)
    assert {name.rpartition(".sums.")[2] for name in new} == {"sample.1", "score"}
    assert set(reads(plan.job("tiny/400/rl/r0/rl.sums.score"))) == {"rows", "samples:0", "samples:1"}
    blocks = [plan.job(f"tiny/400/rl/r0/rl.sums.sample.{block}").config for block in (0, 1)]
    assert blocks[0]["seed"] != blocks[1]["seed"]


@pytest.mark.parametrize("change", [{"k": [1, 2, 16]}, {"num_samples": 12}])
def test_other_counts_sample_nothing_again(change: dict[str, Any]) -> None:
    plan = plan_with({f"evaluations.sums.pass_at_k.{key}": value for key, value in change.items()})
    assert {plan.job(name).kind for name in added(plan)} == {"score"}


@pytest.mark.parametrize("change", [{"verifier": "exact"}, {"max_unverifiable": 0.5}])
def test_another_verifier_samples_nothing_again(change: dict[str, Any]) -> None:
    plan = plan_with({f"tasks.sums.{key}": value for key, value in change.items()})
    assert "sample" not in {
        plan.job(name).kind for name in added(plan) if ".sums." in name and "pretrain" in name
    }


def test_ks_in_another_order_are_the_same_ks() -> None:
    assert not added(plan_with({"evaluations.sums.pass_at_k.k": [4, 1]}))


def test_exemplars_depend_on_the_class_of_the_model() -> None:
    shots = {job.id.split(".")[0]: job.config["num_fewshot"] for job in BASE if job.kind == "sample"}
    assert {shots[name] for name in shots if "/pretrain/" in name} == {4}
    assert {shots[name] for name in shots if "/pretrain/" not in name} == {0}
    assert "fewshot" in reads(BASE.job("tiny/pretrain/400.sums.sample.0"))
    assert "fewshot" not in reads(BASE.job("tiny/400/rl/r0/rl.sums.sample.0"))


def test_samples_at_temperature_zero_are_one_to_a_block() -> None:
    changes = {"temperature": 0.0, "num_samples": 1, "k": [1]}
    plan = plan_with({f"evaluations.sums.pass_at_k.{key}": value for key, value in changes.items()})
    assert plan.job("tiny/400/rl/r0/rl.sums.sample.0").config["block_size"] == 1


def test_cells_lead_to_their_jobs_and_seeds() -> None:
    for cell in BASE.report["cells"]:
        job = BASE.job(cell["job"])
        assert cell["artifact"] == job.artifact
        assert cell["tokens"] == cell["at"] * 1024
    assert cells(BASE, "sums", "rl")[0]["seeds"] == [replicate_seed(0, 0)]
    assert cells(BASE, "sums", "soup")[0]["seeds"] == []


def test_a_source_of_weight_zero_is_as_if_it_were_not_there() -> None:
    """A sweep of shares ends at the very run that never names the source."""
    mixture = "trunks.tiny.pretrain.data"
    none, unnamed = (plan_with({mixture: data}) for data in ({"docs": 3, "problems": 0}, {"docs": 3}))
    assert identities(none) == identities(unnamed)
    assert "tiny/tokens/problems" not in {job.id for job in none.jobs}
