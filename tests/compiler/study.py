"""A small study as YAML text, edits of it, and its plan: what the tests of the compiler share."""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Any

from exc.compiler.checks import check
from exc.compiler.compile import compile_plan
from exc.compiler.facts import Facts, FileFact
from exc.compiler.plan import Job, Plan
from exc.spec.experiment import Spec
from exc.spec.load import LoadResult, load_text
from exc.spec.nodes import plain
from exc.spec.profiles import Profile

STUDY = """\
version: 1
experiment: study
seed: 0
data:
  docs: {python: "arithmetic:documents", args: {num: 1000}}
  problems: {jsonl: data/problems.jsonl}
  held-out: {jsonl: data/held_out.jsonl}
tasks:
  sums:
    prompt: "Q: {question}\\nA:"
    splits:
      train: {data: problems, columns: {demonstrations: worked}}
      test: {data: held-out}
    fewshot: {data: problems, limit: 50}
    stop: ["\\n\\n"]
    rewards: {correct: 1.0, format: 0.1}
trunks:
  tiny:
    pretrain:
      model: {architecture: llama, hidden_size: 64, num_hidden_layers: 2, num_attention_heads: 4,
              intermediate_size: 128}
      tokenizer: {bpe: {vocab_size: 512}}
      data: {docs: 3, problems: 1}
      batch_size: 16
      sequence_length: 64
      tokens: 1024000
      schedule: {shape: wsd, peak: 3.0e-3, warmup: 51200, decay: 204800}
    checkpoints: [400, 700, 1000]
recipes:
  rl:
    - rl: {grpo: {task: sums, num_generations: 8, prompts_per_rollout: 8, rollouts: 40, keep: [20],
                  args: {learning_rate: 1.0e-5}}}
  sft:
    - sft: {sft: {task: sums, batch_size: 16, max_steps: 60, args: {learning_rate: 1.0e-4}}}
  sft-rl:
    - rl: {from: sft, grpo: {like: rl.rl}}
  soup:
    - soup: {merge: {of: [rl, sft]}}
evaluations:
  sums: {pass_at_k: {task: sums, k: [1, 4], num_samples: 16, max_new_tokens: 32,
                     num_fewshot: {base: 4, trained: 0}}}
  text: {bits_per_byte: {data: held-out, text: question}}
"""

SpecData = dict[str, Any]


def loaded(text: str = STUDY) -> SpecData:
    """The text as plain data, to be edited."""
    from exc.spec.diagnostics import Diagnostics
    from exc.spec.source import parse

    node = parse(text, "experiment.yaml", Diagnostics())
    assert node is not None
    data = plain(node)
    assert isinstance(data, dict)
    return data


def edited(changes: Mapping[str, Any] | None = None, base: str | SpecData = STUDY) -> SpecData:
    """The study with values set by dotted path; a number in a path is a place in a list, None deletes."""
    spec = loaded(base) if isinstance(base, str) else copy.deepcopy(base)
    for path, value in (changes or {}).items():
        *parents, last = [int(part) if part.isdigit() else part for part in path.split(".")]
        at: Any = spec
        for part in parents:
            at = at.setdefault(part, {}) if isinstance(at, dict) else at[part]
        if value is None:
            del at[last]
        else:
            at[last] = value
    return spec


def load(spec: str | SpecData) -> LoadResult:
    """The spec checked; JSON is YAML, so that edits need no writer. Fails the test on any error."""
    found = load_text(spec if isinstance(spec, str) else json.dumps(spec, indent=1), "experiment.yaml")
    if found.draft is not None:
        check(found.draft, found.diagnostics)
    errors = [str(finding) for finding in found.diagnostics if finding.severity == "error"]
    assert not errors, "\n".join(errors)
    return found


def facts_of(spec: Spec, contents: Mapping[str, str] | None = None) -> Facts:
    """Digests as if every file held its own name, or what `contents` says of it."""
    files: dict[str, tuple[FileFact, ...]] = {}
    for data in spec.data.values():
        for name in (*(data.jsonl or ()), *(data.parquet or ()), *(data.text or ()), *data.files):
            files[name] = (_fact(name, contents or {}),)
    for stages in spec.recipes.values():
        for stage in stages:
            for name in stage.command.files if stage.command else ():
                files[name] = (_fact(name, contents or {}),)
    targets = [data.python for data in spec.data.values() if data.python]
    targets += [
        t.verifier.removeprefix("python:") for t in spec.tasks.values() if t.verifier.startswith("python:")
    ]
    return Facts(files, {target: _sha256(f"code of {target}") for target in targets})


def _fact(name: str, contents: Mapping[str, str]) -> FileFact:
    content = contents.get(name, name)
    return FileFact(name, len(content), _sha256(content))


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def plan_of(
    spec: str | SpecData = STUDY,
    *,
    profile: Profile | None = None,
    contents: Mapping[str, str] | None = None,
    profile_name: str = "local",
) -> Plan:
    """The plan of a spec, with made-up digests of its files."""
    experiment = load(spec).experiment
    assert experiment is not None
    facts = facts_of(experiment.spec, contents)
    return compile_plan(experiment, facts, profile or Profile(), profile_name=profile_name)


def plan_with(changes: Mapping[str, Any], **options: Any) -> Plan:
    """The plan of the study with some values changed."""
    return plan_of(edited(changes), **options)


def artifacts(plan: Plan | Iterable[Job]) -> set[str]:
    """Every artifact that the jobs leave."""
    return {artifact for job in plan for artifact in job.artifacts()}


def identities(plan: Plan) -> dict[str, tuple[str, ...]]:
    """Job id or alias -> its artifacts."""
    return {name: job.artifacts() for name, job in plan.by_id.items()}


def ids(plan: Plan, ending: str = "") -> list[str]:
    return [job.id for job in plan.jobs if job.id.endswith(ending)]
