"""Pre-training as jobs: tokenizer, tokenised sources, and one segment for each kept step of a run."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from exc.compiler.build import Output
from exc.compiler.continuing import continuation
from exc.compiler.derived import placed, read_all, read_data
from exc.compiler.ladder import rung_model
from exc.compiler.origins import trunk_origin
from exc.compiler.points import Point, at_checkpoint, point_of, pretraining_seed, root
from exc.compiler.published import FETCH, published_config, tokenizer_config
from exc.compiler.reader import Reader
from exc.compiler.rows import file_configs
from exc.compiler.trainer import trainer_segment
from exc.compiler.trunks import checkpoint_steps
from exc.compiler.world import World
from exc.spec.published import HubModel
from exc.spec.trunks import Pretrain

EMPTY = ""  # the artifact's own folder
MODEL, STATE = "model", "state"  # sub-folders of a pre-training artifact
_BEGINS = ("start_step", "start_row")  # fields of a continuation that are 0 where nothing is continued


@dataclass(frozen=True)
class Run:
    """A run of pre-training: what its segments have in common."""

    key: tuple[Any, ...]  # of no other run
    spec: Pretrain
    origin: (
        str | None
    )  # the trunk from scratch that its shape and tokenizer are those of; None: made elsewhere
    start: Point | None  # the model that it starts from
    kept: tuple[int, ...]  # ascending
    seed: int
    name: str  # what the id of every segment begins with
    cls: str
    source: list[str]
    selector: Mapping[str, str]
    reader: Reader | None = None  # of a stage, which data sampled from a branch's model depends on

    def segment_id(self, step: int) -> str:
        if self.reader is None:
            return f"{self.name}/{step}"
        return self.name if step == self.spec.total_steps else f"{self.name}@{step}"


def checkpoint(world: World, trunk: str, step: int) -> Output:
    """The model at one checkpoint of a trunk; its segment resumes from the checkpoint before it."""
    spec = world.spec.trunks[trunk]
    if spec.published is not None:
        return world.once(("published", trunk, step), lambda: _published(world, trunk, step))
    if spec.command is not None:
        return trainer_segment(world, trunk, step)
    return segment(world, world.once(("run", trunk), lambda: _trunk_run(world, trunk)), step)


def _published(world: World, trunk: str, step: int) -> Output:
    model, is_one = rung_model(world, trunk, step), world.spec.trunks[trunk].names is None
    source = world.line("trunks", trunk, "hub" if isinstance(model, HubModel) else "folder")
    config, selector = published_config(world, model), {"trunk": trunk}
    name = f"{trunk}/{FETCH}" if is_one else f"{trunk}/{FETCH}/{step}"
    draft = world.jobs.add(FETCH, name, FETCH, config, {}, source=source, selector=selector)
    return world.jobs.final(draft)


def _trunk_run(world: World, trunk: str) -> Run:
    spec = world.spec.trunks[trunk]
    assert spec.pretrain is not None
    start = point_of(world, spec.from_, None) if spec.from_ is not None else None
    steps = tuple(checkpoint_steps(world, trunk))
    return Run(
        key=(trunk,),
        spec=spec.pretrain,
        origin=trunk_origin(world.spec, trunk),
        start=start,
        kept=steps,
        seed=pretraining_seed(world, at_checkpoint(trunk, steps[0])),
        name=f"{trunk}/pretrain",
        cls="pretrain",
        source=world.line("trunks", trunk, "pretrain"),
        selector={"trunk": trunk},
    )


def segment(world: World, run: Run, step: int) -> Output:
    """The model of a run at a step. A segment goes on from the state of the kept step before it."""
    key = ("segment", *run.key, step)
    if key not in world.memo:
        before = bisect_left(run.kept, step)
        resumes = segment(world, run, run.kept[before - 1]) if before else None
        world.memo[key] = _add(world, run, step, resumes)
        world.memo.setdefault(("asked", *run.key), set()).add(step)
    output: Output = world.memo[key]
    return output


def segments(world: World, key: tuple[Any, ...], kept: Iterable[int]) -> dict[int, Output]:
    """Step -> model, of a run that was asked for: what it keeps, and what else was read, in order."""
    run: Run = world.memo["run", *key]
    return {step: segment(world, run, step) for step in sorted({*world.memo["asked", *key], *kept})}


def _add(world: World, run: Run, step: int, resumes: Output | None) -> Output:
    # Branches are taken from checkpoints, and a run may start from a branch's model: a loop among modules.
    from exc.compiler.branches import output_of

    begins = world.once(("begins", *run.key), lambda: continuation(world, run.spec, run.start))
    mixture = _mixture(world, run)
    made, folder = _tokenizer(world, run)
    inputs = {"tokenizer": (made, folder)}
    inputs |= {f"tokens:{name}": (output, EMPTY) for name, output, _ in mixture}
    hashed: dict[str, Any] = {
        "tokenizer": made.identity,
        "mixture": [[output.identity, weight] for _, output, weight in mixture],
    }
    model = output_of(world, run.start) if run.start is not None else None
    if model is not None:
        inputs["model"], hashed["model"] = (model, MODEL), model.identity
    if begins.optimizer is not None:
        state = output_of(world, begins.optimizer)
        inputs["continues"], hashed["continues"] = (state, STATE), state.identity
    if resumes is not None:
        inputs["resumes"] = (resumes, STATE)
    config = {
        **world.once(("pretrain", *run.key), lambda: _config(run, begins.lr)),
        **{key: value for key in _BEGINS if (value := getattr(begins, key))},
        **({} if begins.data_seed in (None, run.seed) else {"data_seed": begins.data_seed}),
        "mixture": [{"name": name, "weight": weight} for name, _, weight in mixture],
        "step": step,
    }
    draft = world.jobs.add(
        "pretrain",
        run.segment_id(step),
        run.cls,
        config,
        inputs,
        source=run.source,
        trained=model is not None and model.job.trained,
        selector=run.selector,
        hashed=hashed,
    )
    return world.jobs.final(draft, step)


def _config(run: Run, lr: dict[str, Any]) -> dict[str, Any]:
    """What all segments of a run share, tokens turned into steps."""
    spec = run.spec
    return {
        "model": dict(spec.model or {}),
        "batch_size": spec.batch_size,
        "sequence_length": spec.sequence_length,
        "lr": lr,
        "optimizer": spec.optimizer.model_dump(mode="json"),
        "precision": spec.precision,
        "seed": run.seed,
    }


def _tokenizer(world: World, run: Run) -> tuple[Output, str]:
    """The tokenizer of a run, and the folder of it: a model that was made elsewhere has it in its own."""
    from exc.compiler.branches import output_of

    if run.origin is not None:
        return tokenizer(world, run.origin), EMPTY
    assert run.start is not None
    return output_of(world, root(world, run.start)), MODEL


def tokenizer(world: World, trunk: str) -> Output:
    """The tokenizer of a trunk from scratch."""
    key = ("tokenizer", trunk)
    if key not in world.memo:
        run = world.spec.trunks[trunk].pretrain
        assert run is not None
        spec = run.tokenizer
        assert spec is not None
        if spec.bpe is not None:
            sources, inputs = read_all(world, list(run.data))
            config: dict[str, Any] = {"algorithm": "bpe", **spec.bpe.model_dump(), "sources": sources}
        elif spec.hub is not None:
            config, inputs = (
                {"algorithm": "hub"},
                {"fetched": (_fetched(world, trunk, spec.hub), "tokenizer")},
            )
        else:
            assert spec.path is not None
            config, inputs = {"algorithm": "path", "files": file_configs(world, (spec.path,))}, {}
        source = world.line("trunks", trunk, "pretrain", "tokenizer")
        draft = world.jobs.add("tokenizer", f"{trunk}/tokenizer", "tokenizer", config, inputs, source=source)
        world.memo[key] = world.jobs.final(draft)
    output: Output = world.memo[key]
    return output


def _fetched(world: World, trunk: str, model: HubModel) -> Output:
    config = tokenizer_config(world, model)
    source = world.line("trunks", trunk, "pretrain", "tokenizer", "hub")
    draft = world.jobs.add(FETCH, f"{trunk}/tokenizer.fetch", "tokenizer.fetch", config, {}, source=source)
    return world.jobs.final(draft)


def _tokens(world: World, run: Run, name: str) -> Output:
    data, read = read_data(world, name, run.reader)
    config = {"source": data, "text": "text"}
    made, folder = _tokenizer(world, run)
    inputs = {"tokenizer": (made, folder), **read}
    source = world.line("data", name)
    path = f"{run.origin}/tokens/{name}" if run.origin is not None else f"{made.label}.tokens.{name}"
    job_id = placed(world, name, run.reader, path)
    draft = world.jobs.add("tokens", job_id, "tokens", config, inputs, source=source)
    return world.jobs.final(draft)


def _mixture(world: World, run: Run) -> list[tuple[str, Output, float]]:
    """Sources with weights, in an order that does not depend on their names."""

    def make() -> list[tuple[str, Output, float]]:
        parts = [(name, _tokens(world, run, name), weight) for name, weight in run.spec.data.items()]
        return sorted(parts, key=lambda part: (part[1].identity, part[2]))

    return world.once(("mixture", *run.key), make)
