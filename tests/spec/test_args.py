"""A stage's `args`: what is refused and with which hint, what is passed, and what is hashed."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from exc.spec import arg_names, arg_roles
from exc.spec.args import (
    BOUNDS,
    TRL_VERSION,
    ArgProblem,
    check_args,
    frozen_defaults,
    identity_args,
    resolve_args,
    stage_version,
    trl_fields,
)

ROOT = Path(__file__).resolve().parent.parent.parent
TABLES = ROOT / "spec" / "tables"
KINDS = ("sft", "grpo", "dpo")

# kind, field, value; the code, and a part of the hint ("" for no hint at all).
NAMES = [
    ("grpo", "num_generation", 8, "unknown-field", "did you mean `num_generations`? write it beside `args`"),
    ("grpo", "learning_rat", 1e-6, "unknown-field", "did you mean `learning_rate`?"),
    ("sft", "max-length", 512, "unknown-field", "did you mean `max_length`?"),
    ("sft", "beta", 0.1, "unknown-field", "it belongs to grpo"),
    ("sft", "rollouts", 10, "unknown-field", "it belongs to grpo"),
    ("grpo", "packing", True, "unknown-field", "it belongs to sft"),
    ("grpo", "zzzzqqqq", 1, "unknown-field", ""),
    # Names whose nearest field would mislead.
    ("grpo", "revision", "main", "unknown-field", "the stage starts `from`"),
    ("grpo", "split", "train", "owned-field", "write `split` beside `args`"),
    ("grpo", "lora_r", 16, "unknown-field", "write `lora: {r: ...}` beside `args`"),
    ("grpo", "dropout", 0.1, "unknown-field", "the model's own config"),
    # What the compiler owns.
    ("grpo", "max_steps", 100, "owned-field", "write `rollouts` beside `args`"),
    ("sft", "max_steps", 100, "owned-field", "write it beside `args`"),
    ("sft", "num_train_epochs", 3, "owned-field", "write `max_steps` beside `args`"),
    ("grpo", "num_iterations", 4, "owned-field", "write `updates_per_rollout` beside `args`"),
    ("grpo", "generation_batch_size", 64, "owned-field", "write `prompts_per_rollout` beside `args`"),
    ("sft", "per_device_train_batch_size", 4, "owned-field", "write `batch_size` beside `args`"),
    ("sft", "batch_size", 4, "owned-field", "write `batch_size` beside `args`"),
    ("sft", "output_dir", "out", "owned-field", "the store"),
    ("grpo", "seed", 1, "owned-field", "top of the spec"),
    ("grpo", "eval_steps", 10, "owned-field", "`evaluations`"),
    ("sft", "save_steps", 10, "owned-field", "write `keep` beside `args`"),
    ("sft", "deepspeed", "ds.json", "owned-field", "profile"),
    ("grpo", "reward_weights", [1.0], "owned-field", "`rewards`"),
    # What had another name.
    ("sft", "max_seq_length", 1024, "renamed-field", "it is `max_length`"),
    ("sft", "warmup_ratio", 0.1, "renamed-field", "it is `warmup_steps`"),
    ("grpo", "max_prompt_length", 512, "renamed-field", "drop long prompts"),
    ("sft", "gradient_checkpointing", True, "renamed-field", "it is `activation_checkpointing`"),
    # What other frameworks call it.
    ("sft", "sequence_len", 1024, "foreign-field", "TRL calls it `max_length`"),
    ("grpo", "cutoff_len", 1024, "foreign-field", "TRL calls it `max_completion_length`"),
    (
        "sft",
        "train_on_inputs",
        False,
        "foreign-field",
        "`completion_only_loss`, which has the opposite sense",
    ),
    ("sft", "micro_batch_size", 2, "foreign-field", "write `batch_size` beside `args`"),
    ("grpo", "micro_batch_size", 2, "foreign-field", "write `prompts_per_rollout` beside `args`"),
    ("grpo", "lr", 1e-6, "foreign-field", "TRL calls it `learning_rate`"),
    ("grpo", "kl_loss_coef", 1e-3, "foreign-field", "TRL calls it `beta`"),
    ("sft", "kl_loss_coef", 1e-3, "foreign-field", "sft does not"),
    ("sft", "train_batch_size", 8, "foreign-field", "write `batch_size` beside `args`"),
    ("grpo", "num_prompts_per_step", 32, "foreign-field", "write `prompts_per_rollout` beside `args`"),
    ("grpo", "clip_higher", 0.28, "foreign-field", "TRL calls it `epsilon_high`"),
    ("grpo", "total_episodes", 10_000, "foreign-field", "write `rollouts` beside `args`"),
]

VALUES = [
    ("grpo", "max_completion_length", 256.7, "wrong-type", ""),
    ("grpo", "max_completion_length", 256.0, "wrong-type", "write `256`"),
    ("grpo", "max_completion_length", "256", "wrong-type", "write `256`, without quotes"),
    ("grpo", "max_completion_length", True, "wrong-type", ""),
    ("grpo", "max_completion_length", 2**63, "wrong-type", ""),
    ("grpo", "learning_rate", "1e-6", "wrong-type", "write `1e-6`, without quotes"),
    ("grpo", "learning_rate", "small", "wrong-type", ""),
    ("grpo", "learning_rate", float("nan"), "wrong-type", ""),
    ("grpo", "learning_rate", None, "wrong-type", ""),
    ("grpo", "epsilon_high", "none", "wrong-type", "write `null`"),
    ("sft", "packing", "no", "wrong-type", "write `false`"),
    ("sft", "packing", 1, "wrong-type", "write `true`"),
    ("grpo", "scale_rewards", False, "wrong-type", "write `none`"),
    ("grpo", "loss_type", "drgrpo", "bad-choice", "did you mean `dr_grpo`?"),
    ("grpo", "importance_sampling_level", "word", "bad-choice", ""),
    ("sft", "loss_type", "grpo", "bad-choice", ""),
    ("sft", "loss_type", "chunked_nll", "bad-choice", "`nll`"),
    ("sft", "lr_scheduler_type", "cosin", "bad-choice", "did you mean `cosine`?"),
    ("sft", "lr_scheduler_type", "reduce_lr_on_plateau", "bad-choice", "evaluations"),
    ("sft", "optim", "adamw_hf", "bad-choice", None),
    ("sft", "pad_to_multiple_of", "auto", "bad-choice", "depends on the device"),
    ("sft", "lr_scheduler_kwargs", '{"num_cycles": 1}', "wrong-type", "write the mapping itself"),
    ("sft", "lr_scheduler_kwargs", {"power": float("inf")}, "wrong-type", ""),
]


@pytest.mark.parametrize(("kind", "field", "value", "code", "hint"), [*NAMES, *VALUES])
def test_refused(kind: str, field: str, value: object, code: str, hint: str | None) -> None:
    (problem,) = check_args(kind, {field: value})
    assert (problem.field, problem.code) == (field, code)
    assert problem.on_value == (code in {"wrong-type", "bad-choice"})
    if hint == "":
        assert problem.hint is None
    elif hint is not None:
        assert hint in (problem.hint or "")


@pytest.mark.parametrize(
    ("kind", "given"),
    [
        (
            "grpo",
            {"learning_rate": 1, "beta": 0, "loss_type": "dr_grpo", "scale_rewards": "none", "bf16": True},
        ),
        (
            "grpo",
            {
                "learning_rate": 7e4,
                "epsilon_high": None,
                "temperature": 0.6,
                "generation_kwargs": {"seed": 1},
            },
        ),
        ("sft", {"max_length": None, "packing": True, "lr_scheduler_kwargs": {"num_cycles": 2}}),
        ("sft", {"optim_target_modules": ["q", "k"], "warmup_steps": 0.1, "pad_to_multiple_of": 8}),
        ("sft", {"optim_target_modules": "all-linear", "logging_steps": 1, "activation_checkpointing": True}),
    ],
)
def test_accepted(kind: str, given: dict[str, object]) -> None:
    assert check_args(kind, given) == []


def test_all_problems_are_reported_with_what_was_expected() -> None:
    assert check_args("grpo", {"loss_tipe": "grpo", "beta": "0.1", "scale_rewards": "batched"}) == [
        ArgProblem(
            "loss_tipe",
            "unknown-field",
            "grpo has no field `loss_tipe`",
            "a field of GRPOConfig in TRL 1.16.0",
            "did you mean `loss_type`?",
        ),
        ArgProblem(
            "beta",
            "wrong-type",
            '`beta` cannot be the text "0.1"',
            "a number",
            "write `0.1`, without quotes",
            on_value=True,
        ),
        ArgProblem(
            "scale_rewards",
            "bad-choice",
            '`scale_rewards` cannot be the text "batched"',
            "one of `group`, `batch`, `none`",
            "did you mean `batch`?",
            on_value=True,
        ),
    ]


@pytest.mark.parametrize(
    ("field", "value", "expected"),
    [
        ("learning_rate", -1.0e-6, "a number, 0 or more"),
        ("temperature", 0, "a number above 0"),
        ("top_p", 95, "a number above 0, 1 at most"),
        ("adam_beta2", 1.5, "a number from 0 to 1"),
        ("max_completion_length", 0, "a number above 0"),
    ],
)
def test_numbers_that_no_trainer_takes(field: str, value: float, expected: str) -> None:
    assert check_args("grpo", {field: value}) == [
        ArgProblem(field, "bad-value", f"`{field}` cannot be `{value}`", expected, on_value=True)
    ]
    assert check_args("grpo", {field: 1}) == []


def allowed(kind: str) -> list[str]:
    return [name for name in trl_fields(kind) if not check_args(kind, {name: frozen_defaults(kind)[name]})]


@st.composite
def kinds_and_args(draw: st.DrawFn) -> tuple[str, dict[str, object]]:
    """A kind of stage with fields that may be given, at values that they take."""
    kind = draw(st.sampled_from(KINDS))
    strategies: dict[str, st.SearchStrategy[object]] = {
        "int": st.integers(0, 10**6),
        "float": st.one_of(st.integers(-(10**6), 10**6), st.floats(allow_nan=False, allow_infinity=False)),
        "bool": st.booleans(),
        "dict": st.dictionaries(st.text(), st.one_of(st.integers(0, 9), st.booleans(), st.text())),
        "list[float]": st.lists(st.integers(0, 9)),
        "list[str]": st.lists(st.text()),
        "null": st.none(),
    }
    given: dict[str, object] = {}
    for field in draw(st.lists(st.sampled_from(allowed(kind)), max_size=6, unique=True)):
        row = trl_fields(kind)[field]
        usable = [name for name in row["type"].split(" | ") if name in strategies]
        texts = [text for text in row.get("choices", []) if (field, text) not in arg_names.UNUSABLE]
        if texts and "str" not in row["type"].split(" | "):
            given[field] = draw(st.lists(st.sampled_from(texts), min_size=1, max_size=2, unique=True))
        elif texts:
            given[field] = draw(st.sampled_from(texts))
        elif field in BOUNDS:
            given[field] = draw(st.sampled_from([0.5, 1] if "float" in usable else [1]))
        elif usable:
            given[field] = draw(strategies[draw(st.sampled_from(usable))])
    return kind, given


@given(kinds_and_args())
def test_resolving_names_every_field_and_is_idempotent(case: tuple[str, dict[str, object]]) -> None:
    kind, args = case
    assert check_args(kind, args) == []
    full = resolve_args(kind, args)
    assert full.keys() == trl_fields(kind).keys()
    assert resolve_args(kind, full) == full
    assert orjson.loads(orjson.dumps(full)) == full


@given(kinds_and_args(), st.randoms(use_true_random=False))
def test_identity_ignores_key_order_and_defaults(case: tuple[str, dict[str, object]], random: object) -> None:
    kind, args = case
    identity = orjson.dumps(identity_args(kind, resolve_args(kind, args)))
    items = list(args.items())
    random.shuffle(items)  # type: ignore[attr-defined]
    assert orjson.dumps(identity_args(kind, resolve_args(kind, dict(items)))) == identity
    defaults = {field: frozen_defaults(kind)[field] for field in allowed(kind)}
    assert orjson.dumps(identity_args(kind, resolve_args(kind, {**defaults, **args}))) == identity


@pytest.mark.parametrize("kind", KINDS)
def test_identity_holds_result_fields_alone(kind: str) -> None:
    assert identity_args(kind, resolve_args(kind, {})) == {}
    execution = {"logging_steps": 1, "dataloader_num_workers": 2, "activation_checkpointing": True}
    owned = {"output_dir": "out", "seed": 7, "per_device_train_batch_size": 3, "max_steps": 5}
    result = {"learning_rate": 1, "bf16": True, "torch_compile": True}
    assert identity_args(kind, resolve_args(kind, {**execution, **owned, **result})) == {
        "bf16": True,
        "learning_rate": 1.0,
        "torch_compile": True,
    }


def test_one_number_has_one_spelling() -> None:
    whole, real = (resolve_args("grpo", {"beta": value, "temperature": 2}) for value in (1, 1.0))
    assert orjson.dumps(whole) == orjson.dumps(real)
    assert identity_args("grpo", resolve_args("grpo", {"beta": -0.0})) == {}
    swapped = [{"generation_kwargs": dict(pairs)} for pairs in ([("a", 1), ("b", 2)], [("b", 2), ("a", 1)])]
    first, second = (orjson.dumps(identity_args("grpo", resolve_args("grpo", args))) for args in swapped)
    assert first == second


def test_resolving_copies() -> None:
    resolved = resolve_args("sft", {"lr_scheduler_kwargs": {"power": 1}})
    resolved["lr_scheduler_kwargs"]["power"] = 2  # type: ignore[index]
    resolved["include_for_metrics"].append("x")  # type: ignore[attr-defined]
    assert resolve_args("sft", {})["include_for_metrics"] == []


@pytest.mark.parametrize("kind", KINDS)
def test_frozen_defaults_differ_from_trl_only_with_a_reason(kind: str) -> None:
    table = orjson.loads((TABLES / f"{kind}-{stage_version(kind)}.json").read_bytes())
    assert table["trl"] == TRL_VERSION
    assert table["defaults"].keys() == trl_fields(kind).keys()
    differing = {name for name, row in trl_fields(kind).items() if table["defaults"][name] != row["default"]}
    assert differing == table["differs"].keys()
    assert all(table["differs"].values())


@pytest.mark.parametrize("kind", KINDS)
def test_a_stage_passes_only_what_it_would_accept(kind: str) -> None:
    for field, value in frozen_defaults(kind).items():
        codes = {problem.code for problem in check_args(kind, {field: value})}
        assert not codes & {"wrong-type", "bad-choice", "unknown-field", "foreign-field"}, field


@pytest.mark.parametrize(
    ("kind", "digest"),
    [("sft", "6388ae795a1fed9a"), ("grpo", "8ac11b2ac10b7e2b"), ("dpo", "82f6ddd16d832337")],
)
def test_the_defaults_of_a_stage_version_are_frozen(kind: str, digest: str) -> None:
    """Another value here is another computation under the same identity: make a new stage version instead."""
    text = orjson.dumps(frozen_defaults(kind), option=orjson.OPT_SORT_KEYS)
    assert hashlib.sha256(text).hexdigest()[:16] == digest


def test_tables_of_names_agree_with_the_fields() -> None:
    fields = {name for kind in KINDS for name in trl_fields(kind)}
    keys = {key for kind in KINDS for key in arg_roles.STAGE_KEYS[kind]}
    assert fields >= arg_roles.EXECUTION
    assert fields >= arg_roles._OWNED_HINTS.keys()
    for kind in KINDS:
        assert trl_fields(kind).keys() >= arg_roles._OWNED_OF[kind].keys()
    targets = {target for _, names in arg_names.FOREIGN.values() for target in names.split()}
    assert targets <= fields | keys
    hidden = fields | keys | arg_names.RENAMED.keys()
    assert not hidden & (arg_names.FOREIGN.keys() | arg_names.ELSEWHERE.keys())
    assert not arg_names.FOREIGN.keys() & arg_names.ELSEWHERE.keys()


def test_no_value_is_left_to_the_device() -> None:
    for kind in KINDS:
        assert frozen_defaults(kind)["bf16"] is False
        assert frozen_defaults(kind)["tf32"] is False
        assert "auto" not in frozen_defaults(kind).values()


def in_new_python(*command: str) -> bytes:
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run([sys.executable, *command], capture_output=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


def test_checking_imports_no_trainer() -> None:
    heavy = "{'torch', 'transformers', 'trl', 'pydantic', 'numpy'}"
    code = "import sys; from exc.spec.args import check_args; check_args('sft', {'lr': 1}); "
    code += f"print({heavy} & sys.modules.keys())"
    assert in_new_python("-c", code).strip() == b"set()"


@pytest.mark.slow
def test_the_committed_table_is_that_of_the_installed_trl() -> None:
    printed = in_new_python(str(ROOT / "tools" / "trl_tables.py"), "--print")
    assert printed == (TABLES / f"trl-{TRL_VERSION}.json").read_bytes()


@pytest.mark.slow
def test_the_trainers_take_what_the_stages_pass() -> None:
    """Both configs are made from the frozen defaults alone, and nothing in them is deprecated."""
    code = """if True:
        import tempfile, warnings
        warnings.simplefilter("error", FutureWarning)
        from trl import GRPOConfig, SFTConfig
        from exc.spec.args import resolve_args
        for kind, config in (("sft", SFTConfig), ("grpo", GRPOConfig)):
            args = resolve_args(kind, {"activation_checkpointing": True, "learning_rate": 1})
            made = config(**{**args, "output_dir": tempfile.mkdtemp(), "use_cpu": True})
            assert made.gradient_checkpointing and not made.bf16 and made.report_to == [], kind
        """
    in_new_python("-c", code)
