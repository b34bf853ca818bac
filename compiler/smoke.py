"""Smoke runs: each costly class of jobs is tried at its smallest before any of them is begun.

A smoke run has the real rows, prompts, verifier, lengths and micro-batch, and random weights of the right
shape. What it hashes is the class's config without seeds and step sizes, and the shape of the model without
its weights, so that one run stands for all checkpoints and replicates. The edge from a job to its smoke run
orders work, and is no input: no identity depends on whether there is one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from exc.compiler.batch import sft_batch
from exc.compiler.build import Draft
from exc.compiler.identity import identity_fields, job_identity
from exc.compiler.launch import processes, world_size
from exc.compiler.plan import SMOKE, Need
from exc.compiler.resources import Allotment, Resources
from exc.compiler.smoke_share import one_share
from exc.spec.paired import PAIRED_KINDS
from exc.spec.profiles import SMOKED

PUBLISHED = "published"  # the role of a model made elsewhere, of which only the shape and tokenizer are used
SEQUENCES = 512  # that a `sample` job draws at once, at most
_JUDGING = ("verifier", "verifier_timeout", "max_unverifiable")
ACCUMULATED = 2  # micro-batches in the one optimizer step: gradients are added up as in the real one

_SHAPES = (  # files of a model that say its shape, what it reads and where it ends
    *("config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json"),
    *("special_tokens_map.json", "added_tokens.json", "tokenizer.model", "vocab.json", "merges.txt"),
)

_Planned = tuple[list[Draft], list[Resources], list[str]]


def add_smokes(
    drafts: Sequence[Draft], resources: Sequence[Resources], classes: Sequence[str], allotment: Allotment
) -> _Planned:
    """The jobs with their resources and classes, and before the first of each class that the profile says
    so of, its smoke run, which its jobs then wait for."""
    if not allotment.may_smoke:
        return list(drafts), list(resources), list(classes)
    runs = _Runs(drafts, classes, allotment)
    planned: _Planned = ([], [], [])
    for draft, given, cls in zip(drafts, resources, classes, strict=True):
        if draft.kind in SMOKED and allotment.smokes(draft):
            run, is_new = runs.of(draft, given, cls)
            if run is not None:
                if is_new:
                    _append(planned, run, runs.resources[run.id], run.cls)
                draft.needs.append(Need(SMOKE, run.id, f"{SMOKE}/{run.digest}", ""))
        _append(planned, draft, given, cls)
    runs.count()
    return planned


def _append(planned: _Planned, draft: Draft, given: Resources, cls: str) -> None:
    drafts, resources, classes = planned
    drafts.append(draft)
    resources.append(given)
    classes.append(cls)


class _Runs:
    """The smoke runs of a plan under construction."""

    def __init__(self, drafts: Sequence[Draft], classes: Sequence[str], allotment: Allotment) -> None:
        self.resources: dict[str, Resources] = {}  # by id
        self._by_id = {draft.id: draft for draft in drafts}
        self._judged_by = _judged_by(drafts)
        self._allotment = allotment
        self._prefix = _free_prefix(drafts, classes)
        self._known: dict[tuple[Any, ...], Draft | None] = {}
        self._by_digest: dict[str, Draft] = {}
        self._stand_for: dict[str, dict[str, int]] = {}  # digest -> class -> its jobs
        self._names: dict[str, int] = {}  # class -> how many runs it has
        self._kept: list[Any] = []  # configs, so that no other comes by the id of one

    def of(self, draft: Draft, given: Resources, cls: str) -> tuple[Draft | None, bool]:
        """The smoke run for a job, and whether it is new; None where the model's shape cannot be told."""
        root = self._root(draft)
        read = tuple(need.artifact for need in draft.needs if _is_data(need.role))
        key = (cls, id(draft.config), read, root and root.id, id(self._judged_by.get(draft.id)))
        is_new = False
        if key not in self._known:
            self._kept.append(draft.config)
            run = None if root is None else self._make(draft, root, given)
            if run is not None:
                same = self._by_digest.setdefault(run.digest, run)
                is_new = same is run
                run = self._named(same, draft, given, cls)
            self._known[key] = run
        found = self._known[key]
        if found is not None:
            jobs = self._stand_for.setdefault(found.digest, {})
            jobs[cls] = jobs.get(cls, 0) + 1
        return found, is_new

    def count(self) -> None:
        """Say in every run for which jobs it stands."""
        for digest, run in self._by_digest.items():
            run.config = {**run.config, "stands_for": dict(self._stand_for[digest])}

    def _make(self, draft: Draft, root: Draft, given: Resources) -> Draft:
        needs = [need for need in draft.needs if _is_data(need.role) or need.role == "tokenizer"]
        if root.kind == "pretrain":
            shape = dict(root.config["model"])
            if draft.kind != "pretrain":
                needs.extend(need for need in root.needs if need.role == "tokenizer")
        else:
            shape = _published(root)
            needs.append(Need(PUBLISHED, root.id, f"{root.kind}/{root.digest}", "model"))
        own = one_share(draft.config, world_size(draft.kind, given))
        config = {
            "of": draft.kind,
            "shape": shape,
            "gpus": -(-int(given.get("gpus", 0)) // processes(draft.kind, given)),
            "rows": num_rows(draft.kind, own),
            "config": shrunk(draft.kind, own, shape),
        }
        if (judging := self._judged_by.get(draft.id)) is not None:
            config["judged"] = {name: judging[name] for name in _JUDGING if name in judging}
        digest = job_identity(SMOKE, config, self._hashed(needs, root))
        source, selector = list(draft.source), dict(draft.selector)
        return Draft("", SMOKE, "", config, needs, digest, False, selector, source)

    def _named(self, run: Draft, draft: Draft, given: Resources, cls: str) -> Draft:
        """The run with a name for this class; a further one of the same class has a number."""
        if cls in self._stand_for.get(run.digest, ()):
            return run
        num = self._names[cls] = self._names.get(cls, 0) + 1
        name = f"{self._prefix}/{cls}" + (f".{num}" if num > 1 else "")
        if not run.id:
            run.id, run.cls = name, f"{self._prefix}.{cls}"
            facts = {**draft.selector, "kind": SMOKE, "job_class": run.cls}
            self.resources[name] = self._allotment.of_smoke(facts, given, draft.kind)
        else:
            run.aliases.append(name)
            run.source.extend(line for line in draft.source if line not in run.source)
        return run

    def _hashed(self, needs: Sequence[Need], root: Draft) -> dict[str, Any]:
        """What a run reads, by what it is. Weights made elsewhere, and at which commit, do not count."""
        found: dict[str, Any] = {}
        tokens = []
        for need in needs:
            kind, _, identity = need.artifact.partition("/")
            if kind == "tokens" and root.kind == "fetch":  # identified by the tokenizer's commit, too
                read = self._by_id[need.job]
                inputs = {each.role: each.artifact for each in read.needs if each.role != "tokenizer"}
                identity = job_identity(kind, read.config, inputs)
            if kind == "tokens":
                tokens.append(identity)
            elif need.job != root.id:
                found[need.role] = identity
        return found | ({"tokens": sorted(tokens)} if tokens else {})

    def _root(self, draft: Draft) -> Draft | None:
        """The job that gave a job's model its shape: pre-training from scratch, or one that fetches."""
        seen: Draft | None = draft
        while seen is not None:
            if seen.kind == "fetch" or (seen.kind == "pretrain" and seen.config["model"]):
                return seen
            start = next((need.job for need in seen.needs if _is_model(need.role)), None)
            seen = self._by_id[start] if start is not None else None
        return None


def _is_data(role: str) -> bool:
    return role in ("rows", "fewshot") or role.startswith(("tokens:", "rows:"))


def _is_model(role: str) -> bool:
    return role in ("model", "parent:0") or role.startswith("model:")


def _free_prefix(drafts: Sequence[Draft], classes: Sequence[str]) -> str:
    """What ids and classes of smoke runs begin with: a person may have called a trunk or recipe `smoke`."""
    taken = {draft.id.partition("/")[0] for draft in drafts} | {cls.partition(".")[0] for cls in classes}
    prefix = SMOKE
    while prefix in taken:
        prefix += "-run"
    return prefix


def _published(fetch: Draft) -> dict[str, Any]:
    """What tells the shape of a model made elsewhere: its repository at any commit, or its own files."""
    if (hub := fetch.config.get("hub")) is not None:
        return {"hub": hub["repo"]}
    files = identity_fields("fetch", fetch.config)["files"]
    return {"files": [[name, digest] for name, digest in files if name in _SHAPES]}


def _judged_by(drafts: Sequence[Draft]) -> dict[str, Mapping[str, Any]]:
    """`sample` job -> the config of the first job that judges what it draws."""
    found: dict[str, Mapping[str, Any]] = {}
    for draft in drafts:
        if draft.kind in ("score", "rate"):
            for need in draft.needs:
                if need.role.startswith("samples:"):
                    found.setdefault(need.job, draft.config)
    return found


def shrunk(kind: str, config: Mapping[str, Any], shape: Mapping[str, Any]) -> dict[str, Any]:
    """A kind's config for one optimizer step, one rollout or one batch of samples, with the memory of the
    real one: a rollout is generated as a whole, so it stays whole."""
    if kind in ("grpo", "rloo"):
        return {**config, "rollouts": 1}
    if kind in PAIRED_KINDS:
        once = dict.fromkeys(
            {"max_steps", "rounds", "rl_steps", "sft_steps", "sync_every"} & config.keys(), 1
        )
        at_once = {name: config[name] for name in ("micro_batch_size",) if name in config}
        tuned = shrunk("sft", {**config["sft"], **at_once}, shape)
        sft = {**config["sft"], "batch_size": tuned["batch_size"]}
        derived = {**config.get("derived", {}), "sft": tuned["derived"]}
        return {**config, **once, "sft": sft, "derived": derived}
    if kind == "sample":
        limit = max(1, SEQUENCES // config["block_size"])
        return {**config, "limit": min(limit, config["limit"] or limit)}
    micro = config.get("micro_batch_size")
    batch = config["batch_size"] if micro is None else min(config["batch_size"], ACCUMULATED * micro)
    out = {**config, "batch_size": batch, "derived": sft_batch(batch, micro, 1)}
    if kind != "pretrain":
        return {**out, "max_steps": 1}
    out = {key: value for key, value in out.items() if key not in ("start_step", "start_row", "data_seed")}
    return {**out, "step": 1, "model": {} if set(shape) & {"hub", "files"} else dict(shape)}


def num_rows(kind: str, config: Mapping[str, Any]) -> int | dict[str, int] | None:
    """How many rows one step of a kind, or of each side, reads; None where the stage takes all of them."""
    if kind in PAIRED_KINDS:
        prompts, batch = config["rl"]["prompts_per_rollout"], shrunk(kind, config, {})["sft"]["batch_size"]
        return {"rl": int(prompts), "sft": int(batch)}
    if kind in ("grpo", "rloo"):
        return int(config["prompts_per_rollout"])
    return int(shrunk(kind, config, {})["batch_size"]) if kind in ("sft", "dpo", "kto") else None
