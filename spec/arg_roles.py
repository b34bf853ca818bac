"""What each field of a trainer's config is to a stage: owned, execution or result.

*Owned*: it follows from the spec, the profile or the stage itself; refused in `args`, with a hint that says
what to write instead. *Execution*: allowed in `args`, and never part of identity, because the result is the
same. *Result*: all the rest, so that a field that nobody has thought about counts as one that changes the
result.

Not obvious:
- `torch_compile`, Liger kernels, continuous batching and the vLLM numerics are results: the same formulas in
  another order of operations give other weights.
- Recomputing or offloading activations is execution: the same operations on the same values.
- `dataloader_in_order` is a result (it lets batches change places); the number of workers is not.
"""

from __future__ import annotations

from typing import Literal

Role = Literal["owned", "execution", "result"]

# What a stage says beside its `args`.
STAGE_KEYS: dict[str, tuple[str, ...]] = {
    "sft": ("task", "split", "demonstrations", "batch_size", "max_steps", "keep", "lora"),
    "grpo": (
        *("task", "split", "loss", "engine", "num_generations", "prompts_per_rollout"),
        *("updates_per_rollout", "rollouts", "keep", "lora"),
    ),
    "dpo": ("task", "split", "batch_size", "max_steps", "keep", "lora"),
    "rloo": (
        *("task", "split", "engine", "num_generations", "prompts_per_rollout"),
        *("updates_per_rollout", "rollouts", "keep", "lora"),
    ),
    "kto": ("task", "split", "batch_size", "max_steps", "keep", "lora"),
}

_EXECUTION = (
    "activation_checkpointing activation_checkpointing_kwargs gradient_checkpointing "
    "gradient_checkpointing_kwargs activation_offloading torch_empty_cache_steps "
    "ds3_gather_for_generation dataloader_num_workers dataloader_pin_memory dataloader_persistent_workers "
    "dataloader_prefetch_factor dataloader_multiprocessing_context dataset_num_proc logging_strategy "
    "logging_steps logging_first_step logging_nan_inf_filter log_on_each_node log_level log_level_replica "
    "log_completions log_multimodal log_unique_prompts num_completions_to_print "
    "include_num_input_tokens_seen skip_memory_metrics debug"
)
EXECUTION = frozenset(_EXECUTION.split())

# Hint, and the fields that it is for. A hint goes on after "`field`: ".
_OWNED: tuple[tuple[str, str], ...] = (
    ("leave it out: results go to the store", "output_dir"),
    ("write `seed` at the top of the spec, or pin it with `seeds` under `replicates`", "seed data_seed"),
    (
        "leave it out: a stage that was interrupted resumes by itself",
        "resume_from_checkpoint ignore_data_skip restore_callback_states_from_checkpoint "
        "enable_jit_checkpoint",
    ),
    (
        "write `keep` beside `args`: the steps whose models are kept",
        "save_strategy save_steps save_total_limit save_on_each_node save_only_model",
    ),
    (
        "write an entry under `evaluations`: measuring is a job of its own",
        "do_eval do_predict eval_strategy eval_steps eval_delay eval_on_start eval_do_concat_batches "
        "eval_use_gather_object eval_accumulation_steps eval_packing per_device_eval_batch_size "
        "num_generations_eval prediction_loss_only include_for_metrics batch_eval_metrics bf16_full_eval "
        "fp16_full_eval load_best_model_at_end metric_for_best_model greater_is_better",
    ),
    ("leave it out: the stage trains", "do_train"),
    (
        "leave it out: a stage publishes nothing",
        "push_to_hub hub_token hub_private_repo hub_model_id hub_strategy hub_always_push hub_revision "
        "log_completions_hub_repo",
    ),
    (
        "leave it out: the run has the job's name, and its events and log lie in the store",
        "run_name project report_to trackio_space_id trackio_bucket_id trackio_static_space_id disable_tqdm",
    ),
    (
        "leave it out: how a job is spread over devices belongs to the profile",
        "use_cpu local_rank ddp_find_unused_parameters ddp_bucket_cap_mb ddp_broadcast_buffers "
        "ddp_static_graph ddp_backend ddp_timeout fsdp fsdp_config deepspeed parallelism_config "
        "accelerator_config",
    ),
    (
        "write `engine: vllm` beside `args`; what of a device it gets is `vllm` in the profile",
        "use_vllm vllm_mode vllm_enable_sleep_mode vllm_server_base_url vllm_server_host vllm_server_port "
        "vllm_server_timeout vllm_group_port vllm_gpu_memory_utilization vllm_tensor_parallel_size",
    ),
    (
        "leave it out: the stage loads what it starts `from`; `bf16: true` trains in mixed precision",
        "model_init_kwargs",
    ),
    ("leave it out: models run no code of their own", "trust_remote_code"),
    (
        "leave it out: the stage makes the columns from its task",
        "remove_unused_columns label_names length_column_name dataset_text_field",
    ),
    (
        "write the whole prompt in the task: `prompt` is what the model reads",
        "chat_template_path chat_template_kwargs",
    ),
    ("leave it out: the model's own tokenizer is used", "pad_token"),
    ("write `rewards` in the task", "reward_weights"),
)

_MICRO_BATCH = "; how many of them a device takes at once is `micro_batch_size` in the profile"
_UPDATES = "write `updates_per_rollout` beside `args`: all optimizer steps on one rollout"
_ROLLOUTS = {
    "max_steps": "write `rollouts` beside `args`: optimizer steps are `rollouts` x `updates_per_rollout`",
    "num_train_epochs": "write `rollouts` beside `args`: an epoch is prompts / `prompts_per_rollout`",
    "per_device_train_batch_size": "write `prompts_per_rollout` beside `args`" + _MICRO_BATCH,
    "gradient_accumulation_steps": _UPDATES,
    "auto_find_batch_size": "write `prompts_per_rollout` beside `args`" + _MICRO_BATCH,
    "num_generations": "write it beside `args`, not in it",
    "num_iterations": _UPDATES,
    "steps_per_generation": _UPDATES,
    "generation_batch_size": "write `prompts_per_rollout` beside `args`: prompts, not completions",
}
_ROWS = {
    "max_steps": "write it beside `args`, not in it",
    "per_device_train_batch_size": "write `batch_size` beside `args`" + _MICRO_BATCH,
    "gradient_accumulation_steps": "write `batch_size` beside `args`" + _MICRO_BATCH,
    "auto_find_batch_size": "write `batch_size` beside `args`" + _MICRO_BATCH,
}
_REFERENCE = {
    "precompute_ref_log_probs": "leave it out: the reference judges each batch when it comes up",
    "precompute_ref_batch_size": "leave it out: the reference judges each batch when it comes up",
}
_OWNED_OF: dict[str, dict[str, str]] = {
    "sft": {
        **_ROWS,
        "num_train_epochs": "write `max_steps` beside `args`: an epoch is demonstrations / `batch_size`",
    },
    "dpo": {
        **_REFERENCE,
        **_ROWS,
        "num_train_epochs": "write `max_steps` beside `args`: an epoch is pairs / `batch_size`",
    },
    "grpo": _ROLLOUTS,
    "rloo": _ROLLOUTS,
    "kto": {
        **_REFERENCE,
        **_ROWS,
        "num_train_epochs": "write `max_steps` beside `args`: an epoch is rows / `batch_size`",
    },
}

_OWNED_HINTS = {field: hint for hint, fields in _OWNED for field in fields.split()}


def owned_hint(kind: str, field: str) -> str | None:
    """What to write instead of an owned field in a stage's `args`; None for a field that nobody owns."""
    return _OWNED_OF[kind].get(field) or _OWNED_HINTS.get(field)


def role(kind: str, field: str) -> Role:
    """The role of one field of the config of `kind`."""
    if owned_hint(kind, field) is not None:
        return "owned"
    return "execution" if field in EXECUTION else "result"
