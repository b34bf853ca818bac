"""The model card of an exported model: front matter that the hub reads, then how it was made, in words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import jinja2

from exc.compiler.plan import Job, Plan
from exc.runtime.adoption import Adoption
from exc.runtime.card_words import chosen_step, sentence, settings
from exc.runtime.lineage import Node
from exc.runtime.store import Store
from exc.spec.paired import PAIRED_KINDS

MODEL_KINDS = (
    "fetch",
    "pretrain",
    "trainer",
    "sft",
    "dpo",
    "kto",
    "grpo",
    "rloo",
    *PAIRED_KINDS,
    "merge",
    "select",
    "command",
)
_MARK = " \u2020"
_VERSIONS = (
    "exc",
    "python",
    "torch",
    "transformers",
    "trl",
    "accelerate",
    "tokenizers",
    "mergekit",
    "device",
)


def model_card(plan: Plan, store: Store, nodes: Sequence[Node], license_id: str = "") -> str:
    """The README.md of the last node's model: the same text for the same plan and store."""
    node = nodes[-1]
    jobs = {ref: job for job in plan.jobs for ref in job.artifacts()}
    makers = [n for n in nodes if is_model(n) and not _left_behind(n, nodes)]
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent / "templates"),
        trim_blocks=True,
        undefined=jinja2.StrictUndefined,
        keep_trailing_newline=True,
    )
    results, level = result_rows(plan, store, node.ref)
    adoptions = {a.artifact: a for n in nodes for a in n.adoptions}
    measured = {a.artifact: a for row in results for a in row["adoptions"]}
    return environment.get_template("MODEL_CARD.md.j2").render(
        front=_front(nodes, jobs, license_id),
        title=f"{plan.experiment}: {node.name}",
        adoptions=list(adoptions.values()),
        what=_what(plan, node),
        stages=[
            {
                "name": n.name,
                "sentence": sentence(n, chosen_step(n) or n.record.get("step")),
                "settings": settings(n.fields),
            }
            for n in makers
        ],
        data=list(_data(nodes, jobs)),
        mixture=_mixture(makers, jobs),
        compute=[_compute(n, jobs.get(n.ref)) for n in nodes if is_model(n)],
        results=results,
        level=level,
        notes=[f"\u2020 {a.text()}." for a in measured.values()],
        lineage=[_line(n, nodes) for n in reversed(nodes)],
        versions=_versions(nodes),
    )


def is_model(node: Node) -> bool:
    """Whether an artifact holds a model: of what is fetched, some is data."""
    files = node.record.get("files")
    whole = files is None or any(name.startswith("model/") for name in files)
    return node.kind in MODEL_KINDS and whole


def _left_behind(node: Node, nodes: Sequence[Node]) -> bool:
    """Whether nothing of the model was made from it but what others say: a segment that was only gone on
    from, whose steps are among those of the segment that did; a kept step that was not the one chosen."""
    reads = [(other, role) for other in nodes for role, ref in other.inputs.items() if ref == node.ref]
    chosen = {(other.ref, f"model:{chosen_step(other)}") for other, _ in reads if other.kind == "select"}
    candidate = any(other.kind == "select" for other, _ in reads)
    if candidate:
        reads = [(other, role) for other, role in reads if other.kind != "sample"]  # that it was chosen by
        return all(other.kind == "select" and (other.ref, role) not in chosen for other, role in reads)
    return {role for _, role in reads} == {"resumes"}


def _what(plan: Plan, node: Node) -> str:
    cells = [cell for cell in plan.report.get("cells", ()) if cell["model"]["artifact"] == node.ref]
    places = dict.fromkeys(
        f"`{cell['recipe']}` on checkpoint {cell['at']} of trunk `{cell['trunk']}` "
        f"({cell['tokens']:,} tokens)"
        + (f", replicate {cell['replicate']}" if cell.get("replicate") else "")
        + ("" if cell.get("final", True) else f", snapshot {cell['step']}")
        for cell in cells
    )
    where = "; also ".join(places) or f"job `{node.name}`"
    made = "published by others and measured" if node.kind == "fetch" else "made"
    return (
        f"A language model of the experiment `{plan.experiment}`: {where}. It was {made} by `exc`, which "
        f"compiles an experiment from one spec; every number here leads back to its artifact `{node.ref}`."
    )


def _front(nodes: Sequence[Node], jobs: Mapping[str, Job], license_id: str) -> str:
    kinds = {node.kind for node in nodes if is_model(node)}
    tags = ["exc", *(kind for kind in MODEL_KINDS if kind in kinds)]
    tags += ["trl"] if kinds & {"sft", "dpo", "kto", "grpo", "rloo", *PAIRED_KINDS} else []
    hub = list(_hub_names([jobs[node.ref].config for node in nodes if node.ref in jobs]))
    front: dict[str, Any] = {"library_name": "transformers", "pipeline_tag": "text-generation", "tags": tags}
    if license_id:
        front["license"] = license_id
    if models := sorted({name for where, name in hub if where == "model"}):
        front["base_model"] = models[0] if len(models) == 1 else models
    if datasets := sorted({name for where, name in hub if where == "data"}):
        front["datasets"] = datasets
    return "".join(_yaml(name, value) for name, value in front.items())


def _yaml(name: str, value: Any) -> str:
    if isinstance(value, list):
        return f"{name}:\n" + "".join(f"- {item}\n" for item in value)
    return f"{name}: {value}\n"


def _hub_names(configs: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, str]]:
    """Hub repositories that configs name: of data where a source does, else of models."""
    pending: list[tuple[str, Any]] = [("model", config) for config in configs]
    while pending:
        where, value = pending.pop()
        if isinstance(value, Mapping):
            hub = value.get("hub")
            if isinstance(hub, Mapping) and "repo" in hub:
                yield "data" if "part" in hub else where, str(hub["repo"])
            elif isinstance(hub, str):
                yield where, hub
            for key, inner in value.items():
                pending.append(("data" if key in ("source", "sources") else where, inner))
        elif isinstance(value, list | tuple):
            pending += [(where, inner) for inner in value]


def _data(nodes: Sequence[Node], jobs: Mapping[str, Job]) -> Iterator[dict[str, str]]:
    """The sources that jobs of the lineage read, each with what it was used for."""
    rows: dict[tuple[str, ...], list[str]] = {}
    for node in nodes:
        job = jobs.get(node.ref)
        if job is None or node.kind not in _READERS:
            continue
        for source in _read(job.config):
            if source["kind"] != "job":  # what that job read has a line of its own
                rows.setdefault(_source(source), []).extend(_uses(node, nodes))
    for (name, files, digest), found in rows.items():
        yield {"name": name, "use": ", ".join(dict.fromkeys(found)), "files": files, "digest": digest}


def _read(config: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    """The sources that a job's config names; a part of a data set on the hub is one."""
    hub = config.get("hub") or {}
    if "part" in hub:
        files = [{**file, "path": file["name"]} for file in hub["files"]]
        return [{"name": hub["repo"], "kind": f"hub, {hub['part']}, commit {hub['commit']}", "files": files}]
    sources: Sequence[Mapping[str, Any]] = config.get("sources", ())
    return [config["source"]] if "source" in config else sources


_READERS = ("tokenizer", "tokens", "rows", "derive", "fetch")  # kinds that read what no job made
_PROMPTS, _SAMPLES = "prompts and demonstrations", "drawing samples"
_USES = {
    **dict.fromkeys(("sft", "dpo", "kto", "grpo", "rloo", *PAIRED_KINDS), _PROMPTS),
    **dict.fromkeys(("sample", "rate"), _SAMPLES),
    "tokenizer": "the tokenizer",
    "tokens": "pre-training",
    "score": "the choice of a step",
    **dict.fromkeys(("bits_per_byte", "lm_eval"), "the choice of a step"),
    "contamination": "the search for problems of an evaluation",
}


def _uses(node: Node, nodes: Sequence[Node]) -> list[str]:
    """What came of what a job read: told by the job itself, else by those that read from it."""
    if node.kind in _USES:
        return [_USES[node.kind]]
    return [use for other in nodes if node.ref in other.inputs.values() for use in _uses(other, nodes)]


def _source(source: Mapping[str, Any]) -> tuple[str, str, str]:
    files = source.get("files") or ()
    names = ", ".join(f"`{file['path']}` ({file['bytes']:,} bytes)" for file in files)
    digests = [f"`{file['sha256']}`" for file in files]
    if source.get("target"):
        names = ", ".join(
            filter(None, [f"generated by `{source['target']}` with {source.get('args') or {}}", names])
        )
        digests.insert(0, f"code `{source.get('code', '')}`")
    if isinstance(source.get("hub"), str):
        names = ", ".join(filter(None, [f"hub `{source['hub']}`", names]))
    return f"{source.get('name', '')} ({source.get('kind', '')})", names, "<br>".join(digests)


def _mixture(makers: Sequence[Node], jobs: Mapping[str, Job]) -> str:
    """Shares of the sources, told for each run of pre-training where they are not the same in all."""
    found = {}
    for n in makers:
        mixture = (jobs[n.ref].config.get("mixture") or ()) if n.kind == "pretrain" and n.ref in jobs else ()
        total = sum(part["weight"] for part in mixture)
        if mixture:
            found[n.name] = ", ".join(f"{part['name']} {part['weight'] / total:.1%}" for part in mixture)
    if len(set(found.values())) == 1:
        return next(iter(found.values()))
    return "; ".join(f"`{name}` {shares}" for name, shares in found.items())


def _compute(node: Node, job: Job | None) -> dict[str, str]:
    counts = node.record.get("counts") or {}
    seconds = float(node.record.get("seconds") or 0.0)
    resources = job.resources if job else {}
    gpus = int(resources.get("gpus") or 0) or int(resources.get("nodes") or 1) * int(
        resources.get("gpus_per_node") or 0
    )
    return {
        "name": node.name,
        "tokens": f"{int(counts.get('tokens') or 0):,}",
        "samples": f"{int(counts.get('samples') or 0):,}",
        "flops": f"{float(counts.get('flops') or 0):.3g}",
        "hours": f"{seconds / 3600:.3g}",
        "gpu_hours": f"{gpus * seconds / 3600:.3g}",
    }


def result_rows(plan: Plan, store: Store, ref: str) -> tuple[list[dict[str, Any]], str]:
    """What was measured of a model, with the intervals of this one model; and their level."""
    from exc.runtime.report.cells import gather
    from exc.runtime.report.contrasts import points_of
    from exc.runtime.report.statistics import LEVEL, Bootstrap

    level = float(plan.report.get("confidence", LEVEL))
    cells = [c for c in gather(plan, store) if c.model_artifact == ref and c.missing is None]
    rows = []
    for cell in {c.artifact: c for c in reversed(cells)}.values():
        kind, _, identity = cell.artifact.partition("/")
        (point,) = points_of([cell], plan.report["evaluations"], Bootstrap(plan.seed, level=level))
        adoptions = Node(cell.artifact, store.read(kind, identity).record, there=True).adoptions
        shown: dict[str, tuple[Any, ...]] = {
            name: (e.value, e.low, e.high, e.num_units) for name, e in point.estimates.items()
        }
        for name, value in sorted(cell.metrics.items()):
            shown.setdefault(name, (value, None, None, None))
        for name, numbers in shown.items():
            rows.append(_result(cell.evaluation, name, numbers, adoptions))
    return sorted(rows, key=lambda row: row["order"]), f"{100 * level:.4g}%"


def _result(
    evaluation: str, metric: str, numbers: tuple[Any, ...], adoptions: Sequence[Adoption]
) -> dict[str, Any]:
    value, low, high, units = numbers
    return {
        "order": (evaluation, low is None, metric),
        "evaluation": evaluation,
        "metric": metric,
        "value": f"{value:.4g}",
        "interval": "" if low is None or high is None else f"{low:.4g} to {high:.4g}",
        "units": "" if units is None else f"{units:,}",
        "mark": _MARK if adoptions else "",
        "adoptions": adoptions,
    }


def _line(node: Node, nodes: Sequence[Node]) -> dict[str, str]:
    by_ref = {n.ref: n for n in nodes}
    reads = ", ".join(f"{role} `{by_ref[ref].name}`" for role, ref in node.inputs.items())
    mark = f"{_MARK} adopted" if node.adopted else ""
    return {
        "name": node.name,
        "kind": node.kind,
        "short": node.ref.partition("/")[2][:12],
        "reads": f", from {reads}" if reads else "",
        "mark": mark + ("" if node.there else " (its files are no longer in the store)"),
    }


def _versions(nodes: Sequence[Node]) -> str:
    """Versions by name, every one that made a part."""
    found: dict[str, list[str]] = {}
    for node in nodes:
        for name, value in (node.record.get("environment") or {}).items():
            if name in _VERSIONS and str(value) not in found.setdefault(name, []):
                found[name].append(str(value))
    commits = sorted({str(n.record["git_commit"]) for n in nodes if n.record.get("git_commit")})
    parts = [f"{name} {' and '.join(sorted(found[name]))}" for name in _VERSIONS if name in found]
    return ", ".join(parts + [f"experiment at commit {commit}" for commit in commits]) or "Not recorded."
