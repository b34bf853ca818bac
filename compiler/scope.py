"""What the compiler's checks share: schedules as steps, and which recipes are applied where."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from exc.compiler.data_readers import Place, sampled_references
from exc.compiler.facts import Facts
from exc.compiler.ladder import ladder_of
from exc.compiler.origins import shape_parameters, trunk_origin
from exc.compiler.parameters import UnknownSize
from exc.compiler.schedules import Resolution, ScheduleError, resolve
from exc.compiler.selection import is_planned, num_replicates
from exc.compiler.world import World
from exc.spec.architectures import check_model
from exc.spec.diagnostics import Diagnostics
from exc.spec.experiment import Experiment, Path, Spec
from exc.spec.paired import Interleave
from exc.spec.places import owner_span, value_span
from exc.spec.recipes import Merge, PretrainStage, Rollouts, Stage, Trained
from exc.spec.references import ModelRef
from exc.spec.schedule import Schedule
from exc.spec.trunks import Pretrain, Trunk

__all__ = ["Place", "Scope"]


@dataclass
class Scope:
    """`steps`: trunk -> its checkpoints, where its schedule is right. `kept`: stage -> the steps it keeps."""

    draft: Experiment
    diagnostics: Diagnostics
    steps: dict[str, list[int]] = field(default_factory=dict)
    kept: dict[Place, list[int]] = field(default_factory=dict)
    planned: dict[tuple[str, int, str], int] = field(default_factory=dict)  # trunk, at, recipe -> replicates
    facts: Facts = field(default_factory=Facts)

    @classmethod
    def of(cls, draft: Experiment, diagnostics: Diagnostics, facts: Facts) -> Scope:
        """Resolve every schedule, reporting what is wrong with it."""
        scope = cls(draft, diagnostics, facts=facts)
        for name, trunk in draft.spec.trunks.items():
            path = ("trunks", name, "checkpoints")
            if trunk.total_steps > 0 or trunk.names is not None:
                steps = scope._checkpoints(name, trunk, path)
                if steps is not None:
                    scope.steps[name] = steps
        for place, stage in scope.stages():
            body = stage.body
            if isinstance(body, Trained):
                scope._keep(place, stage.kind, body)
        world = scope.world()
        for owner, steps in scope.steps.items():
            for at in steps:
                for recipe in draft.spec.recipes:
                    if is_planned(world, owner, at, recipe):
                        scope.planned[owner, at, recipe] = num_replicates(world, owner, at, recipe)
        return scope

    @property
    def spec(self) -> Spec:
        return self.draft.spec

    def world(self) -> World:
        """The draft as the expansion sees it, with the trunks alone whose checkpoints are known."""
        trunks = {name: trunk for name, trunk in self.spec.trunks.items() if name in self.steps}
        spec = self.spec.model_copy(update={"trunks": trunks})
        world = World(Experiment(spec, self.draft.tree, self.draft.file), self.facts)
        world.memo.update({("steps", name): steps for name, steps in self.steps.items()})
        return world

    def stages(self) -> Iterator[tuple[Place, Stage]]:
        for recipe, stages in self.spec.recipes.items():
            for index, stage in enumerate(stages):
                yield (recipe, index), stage

    def references(self) -> Iterator[tuple[Path, Place | None, ModelRef]]:
        """Every model reference, with the stage that reads it; None: a contrast.

        That of sampled data comes once for each stage that reads the data, or with NO_STAGE.
        """
        for place, stage in self.stages():
            path: Path = ("recipes", *place)
            if stage.from_ is not None:
                yield (*path, "from"), place, stage.from_
            if isinstance(stage.body, Merge):
                for where, ref in stage.body.parents:
                    yield (*path, "merge", *where), place, ref
        yield from sampled_references(self.spec)
        for index, contrast in enumerate(self.spec.report.contrasts):
            yield ("report", "contrasts", index, "a"), None, contrast.a
            yield ("report", "contrasts", index, "b"), None, contrast.b

    def trunk_starts(self) -> Iterator[tuple[Path, ModelRef]]:
        """The models that trunks start from, where the reference says which."""
        for name, trunk in self.spec.trunks.items():
            start = trunk.from_
            if start is not None and start.trunk is not None and start.at is not None:
                yield ("trunks", name, "from"), start

    def target(self, ref: ModelRef) -> Place | None:
        """The stage that a reference names; None for checkpoints, and for what is not there."""
        stages = self.spec.recipes.get(ref.recipe or "", ())
        names = [stage.name for stage in stages]
        if not names or (ref.stage is not None and ref.stage not in names):
            return None
        return ref.recipe or "", names.index(ref.stage) if ref.stage is not None else len(names) - 1

    def stage(self, place: Place) -> Stage:
        return self.spec.recipes[place[0]][place[1]]

    def error(
        self,
        code: str,
        message: str,
        path: Path,
        expected: str | None = None,
        hint: str | None = None,
        key: bool = False,
    ) -> None:
        """Record an error at the value at `path`, or its key."""
        span = self.draft.span(*path, key=True) if key else value_span(self.draft.tree, path)
        self.diagnostics.error(code, message, span, expected=expected, hint=hint)

    def warning(self, code: str, message: str, path: Path, hint: str | None = None) -> None:
        """Record a warning at the key at `path`."""
        self.diagnostics.warning(code, message, owner_span(self.draft.tree, path), hint=hint)

    def _checkpoints(self, name: str, trunk: Trunk, path: Path) -> list[int] | None:
        schedule, parameters = trunk.checkpoints, None
        if trunk.names is not None:
            ladder = ladder_of(World(self.draft, self.facts), name)
            return (
                None if schedule is None or ladder is None else self._resolve(ladder.resolve, schedule, path)
            )
        if trunk.published is not None:  # a single model, which has no schedule, or is reported to have one
            return [trunk.total_steps] if schedule is None else None
        if schedule is None:
            return None
        if schedule.chinchilla is not None:
            origin = trunk_origin(self.spec, name)
            shape = self.spec.trunks[origin].pretrain if origin is not None else None
            if shape is None or self._is_reported(shape):
                return None
            try:
                parameters = shape_parameters(World(self.draft, self.facts), origin)
            except UnknownSize as error:
                where = (*path, "chinchilla")
                hint = "`tokens` and `fraction` say the same without it"
                self.error("unknown-size", str(error), where, hint=hint, key=True)
                return None
        total, per_step = trunk.total_steps, trunk.tokens_per_step
        return self._resolve(lambda asked: resolve(asked, total, per_step, parameters), schedule, path)

    def _is_reported(self, shape: Pretrain) -> bool:
        """Whether the model or the tokenizer of a trunk is at fault, so that nothing can be counted."""
        folder = shape.tokenizer.path if shape.tokenizer is not None else None
        is_missing = folder is not None and folder not in self.facts.vocabularies
        return is_missing or shape.model is None or bool(check_model(shape.model, None))

    def _resolve(
        self, meant: Callable[[Schedule], Resolution], schedule: Schedule, path: Path
    ) -> list[int] | None:
        try:
            steps = [step for _, step in meant(schedule).steps]
        except ScheduleError as error:
            for problem in error.problems:
                where = (*path, *problem.path)
                self.error(problem.code, problem.message, where, hint=problem.hint, key=not problem.path)
            return None
        if not steps and path[0] == "trunks":
            self.error("bad-value", "a trunk has at least one checkpoint", path, key=True)
            return None
        return steps

    def _keep(self, place: Place, kind: str, body: Trained) -> None:
        path: Path = ("recipes", *place, kind, "keep")
        steps: list[int] | None = []
        per_step = body.tokens_per_step if isinstance(body, PretrainStage) else None
        for name in ("tokens", "chinchilla"):
            if body.keep is None or getattr(body.keep, name) is None or (name == "tokens" and per_step):
                continue
            unit = "rollouts" if isinstance(body, Rollouts) else "optimizer steps"
            unit = "rounds" if isinstance(body, Interleave) else unit
            what = name if name == "tokens" else "tokens per parameter"
            article = "an" if kind[0] in "aeiou" else "a"
            message = f"`keep` of {article} {kind} stage counts {unit}, not {what}"
            self.error("bad-value", message, (*path, name), key=True)
            return
        if body.keep is not None:
            horizon = body.horizon
            steps = self._resolve(lambda asked: resolve(asked, horizon, per_step or 1), body.keep, path)
        if steps is not None:
            self.kept[place] = sorted({*steps, body.horizon})
