"""Job classes: what their members have in common, in words and as a config with a table of what varies."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import orjson
import yaml

from exc.compiler.plan import SMOKE, Job, Plan
from exc.spec.units import format_bytes, format_duration
from exc.spec.words import plural

WHAT: Mapping[str, str] = {
    "tokenizer": "make the tokenizer",
    "rows": "read the rows of a task's split",
    "tokens": "tokenise and pack a data source",
    "derive": "choose and group the rows of a data source",
    "rate": "verify the samples of a model as rows of data",
    "pretrain": "pre-train to a scheduled checkpoint",
    "trainer": "have a trainer of your own go on to a scheduled checkpoint",
    "sft": "supervised fine-tuning (TRL SFTTrainer)",
    "dpo": "preference optimisation (TRL DPOTrainer)",
    "parallel": "reinforcement and fine-tuning side by side, their models averaged (TRL)",
    "combined": "reinforcement and fine-tuning as one loss (TRL)",
    "interleave": "reinforcement and fine-tuning in turn (TRL)",
    "kto": "learning from good and bad completions (TRL KTOTrainer)",
    "grpo": "reinforcement learning (TRL GRPOTrainer)",
    "rloo": "reinforcement learning (TRL RLOOTrainer)",
    "merge": "merge models",
    "fetch": "bring what others published into the store",
    "select": "choose the kept step that did best in an evaluation",
    "command": "run a command",
    "sample": "sample completions, one block for every problem",
    "score": "verify the samples and count",
    "bits_per_byte": "bits per byte of held-out text",
    "lm_eval": "measure tasks of lm-evaluation-harness",
    "contamination": "look for the problems of an evaluation in training data",
    SMOKE: "try a class of jobs at its smallest, on random weights, before any of them",
}
LEAVES: Mapping[str, str] = {
    "tokenizer": "a tokenizer folder",
    "rows": "rows.jsonl",
    "tokens": "tokens.bin, index.json",
    "derive": "rows.jsonl",
    "rate": "rows.jsonl",
    "pretrain": "model/ and state/ at its checkpoint",
    "trainer": "model/ at its checkpoint",
    "sft": "model/ and state/ at every kept step",
    "dpo": "model/ and state/ at every kept step",
    "parallel": "model/ and state/ at every kept step",
    "combined": "model/ and state/ at every kept step",
    "interleave": "model/ and state/ at every kept round",
    "kto": "model/ and state/ at every kept step",
    "grpo": "model/ and state/ at every kept rollout",
    "rloo": "model/ and state/ at every kept rollout",
    "merge": "model/",
    "fetch": "model/, or rows.jsonl",
    "select": "model/ and choice.json",
    "command": "model/",
    "sample": "samples.jsonl",
    "score": "scores.jsonl, problems.jsonl and metrics",
    "bits_per_byte": "documents.jsonl and metrics",
    "lm_eval": "units.jsonl, samples.jsonl, results.json and metrics",
    "contamination": "found.jsonl and metrics",
    SMOKE: "report.json and metrics; no model",
}


@dataclass(frozen=True, slots=True)
class JobClass:
    """One script's worth of jobs."""

    name: str
    kind: str
    jobs: tuple[Job, ...]
    reads: tuple[str, ...]  # "role: kinds it comes from"

    @property
    def what(self) -> str:
        return WHAT[self.kind]

    @property
    def leaves(self) -> str:
        return LEAVES[self.kind]

    @property
    def cpus(self) -> int:
        return int(self.jobs[0].resources.get("cpus", 1))

    @property
    def resources(self) -> str:
        given = sorted(self.jobs[0].resources.items(), key=lambda item: item[0] == "nodes")  # of all: last
        return ", ".join(_RESOURCE.get(name, f"{name} {{}}".format)(value) for name, value in given)

    @property
    def smokes(self) -> tuple[str, ...]:
        """The smoke runs that its jobs wait for."""
        found = {need.job: None for job in self.jobs for need in job.needs if need.role == SMOKE}
        return tuple(found)

    @property
    def sample(self) -> str:
        first, last = self.jobs[0].id, self.jobs[-1].id
        return first if first == last else f"{first} ... {last}"


_RESOURCE: Mapping[str, Callable[[Any], str]] = {
    "nodes": lambda num: "1 node" if num == 1 else f"on each of {num} nodes",
    "cpus": lambda num: plural(num, "cpu"),
    "gpus": lambda num: plural(num, "gpu"),
    "processes": lambda num: plural(num, "process", "processes"),
    "mem": lambda size: f"{format_bytes(size)} of memory",
    "time": lambda seconds: f"at most {format_duration(seconds)}",
    "pack": lambda num: f"{num} side by side",
    "slurm": lambda place: " ".join(f"{name} {value}" for name, value in place.items() if name != "extra"),
    "launch": lambda said: next(f"{way} by {said[way]}" for way in ("fsdp", "deepspeed") if way in said),
    "gpu_speed": lambda speed: f"counted as {speed:.1e} operations a second",
    "vllm": lambda said: f"vLLM in {said['memory']:.0%} of each GPU",
}


def job_classes(plan: Plan) -> list[JobClass]:
    """The classes in the order of their first jobs."""
    members: dict[str, list[Job]] = {}
    for job in plan.jobs:
        members.setdefault(job.cls, []).append(job)
    return [JobClass(name, jobs[0].kind, tuple(jobs), _reads(jobs)) for name, jobs in members.items()]


def _reads(jobs: list[Job]) -> tuple[str, ...]:
    reads = {(need.role, need.artifact.partition("/")[0]): None for job in jobs for need in job.inputs}
    kinds: dict[str, dict[str, None]] = {}
    for role, kind in reads:
        kinds.setdefault(role.partition(":")[0], {})[kind] = None
    return tuple(f"{role} ({', '.join(from_kinds)})" for role, from_kinds in kinds.items())


class _Dumper(yaml.CSafeDumper):
    """Floats as people write them."""


def _float(dumper: _Dumper, value: float) -> yaml.ScalarNode:
    text = repr(value)
    return dumper.represent_scalar("tag:yaml.org,2002:float", _yaml_float(text) if "e" in text else text)


def _yaml_float(text: str) -> str:
    """1e-06 -> 1.0e-6, which every version of YAML reads as a number."""
    mantissa, exponent = text.split("e")
    return f"{mantissa if '.' in mantissa else mantissa + '.0'}e{int(exponent):+d}"


_Dumper.add_representer(float, _float)


def class_configs(data: Mapping[str, Any]) -> dict[str, str]:
    """For each class of a plan, as `to_json` gives it, its config as YAML and a table of what varies."""
    jobs: dict[str, list[str]] = {}
    for job in data["jobs"]:
        jobs.setdefault(job["class"], []).append(_table_line(job))
    return {name: _class_yaml(name, cls, jobs[name]) for name, cls in data["classes"].items()}


def _class_yaml(name: str, cls: Mapping[str, Any], lines: list[str]) -> str:
    shared = "what its one job has" if len(lines) == 1 else f"what all {len(lines):,} jobs share"
    head = (
        f"# {name}: {WHAT[cls['kind']]}.\n# `config` and `resources` are {shared}; `jobs` is what varies.\n"
    )
    parts = "".join(_dump({key: cls[key]}) for key in ("kind", "resources", "config"))
    return head + parts + "jobs:\n" + "".join(lines)


def _table_line(job: Mapping[str, Any]) -> str:
    """A job as one line of JSON, which is YAML too: thousands stay readable, and fast to write."""
    out: dict[str, Any] = {"identity": job["identity"][:12]}
    if "kept" in job:
        out["kept"] = [int(step) for step in job["kept"]]
    out["reads"] = {need.role: need.job for need in job["needs"]}
    text = orjson.dumps(out | job["config"]).decode()
    if "e-" in text or "e+" in text:
        text = _JSON_TOKEN.sub(_yaml_token, text)
    return f"  {job['id']}: {text}\n"


# A text, or a number with an exponent.
_JSON_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|-?[0-9.]+e[+-]?[0-9]+')


def _yaml_token(found: re.Match[str]) -> str:
    return found[0] if found[0].startswith('"') else _yaml_float(found[0])


def _dump(value: Any) -> str:
    return yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120)
