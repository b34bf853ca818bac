"""The one table of diagnostic codes. Each entry is also the page that `exc explain CODE` prints."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Code:
    """What a diagnostic code stands for, for a person who meets it for the first time."""

    title: str
    what: str
    why: str
    example: str
    fix: str


CODES: dict[str, Code] = {
    # The text.
    "yaml-syntax": Code(
        "the file is not YAML",
        "The text cannot be read as YAML at this place.",
        "Nothing after this place can be trusted, so only the first one is reported.",
        "recipes:\n\trl: []",
        "Indent with spaces, close quotes and brackets, and quote text that contains `: ` or starts with a "
        "symbol.",
    ),
    "empty-file": Code(
        "the file says nothing",
        "The file is empty, or holds only comments.",
        "An empty experiment is more likely a wrong path than an intention.",
        "# experiment: rl",
        "Write the spec, or name the right file.",
    ),
    "several-documents": Code(
        "two documents in one file",
        "A line `---` starts a second YAML document.",
        "One file is one experiment; a second document would be dropped silently.",
        "experiment: a\n---\nexperiment: b",
        "Split the file: each part is a spec of its own.",
    ),
    "duplicate-key": Code(
        "a key is given twice",
        "One mapping holds the same key twice.",
        "Most YAML readers keep the last one and say nothing, so half of an edit is lost.",
        "seed: 0\nseed: 1",
        "Keep one of the two.",
    ),
    "yaml-key": Code(
        "this cannot be a key",
        "A key is a list, a mapping, a boolean or nothing.",
        "Every key in a spec is a name.",
        "true: {grpo: {}}",
        "Write a name, in quotes if it reads as something else.",
    ),
    "merge-key": Code(
        "merge keys are not read",
        "`<<` copies a mapping in YAML 1.1; YAML 1.2 has no such key.",
        "What it overrides cannot be seen; `like:` does the same, and the plan prints what was overridden.",
        "<<: *defaults",
        "Name the stage or evaluation to copy with `like: NAME`; elsewhere, an alias repeats a whole value.",
    ),
    "yaml-alias": Code(
        "an alias that cannot be followed",
        "`*name` has no `&name` above it, stands inside its own value, or repeats too much.",
        "It has no finite value.",
        "a: *missing",
        "Define the anchor first, or write the value out.",
    ),
    "yaml-tag": Code(
        "YAML tags are not read",
        "A value carries a tag such as `!!python/name`.",
        "A spec is plain data; tags can run code, or change types unseen.",
        "seed: !!str 0",
        "Leave the tag out; to make a value text, put it in quotes.",
    ),
    "latex-escape": Code(
        "a backslash that became a control character",
        "In double quotes, `\\a`, `\\b`, `\\f` and `\\v` are control characters, not a backslash and a "
        "letter.",
        "A prompt or pattern that holds one looks right in the file and is wrong in every sample.",
        'prompt: "answer in \\boxed{}"',
        "Double the backslash, or use single quotes.",
    ),
    "literal-escape": Code(
        "a line break that is two characters",
        "Outside double quotes `\\n` and `\\t` are a backslash and a letter.",
        "A prompt with it asks in a way that nobody meant, and a stop string with it never stops anything.",
        "prompt: 'Q: {question}\\nA:'",
        "Use double quotes, in which a backslash of its own is doubled.",
    ),
    # Keys, types and values.
    "unknown-key": Code(
        "no such key",
        "This mapping has no key of that name.",
        "A key that nothing reads is a setting that silently has no effect.",
        "recipies: {}",
        "Use the name in the hint, or remove the key.",
    ),
    "missing-key": Code(
        "a key is missing",
        "This mapping needs a key that is not there.",
        "There is no default that would be right for everyone.",
        "grpo: {num_generations: 8}   # no task",
        "Add the key.",
    ),
    "wrong-type": Code(
        "a value of the wrong type",
        "The value is text, a number, a list or a mapping where one of the others is expected.",
        "Reading it anyway would be a guess.",
        "seed: zero",
        "Write what is expected. A number in quotes is text.",
    ),
    "wrong-unit": Code(
        "an amount that cannot be read",
        "Tokens, durations and sizes carry their unit, with the right case: `50B`, `8h`, `40GB`.",
        "A missing or misread unit makes a run a thousand times too long.",
        "tokens: 50b",
        "Write the unit as shown.",
    ),
    "bad-value": Code(
        "a value out of range",
        "The value has the right type, but makes no sense here.",
        "It would fail later, on a machine that you had waited for.",
        "batch_size: 0",
        "Write a value in the range that is expected.",
    ),
    "bad-choice": Code(
        "not one of the choices",
        "The value must be one of a closed set.",
        "An unknown choice would be ignored, or fail in the job.",
        "schedule: {shape: cosin}",
        "Pick one of the listed values.",
    ),
    "bad-name": Code(
        "not a name",
        "Names match `[A-Za-z0-9][A-Za-z0-9_-]*`.",
        "Names become folders, job ids and columns.",
        "recipes: {rl/long: []}",
        "Use letters, digits, `_` and `-`.",
    ),
    "reserved-name": Code(
        "a reserved name",
        "The name already has a meaning wherever a model is named, as `base` and `prev` do.",
        "An entry with that name could never be referred to.",
        "recipes: {base: []}",
        "Choose another name.",
    ),
    # References.
    "unknown-reference": Code(
        "nothing has this name",
        "A name refers to data, a task, a trunk, a recipe, a stage or an evaluation that is not defined.",
        "The job that reads it could not be planned.",
        "grpo: {task: gsm9k}",
        "Use the name in the hint, or define it.",
    ),
    "unknown-task": Code(
        "lm-evaluation-harness has no such task",
        "An evaluation names a task that neither this version of the harness nor the folder that it includes "
        "has; or it names a tag, which stands for several tasks and has no number of its own.",
        "The job would fail on a machine that you had waited for, once for every model.",
        "lm_eval: {tasks: [helaswag]}",
        "Use the name in the hint. A task of your own is a YAML file in a folder beside the spec, which "
        "`include` names.",
    ),
    "harness-task": Code(
        "a task's YAML that cannot be read",
        "A file in the folder that an `lm_eval` evaluation includes is not the YAML of a task.",
        "lm-evaluation-harness skips such a file, and then has no task of that name.",
        "task: [sums",
        "Correct the file, or take it out of the folder.",
    ),
    "unknown-generator": Code(
        "reasoning-gym has no such generator",
        "A data source names a generator, or a setting of one, that this version of reasoning-gym does not "
        "have.",
        "No rows could be made.",
        "reasoning_gym: {name: basic_arithmetics, size: 100}",
        "Use the name in the hint.",
    ),
    "continues": Code(
        "pre-training that cannot continue where it should",
        "`continues` asks for something from the earlier pre-training that is not there or does not fit.",
        "The optimizer's moments, the place in the data or the learning rate would be those of something "
        "else.",
        "continues: {data_position: continue}   # over other data than before",
        "Give both runs the same settings, or set that part to `fresh`.",
    ),
    "inherited-key": Code(
        "a key that comes with the model",
        "Pre-training that starts from a model gives a `model` or a `tokenizer` of its own.",
        "Both come with the model that it starts from; giving them again could only contradict it.",
        "- more: {pretrain: {model: {architecture: llama}, ...}}",
        "Leave the key out; only a trunk without `from` has it.",
    ),
    "unknown-size": Code(
        "a model whose parameters cannot be counted",
        "A schedule in multiples of a compute-optimal run needs the exact number of parameters.",
        "A guess would put every checkpoint somewhere other than asked.",
        "checkpoints: {chinchilla: [1, 2, 4]}   # of an architecture that is not counted",
        "Use `tokens` instead; or, where it is the tokenizer's size that is missing, write `vocab_size` in "
        "`model`.",
    ),
    "nested-repeat": Code(
        "a repeated block inside another",
        "A block with `repeat` stands among the stages of a block with `repeat`.",
        "A repeated stage is named by its round, and a round within a round has no name.",
        "- outer: {repeat: 2, stages: [inner: {repeat: 2, stages: [...]}]}",
        "Write the stages of the inner block out, as often as they are wanted.",
    ),
    "reference-cycle": Code(
        "things that need each other",
        "Following the references leads back to the start; the message shows the chain.",
        "None of them could ever run first.",
        "a: {data: b}\nb: {data: a}",
        "Break the chain at one place.",
    ),
    "like-cycle": Code(
        "entries that copy each other",
        "Following `like:` leads back to the entry where it began.",
        "There is no first entry to copy.",
        "a: {like: b}\nb: {like: a}",
        "Write one of them out.",
    ),
    "extends-cycle": Code(
        "files that extend each other",
        "Following `extends:` leads back to a file that is already being read; the message shows the chain.",
        "There is no file at the bottom to start with.",
        "extends: [b.yaml]   # and in b.yaml: extends: [a.yaml]",
        "Move what both need into a third file, and let both extend that.",
    ),
    "unknown-axis": Code(
        "the matrix has no such axis",
        "The body of an entry with a `matrix` reads `$name`, but no axis has that name.",
        "The job would get text with a dollar sign in it.",
        "matrix: {lr: [1.0e-6]}\nstages: [rl: {grpo: {args: {learning_rate: $learning_rate}}}]",
        "Use the name of an axis; for a literal dollar sign, write `$$`.",
    ),
    "unused-axis": Code(
        "an axis that nothing reads",
        "The body contains neither `$axis` nor a reference to another entry that has this axis.",
        "Its cells would be the same work under several names.",
        "matrix: {lr: [1.0e-6, 1.0e-5]}   # and no $lr below",
        "Write `$axis` where the value belongs, or remove the axis. To repeat a branch, use `replicates`.",
    ),
    "unequal-zip": Code(
        "axes of different lengths",
        "The axes under `zip` have different numbers of values.",
        "The last values of the longer axis would have no partner.",
        "zip: {batch_size: [8, 16], lr: [1.0e-6]}",
        "Give each of them the same number of values, or take one out of `zip` to make a grid.",
    ),
    "no-cells": Code(
        "a matrix without cells",
        "The matrix has no axes, or `exclude` removes all of its cells.",
        "The entry would vanish from the study.",
        "matrix: {lr: [1.0e-6], exclude: [{lr: 1.0e-6}]}",
        "Add an axis or a value, or remove the matrix.",
    ),
    "ambiguous-cell": Code(
        "a name that means several cells, or none",
        "One entry is needed here, and the name of an entry with a matrix does not say which of its cells is "
        "meant.",
        "Inside a cell, the name means the cell that agrees with it on all the axes that both have; "
        "elsewhere, nothing decides.",
        "from: sft   # sft has `matrix: {lr: [1.0e-6, 1.0e-5]}`",
        "Name the cell, such as `sft[lr=1e-06]`, or give this entry a matrix with the same axes.",
    ),
    "like-kind": Code(
        "a copy of another kind",
        "`like:` names an entry of another kind than its own.",
        "The settings of two kinds do not mean the same.",
        "sft: {like: rl.rl}",
        "Name an entry of the same kind; a stage is named as `recipe.stage`.",
    ),
    "no-such-profile": Code(
        "no such profile",
        "No `profiles.yaml` defines a profile of that name.",
        "Without it, nobody knows what resources jobs get.",
        "exc compile --profile clutser",
        "Use one of the listed profiles, or define it in `profiles.yaml` beside the spec.",
    ),
    "wrong-backend": Code(
        "a setting of another backend",
        "The profile contains a setting that its `backend` does not read.",
        "What it was meant to do would silently not be done.",
        "mine: {resources: [{mem: 40GB}]}   # and no `backend: slurm`",
        "Say which backend is meant, or remove the setting.",
    ),
    "secret-value": Code(
        "a secret in the open",
        "A profile holds what looks like the value of a token, a key or a password.",
        "Profiles, plans and scripts are committed, sent and kept; what is written in them is no longer "
        "secret.",
        "env: [HF_TOKEN=hf_...]",
        "Name the variable under `env`, and set it where `exc submit` is run. Consider this value leaked.",
    ),
    "launch-settings": Code(
        "a launch file that says something else",
        "The file under `launch` cannot start these jobs: it has a key that accelerate does not know, is for "
        "another way of sharding, or holds a setting that changes results.",
        "accelerate would stop at the first unknown key, in the job; and precision is for the spec to say.",
        "launch: {fsdp: zero3.yaml}",
        "Give a file that `accelerate config` wrote for this way, or the mapping of its `fsdp_config`.",
    ),
    "tracker-not-installed": Code(
        "a tracker's package is not installed",
        "The profile names a tracker whose package is not installed where the plan is compiled.",
        "Jobs would run without it. If they run elsewhere, it may well be installed there.",
        "trackers: [wandb]     # and no wandb in this environment",
        "Install it where jobs run (`pip install wandb`), or remove the tracker from the profile.",
    ),
    "merge-parents": Code(
        "models that cannot be merged",
        "The parents of a merge differ in shape or tokenizer.",
        "An average of weights that do not correspond is noise.",
        "of: [{trunk: small}, {trunk: large}]",
        "Merge models of one trunk, or of trunks with the same configuration.",
    ),
    # Trainer settings.
    "unknown-field": Code(
        "the trainer has no such setting",
        "`args` names a field that the stage's trainer does not have.",
        "A trainer that is configured by a file may drop such a field without a word.",
        "args: {learning_rat: 1e-6}",
        "Use the field in the hint.",
    ),
    "renamed-field": Code(
        "a setting that was renamed",
        "The field had this name in an older version of the trainer.",
        "The pinned version does not have it.",
        "args: {max_seq_length: 1024}",
        "Use the new name.",
    ),
    "foreign-field": Code(
        "another framework's name",
        "The name is what another training framework calls this setting.",
        "It is pointed out and never silently translated: meanings differ in detail.",
        "args: {micro_batch_size: 4}",
        "Use the name in the hint.",
    ),
    "owned-field": Code(
        "a setting that exc decides",
        "The field follows from the spec and the profile, as the batch per device and the output folder do.",
        "Set by hand, it would contradict what the plan says.",
        "args: {output_dir: out}",
        "Remove it; the hint says what decides it.",
    ),
    "batch-arithmetic": Code(
        "a batch that does not divide",
        "The batch, or the completions of a rollout, cannot be split evenly over the planned devices.",
        "The trainer would refuse it, or train on a batch other than the one asked for.",
        "batch_size: 10   # on 4 devices",
        "Change the batch, or the number of devices in the profile.",
    ),
    "between-means": Code(
        "a step that ends in no mean",
        "A `parallel` stage would publish a step at which its two sides are apart.",
        "Between two means there are two models, and neither of them is what the stage is for.",
        "parallel: {max_steps: 100, sync_every: 8, keep: [20], ...}",
        "Keep only multiples of `sync_every`, and make `max_steps` one of them.",
    ),
    "spread-weights": Code(
        "a launch that this stage cannot have",
        "The profile shards the weights of a stage over its processes in a way that cannot be saved whole.",
        "A stage keeps whole weights and optimizer moments, and resumes from them. exc gathers them under "
        "FSDP version 2 on GPUs, without adapters and with AdamW; nothing else has been seen to resume "
        "exactly. `parallel`, `combined` and `interleave` change whole weights at every step.",
        "resources: [{on: {kind: parallel}, gpus: 4, launch: {fsdp: fsdp.yaml}}]",
        "Write `fsdp_version: 2` in the file, and remove what the message names; or leave `launch` out of "
        "the entries that match these jobs, so that each process has the whole model (DDP).",
    ),
    "k-above-samples": Code(
        "more tries than samples",
        "pass@k is asked for with a k above `num_samples`.",
        "pass@k cannot be estimated from fewer than k samples.",
        "pass_at_k: {k: [64], num_samples: 32}",
        "Draw more samples, or drop that k.",
    ),
    # Schedules.
    "off-schedule": Code(
        "no checkpoint there",
        "A step or a number of tokens is asked for that the trunk does not keep.",
        "The nearest checkpoint would be another model.",
        "at: [1500]   # kept: 1000, 2000",
        "Ask for a step that is kept, keep this one, or write `snap: nearest`.",
    ),
    "past-end": Code(
        "past the end",
        "A step lies after the last step of its run.",
        "It will never exist.",
        "step: 5000   # of max_steps: 2000",
        "Ask for an earlier step, or make the run longer.",
    ),
    "mid-decay": Code(
        "a branch inside the learning-rate decay",
        "A branched checkpoint lies where the trunk's learning rate is already falling.",
        "Checkpoints then differ in their learning rate as well as in their tokens.",
        "schedule: {shape: cosine}   # every checkpoint",
        "Branch before the decay, or say why it is intended: `accept: {mid-decay: REASON}`.",
    ),
    "unlisted": Code(
        "it is not known yet which checkpoints there are",
        "The schedule asks for the end of a published run, or for a share of it, before the names of its "
        "checkpoints have been read.",
        "For a run that exc does not know, only the names on the hub tell which steps there are.",
        'trunks:\n  ours: {hub: {repo: lab/ours, pattern: "step{step}"}, checkpoints: {include: [last]}}',
        "Run `exc lock` where the hub can be reached, or name the steps: `checkpoints: [1000, 2000]`.",
    ),
    "uneven-contrast": Code(
        "a comparison of more than one thing",
        "The two models of a contrast were made with different settings, and `varies` does not name all of "
        "them.",
        "A difference in results may come from any of them; a learning rate that was copied along with a "
        "script is enough.",
        "contrasts: [{a: sft-rl, b: rl}]   # one has a KL term, the other shorter completions",
        "Give both the same settings (`like`), or name under `varies` what the comparison is about.",
    ),
    "other-snapshot": Code(
        "compared with a snapshot other than the one it starts from",
        "The two models of a contrast contain the same stage at different steps.",
        "The difference then includes what the stage learnt, or lost, between the two steps.",
        "sft-rl: [rl: {from: {recipe: sft, step: 2000}, ...}]   # and contrasts: [{a: sft-rl, b: sft}]",
        "Compare with the step that the other model starts from: `b: {recipe: sft, step: 2000}`.",
    ),
    "best-of-seeds": Code(
        "replicates picked by hand",
        "A contrast, a figure or an evaluation names some replicates and leaves out others that are planned.",
        "The best of several seeds is better than what the next one will reach, all the more where seeds "
        "spread widely.",
        "contrasts: [{a: {recipe: rl, replicate: 3}, b: base}]   # of four",
        "Leave `replicate` out: the report gives the mean of all replicates, and shows each.",
    ),
    "few-replicates": Code(
        "too few replicates for the effect",
        "A contrast declares an `effect`, and there are too few replicates to tell it from the luck of a "
        "seed.",
        "The number of problems limits what is known about one model; only replicates tell about the recipe.",
        "contrasts: [{a: rl, b: sft, effect: 0.02, spread: 0.05}]   # with one replicate",
        "Plan as many replicates as the message says, or declare a larger effect.",
    ),
    "partial-loss": Code(
        "only a part of a named loss",
        "`loss_type` names a published loss, but other fields that belong to that loss have other values.",
        "TRL's `loss_type` selects only one part of the loss; a result reported under its name would be of "
        "something else.",
        "args: {loss_type: dr_grpo}   # and `scale_rewards` still divides by the deviation",
        "Write `loss: dr-grpo` beside `args`, which sets all the fields, or set them one by one.",
    ),
    "uneven-mixture": Code(
        "shares that do not add up",
        "The weights of a mixture look like shares, and add up to a little less or more than 1 or 100.",
        "Weights are relative, so every source gets a share other than the one that is written.",
        "data: {wiki: 7, web: 60, math: 20, stackexchange: 2, stem: 5}   # 94",
        "Add what is missing; or accept the finding, with the reason why it is not a mistake.",
    ),
    "unlike-protocols": Code(
        "models that are measured differently",
        "Models that are compared see different numbers of exemplars, or are sampled differently.",
        "Exemplars show the format of an answer: without them, a model may know the answer and still be "
        "marked wrong.",
        "num_fewshot: {base: 8, trained: 0}   # and contrasts: [{a: rl, b: base}]",
        "Measure all of them alike, or name what differs: `varies: [num_fewshot]`.",
    ),
    "no-stop": Code(
        "exemplars, and no word of where an answer ends",
        "An evaluation shows exemplars of a task that has no `stop`.",
        "A model that was not trained on the task goes on as the exemplars do, with a problem of its own and "
        "an answer to that, which the verifier then takes: it looks worse than it is, and a recipe looks "
        "better than it is.",
        'tasks: {gsm8k: {prompt: "Question: {question}\\nAnswer:"}}   # and num_fewshot: {base: 8}',
        'Say how the next problem begins: `stop: ["\\nQuestion:"]`.',
    ),
    "unlike-lengths": Code(
        "measured at another completion length than trained at",
        "An evaluation has another limit on the length of completions than the stage that trained the model.",
        "What is cut off counts as wrong, in one of them and not in the other.",
        "grpo: {args: {max_completion_length: 512}}   # and pass_at_k: {max_new_tokens: 1024}",
        "Give both the same length.",
    ),
    "unlocked": Code(
        "a name on the hub that was never resolved",
        "The spec names a model on the hub, and `exc.lock` does not say which commit that is.",
        "A branch of a repository moves; only a commit always means the same model.",
        "recipes: {zero: [{rl: {hub: Qwen/Qwen2.5-7B}}]}   # without exc.lock",
        "Run `exc lock` on a machine that reaches the hub, and commit exc.lock beside the spec.",
    ),
    "unknown-on-hub": Code(
        "the hub does not know this name",
        "The hub was asked for a repository or a revision that it does not have, or does not show to you.",
        "Nothing can be fetched under that name.",
        "hub: {repo: Qwen/Qwen2.5-7C}",
        "Correct the name, or log in with a token that has access.",
    ),
    "damaged-lock": Code(
        "exc.lock cannot be read",
        "The file beside the spec is not what `exc lock` writes.",
        "It says which commits the plan's models are.",
        "(a merge conflict inside exc.lock)",
        "Restore it from version control, or write it anew with `exc lock --update`.",
    ),
    "selected-on-test": Code(
        "chosen by the number that is reported",
        "`step: {best: ...}` chooses a snapshot by an evaluation, and no other evaluation looks at other "
        "rows.",
        "The best of several noisy numbers is biased: there, the chosen model looks better than it is.",
        "from: {recipe: rl, step: {best: {evaluation: gsm8k, metric: pass@1}}}",
        "Choose on a split of its own, such as `validation`, and report another; or accept the finding, with "
        "the reason.",
    ),
    "train-on-test": Code(
        "measured on what was trained on",
        "An evaluation uses rows of a source that a stage trains on, directly or by way of data made from "
        "it.",
        "The result then says how well the rows were memorised.",
        "data: {rated: {samples: {from: base, task: gsm8k, split: test, ...}}}   # trained on, and `test` "
        "measured",
        "Measure on other rows, or divide the source with `where`, or with `drop` and `take`; or accept the "
        "finding, with the reason.",
    ),
    "relative-data": Code(
        "no branch to take the model from",
        "Data is sampled from a model of the branch that reads it, but is read where there is no branch.",
        "A trunk's mixture and an evaluation are the same for all branches, so there is no such model.",
        "trunks: {tiny: {pretrain: {data: {rated: 1}}}}   # rated: {samples: {from: base, ...}}",
        "Say which model it is, with `from: {trunk: NAME, at: STEP, ...}`, or read the data in a stage.",
    ),
    "empty-selection": Code(
        "nothing is selected",
        "A selector matches nothing that exists.",
        "What it was meant to change stays as it is.",
        "on: {recipes: [rl], at: [1]}",
        "Widen it, or remove the entry.",
    ),
    "unused": Code(
        "defined and never used",
        "Nothing refers to this entry.",
        "It is often the other half of a misspelt name.",
        "tasks: {gsm8k-old: {}}",
        "Use it, or remove it.",
    ),
    # Files and code of the user.
    "missing-file": Code(
        "no such file",
        "A file that the spec names cannot be read.",
        "Its content is part of the experiment.",
        "data: {mine: {jsonl: trian.jsonl}}",
        "Check the path. It is relative to the spec's folder; one under `extends`, to the folder of the file "
        "that names it.",
    ),
    "missing-column": Code(
        "no such column",
        "A data source has no column of that name.",
        "The job would fail at its first row.",
        "columns: {question: problm}",
        "Use one of the listed columns.",
    ),
    "user-code": Code(
        "user code that cannot be used",
        "A `python:` reference names a module or function that is not there, or that does not parse.",
        "It is better to fail here than in a job.",
        "verifier: python:verify:chek",
        "Write `python:module:function` for a verifier, `module:function` elsewhere, and put the module's "
        "file beside the spec.",
    ),
}
