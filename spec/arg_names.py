"""Names and values that people write for a trainer's fields although the trainer does not have them.

Everything here ends in a hint, never in a translation: meanings differ in detail between frameworks.
"""

from __future__ import annotations

# Fields that TRL or transformers had, or still have under a second name. A backquoted word is a field or key.
RENAMED: dict[str, str] = {
    "dataset_batch_size": "it is gone: data is prepared before the stage",
    "evaluation_strategy": "measuring is a job of its own: write an entry under `evaluations`",
    "gradient_checkpointing": "it is `activation_checkpointing` since transformers 5",
    "gradient_checkpointing_kwargs": "it is `activation_checkpointing_kwargs` since transformers 5",
    "group_by_length": "it is `train_sampling_strategy: group_by_length`",
    "logging_dir": "it is gone: logs and events lie in the store",
    "max_prompt_length": "it is gone: drop long prompts from the task's data",
    "max_seq_length": "it is `max_length` in sft; grpo has `max_completion_length`",
    "no_cuda": "the profile says which devices a job gets",
    "overwrite_output_dir": "it is gone: finished work in the store is never overwritten",
    "per_gpu_train_batch_size": "the batch stands beside `args`, counted over all devices",
    "torch_dtype": "weights are kept in float32; `bf16: true` trains in mixed precision",
    "use_transformers_paged": "it is `use_transformers_continuous_batching`",
    "vllm_importance_sampling_cap": "it is `vllm_importance_sampling_clip_max`",
    "warmup_ratio": "it is `warmup_steps`; below 1 it is a share of all steps",
}

# What another framework calls a field: its name there, the framework, and TRL's field or our stage key. Of
# several, the first that the stage's kind has is meant.
FOREIGN: dict[str, tuple[str, str]] = {
    name: (framework, field)
    for framework, names in {
        "axolotl": {
            "micro_batch_size": "per_device_train_batch_size",
            "num_epochs": "num_train_epochs",
            "sequence_len": "max_length max_completion_length",
            "sample_packing": "packing",
            "optimizer": "optim",
            "lr_scheduler": "lr_scheduler_type",
            "train_on_inputs": "completion_only_loss",
            "saves_per_epoch": "save_steps",
            "evals_per_epoch": "eval_steps",
            "val_set_size": "eval_strategy",
            "eval_batch_size": "per_device_eval_batch_size",
            "gradient_clipping": "max_grad_norm",
            "rl_beta": "beta",
            "dataset_processes": "dataset_num_proc",
            "use_wandb": "report_to",
            "wandb_project": "report_to",
            "wandb_name": "run_name",
            "max_completion_len": "max_completion_length",
        },
        "LLaMA-Factory": {
            "cutoff_len": "max_length max_completion_length",
            "neat_packing": "packing",
            "train_on_prompt": "completion_only_loss",
            "val_size": "eval_strategy",
            "neftune_alpha": "neftune_noise_alpha",
            "preprocessing_num_workers": "dataset_num_proc",
            "pref_beta": "beta",
            "dpo_beta": "beta",
            "pref_loss": "loss_type",
            "dpo_label_smoothing": "label_smoothing",
            "pref_ftx": "loss_weights",
            "enable_liger_kernel": "use_liger_kernel",
        },
        "oumi": {
            "model_max_length": "max_length max_completion_length",
            "enable_gradient_checkpointing": "activation_checkpointing",
        },
        "verl": {
            "lr": "learning_rate",
            "lr_warmup_steps": "warmup_steps",
            "lr_warmup_steps_ratio": "warmup_steps",
            "lr_scheduler_name": "lr_scheduler_type",
            "grad_clip": "max_grad_norm",
            "clip_grad": "max_grad_norm",
            "kl_loss_coef": "beta",
            "kl_coef": "beta",
            "use_kl_loss": "beta",
            "clip_ratio": "epsilon",
            "clip_ratio_low": "epsilon",
            "clip_ratio_high": "epsilon_high",
            "clip_ratio_c": "delta",
            "entropy_coeff": "entropy_coef",
            "loss_agg_mode": "loss_type",
            "norm_adv_by_std_in_grpo": "scale_rewards",
            "max_response_length": "max_completion_length",
            "train_batch_size": "prompts_per_rollout batch_size",
            "ppo_mini_batch_size": "updates_per_rollout",
            "ppo_micro_batch_size_per_gpu": "per_device_train_batch_size",
            "ppo_micro_batch_size": "per_device_train_batch_size",
            "ppo_epochs": "num_iterations",
            "rollout_n": "num_generations",
            "n": "num_generations",
            "total_epochs": "num_train_epochs",
            "total_training_steps": "max_steps",
            "save_freq": "save_steps",
            "test_freq": "eval_steps",
            "ppo_max_token_len_per_gpu": "per_device_train_batch_size",
            "log_prob_micro_batch_size_per_gpu": "per_device_train_batch_size",
            "max_actor_ckpt_to_keep": "save_total_limit",
            "default_local_dir": "output_dir",
            "experiment_name": "run_name",
            "resume_mode": "resume_from_checkpoint",
            "resume_from_path": "resume_from_checkpoint",
            "tensor_model_parallel_size": "vllm_tensor_parallel_size",
            "gpu_memory_utilization": "vllm_gpu_memory_utilization",
            "use_torch_compile": "torch_compile",
            "use_liger": "use_liger_kernel",
            "warmup_style": "lr_scheduler_type",
        },
        "NeMo-RL": {
            "reference_policy_kl_penalty": "beta",
            "ratio_clip_min": "epsilon",
            "ratio_clip_max": "epsilon_high",
            "ratio_clip_c": "delta",
            "normalize_rewards": "scale_rewards",
            "max_total_sequence_length": "max_length max_completion_length",
            "max_new_tokens": "max_completion_length",
            "num_prompts_per_step": "prompts_per_rollout",
            "num_generations_per_prompt": "num_generations",
            "train_global_batch_size": "batch_size prompts_per_rollout",
            "train_micro_batch_size": "per_device_train_batch_size",
            "max_num_steps": "max_steps",
            "max_num_epochs": "num_train_epochs",
        },
        "open-instruct": {
            "clip_lower": "epsilon",
            "clip_higher": "epsilon_high",
            "response_length": "max_completion_length",
            "num_unique_prompts_rollout": "prompts_per_rollout",
            "num_samples_per_prompt_rollout": "num_generations",
            "num_mini_batches": "updates_per_rollout",
            "total_episodes": "max_steps",
            "advantage_normalization_type": "scale_rewards",
        },
    }.items()
    for name, field in names.items()
}

# Of these, the switch of the other framework has the opposite sense.
OPPOSITE = frozenset({"train_on_inputs", "train_on_prompt"})

# Things that stand elsewhere in a spec, or that TRL spells unlike their names: hint, and the names it is for.
# The names of fields that look like these would only mislead.
_ELSEWHERE: tuple[tuple[str, str], ...] = (
    (
        "the model is what the stage starts `from`",
        "model model_name model_name_or_path model_revision base_model revision checkpoint",
    ),
    (
        "the rows come from the stage's `task`",
        "data dataset datasets dataset_name dataset_config dataset_train_split dataset_split "
        "dataset_mixer_list eval_dataset train_dataset",
    ),
    (
        "write `lora: {r: 16, lora_alpha: 32}` beside `args`; left out, the stage trains all weights",
        "use_peft peft peft_config adapter finetuning_type qlora",
    ),
    ("write `lora: {r: ...}` beside `args`", "lora_r lora_rank"),
    ("write `lora: {r: ..., lora_alpha: ...}` beside `args`", "lora_alpha"),
    ("write `lora: {r: ..., lora_alpha: ..., lora_dropout: ...}` beside `args`", "lora_dropout"),
    (
        "write `lora: {..., target_modules: [...]}` beside `args`; all linear layers are the default",
        "lora_target_modules lora_target lora_target_linear target_modules",
    ),
    ("write `lora: {..., use_rslora: true}` beside `args`", "use_rslora peft_use_rslora"),
    (
        "a stage quantizes nothing: weights are float32, and `bf16: true` trains in mixed precision",
        "load_in_4bit load_in_8bit quantization_bit gptq pure_bf16",
    ),
    (
        "the stage's kind is the estimator, `grpo` or `rloo`: advantages are those of a group",
        "adv_estimator gamma lam use_kl_in_reward kl_penalty kl_ctrl critic critic_warmup",
    ),
    ("the loss has one KL estimator; `beta` says how much it counts", "kl_loss_type"),
    ("evaluations are jobs of their own, of every kept step", "val_before_train val_batch_size val_only"),
    ("rows are cut where the task reads them: `limit` in the split", "max_samples dataset_dir train_files"),
    ("the task says what a completion earns", "reward_funcs reward rewards verifier"),
    ("`bf16: true` trains in mixed precision; else float32", "dtype precision mixed_precision"),
    ("write `stop` in the task", "stop stop_strings stop_sequences"),
    ("write `prompt` in the task", "template chat_template prompt system_prompt"),
    ("the stage's kind says which trainer runs", "rl stage trainer_type trainer"),
    ("dropout is a field of the model's own config", "dropout attention_dropout"),
    ("the stage loads the model itself", "attn_implementation"),
    ("they are two fields, `adam_beta1` and `adam_beta2`", "betas"),
    ("it is `adam_epsilon`", "eps"),
    ("a stage's length is counted in steps or rollouts, beside `args`", "epochs steps"),
    ("it is `max_length` in sft, `max_completion_length` in grpo", "max_tokens"),
    (
        "write `lr_scheduler_type: cosine_with_min_lr` and `lr_scheduler_kwargs: {min_lr_rate: 0.1}`",
        "min_lr_ratio min_lr_rate cosine_min_lr_ratio",
    ),
    ("resources belong to the profile", "nodes gpus num_gpus world_size"),
)
ELSEWHERE = {name: hint for hint, names in _ELSEWHERE for name in names.split()}

# Values that TRL accepts and a stage cannot run, or knows under one name only: equal work has one spelling.
_NEEDS_EVALUATION = "it follows evaluations during training, which a stage does not have"
UNUSABLE: dict[tuple[str, str], str] = {
    ("pad_to_multiple_of", "auto"): "it depends on the device: write a number, or leave it out",
    ("loss_type", "chunked_nll"): "it is a deprecated name of `nll`",
    ("lr_scheduler_type", "greedy"): _NEEDS_EVALUATION,
    ("lr_scheduler_type", "reduce_lr_on_plateau"): _NEEDS_EVALUATION,
    ("packing_strategy", "bfd-requeue"): "it is `bfd_split`",
}
