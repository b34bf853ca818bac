"""What the local backend adds to each job, from the records that attempts leave."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.measure import Command, Spread, run, spread
from benchmarks.table import Figure, Part, figure
from benchmarks.workbench import EXC, Study, make_study
from exc.compiler.plan import Job, read_plan
from exc.runtime.attempts import last_attempt
from exc.runtime.events import Event, read_events
from exc.runtime.store import Store

NUM_TRIVIAL = 24
TARGET = 0.3  # seconds per job
KINDS = ("rows", "sample", "sft", "grpo")


@dataclass(frozen=True, slots=True)
class Work:
    """When a job did its own work: seconds since the epoch."""

    job: Job
    start: float  # imports of the runner are behind it, those of the stage are not
    first: float  # first progress or, without any, the first artifact
    done: float


def measure(scratch: Path, study: Study, say: Callable[[str], None] = print) -> Part:
    """Measure trivial jobs with and without the fork server, then what start-up costs per kind.

    `study` is run to its end on the way.
    """
    figures = [figure("`bash -c true`, for comparison", _bash(), "s")]
    for name, fork in (("forked", True), ("own process from its script", False)):
        figures += _trivial(scratch / f"trivial-{'fork' if fork else 'script'}", name, fork=fork)
        say(f"  trivial jobs, {name}: {figures[-2].value} between two jobs")
    figures += _kinds(make_study(scratch / "cold"), "own process", fork=False)
    figures += _kinds(study, "forked", fork=True)
    return Part(
        "What a job costs beyond its own work",
        "*Between two jobs*: from one job's last event to the next one's first under `exc submit --slots 1`: "
        "the end of a process, the choice of the next job, the start of its process. *Added per job*: ("
        "seconds "
        "from the first job's start to the last one's end - sum of the jobs' own seconds) / jobs. The "
        "trivial "
        f"plan has {NUM_TRIVIAL} `tokens` jobs on one line of text each, and the tokenizer that they read. "
        "*Imports and loading*: from a job's first event to its first progress, on the small study of "
        "`benchmarks/study`; a fork server has imported before. `exc submit` forks wherever a plan has two "
        "jobs or more that import torch; a job's own process is what a script started by hand costs.",
        figures,
    )


def _bash() -> Spread:
    return spread([run(Command(["bash", "-c", "true"])).wall for _ in range(15)])


SPEC = """\
version: 1
experiment: trivial
data:
{data}
trunks:
  small:
    pretrain:
      model:
        architecture: llama
        hidden_size: 8
        num_hidden_layers: 1
        num_attention_heads: 1
        intermediate_size: 8
      tokenizer: {{bpe: {{vocab_size: 260}}}}
      data: {{{weights}}}
      batch_size: 1
      sequence_length: 8
      tokens: 8
      schedule: {{shape: constant, peak: 1e-3}}
    checkpoints: [1]
"""


def write_trivial(folder: Path, count: int = NUM_TRIVIAL) -> None:
    """Write a spec: `count` jobs that tokenise one line each, their tokenizer and one training step."""
    folder.mkdir(parents=True)
    names = [f"d{n}" for n in range(count)]
    for name in names:
        (folder / f"{name}.txt").write_text(
            f"the text of {name}, long enough to fill a window\n", encoding="utf-8"
        )
    data = "\n".join(f"  {name}: {{text: [{name}.txt]}}" for name in names)
    weights = ", ".join(f"{name}: 1" for name in names)
    (folder / "experiment.yaml").write_text(SPEC.format(data=data, weights=weights), encoding="utf-8")


def _trivial(folder: Path, name: str, *, fork: bool) -> list[Figure]:
    write_trivial(folder)
    run(Command([EXC, "compile"], folder))
    run(Command([EXC, "submit", "--slots", "1"], folder, {} if fork else {"EXC_FORK": "0"}))
    works = [w for w in works_of(folder) if w.job.kind == "tokens"]
    own = sum(work.done - work.start for work in works)
    added = (works[-1].done - works[0].start - own) / (len(works) - 1)
    return [
        figure(f"trivial job, {name}: between two jobs", spread(gaps(works)), "s", TARGET),
        figure(f"trivial job, {name}: added per job", spread([added]), "s", TARGET),
        figure(f"trivial job, {name}: its own seconds", spread([w.done - w.start for w in works]), "s"),
    ]


def gaps(works: Sequence[Work]) -> list[float]:
    """Seconds between the end of each job and the start of the next."""
    return [after.start - before.done for before, after in itertools.pairwise(works)]


def works_of(root: Path) -> list[Work]:
    """What the last attempts of a plan's jobs recorded, in order of their starts."""
    store = Store(root / "store")
    works = []
    for job in read_plan(root / "plan").jobs:
        attempt = last_attempt(store, job.identity)
        events = read_events(attempt.events) if attempt else []
        if events:
            works.append(_work(job, events))
    return sorted(works, key=lambda work: work.start)


def _work(job: Job, events: Sequence[Event]) -> Work:
    times = {
        name: next((e["time"] for e in events if e["event"] == name), None)
        for name in ("start", "published", "done")
    }
    first = next((e["time"] for e in events if e["event"] in ("progress", "published")), None)
    start, done = times["start"], times["done"]
    if start is None or done is None or first is None:
        raise ValueError(f"{job.id} did not end well: {events[-1]}")
    return Work(job, start, first, done)


def _kinds(study: Study, name: str, *, fork: bool) -> list[Figure]:
    study.submit(1, fork=fork)
    works = works_of(study.root)
    waits = dict(zip([w.job.id for w in works[1:]], gaps(works), strict=True))
    figures = []
    for kind in KINDS:
        mine = [work for work in works if work.job.kind == kind]
        before = [waits[work.job.id] for work in mine if work.job.id in waits]
        if before:
            figures.append(figure(f"{kind}, {name}: between two jobs", spread(before), "s", TARGET))
        figures.append(
            figure(f"{kind}, {name}: imports and loading", spread([w.first - w.start for w in mine]), "s")
        )
    return figures
