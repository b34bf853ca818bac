"""The plan folder: every file of it as bytes, the same for the same plan wherever it is made."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from exc.compiler.classes import JobClass, class_configs, job_classes
from exc.compiler.graph_svg import graph_svg
from exc.compiler.plan import PLAN_FILE, Plan, dump, to_json
from exc.compiler.script_parts import FIRST_PORT, PORTS, accelerate_config, sbatch_lines, start_of
from exc.compiler.summary import summary

if TYPE_CHECKING:
    import jinja2


@cache
def _environment() -> jinja2.Environment:
    import jinja2  # here: `exc check` renders nothing

    folder = files("exc.compiler") / "templates"
    loader = jinja2.FunctionLoader(lambda name: (folder / name).read_text(encoding="utf-8"))
    made = jinja2.Environment(loader=loader, undefined=jinja2.StrictUndefined, keep_trailing_newline=True)
    made.filters["quoted"] = shlex.quote  # a word of a shell line
    return made


def render(template: str, **values: Any) -> str:
    """A template of this package, filled in; a value that is missing is an error."""
    return _environment().get_template(template).render(**values)


def script(plan: Plan, cls: JobClass) -> str:
    """The script of a class."""
    return render(
        "job.sh.j2",
        cls=cls,
        experiment=plan.experiment,
        setup=plan.profile["setup"],
        sbatch=sbatch_lines(cls, plan.experiment, plan.profile),
        start=start_of(cls, plan.profile),
        root=plan.root,
        store=_store(plan),
        first_port=FIRST_PORT,
        ports=PORTS,
    )


def _store(plan: Plan) -> str:
    """The store's place as a word of a shell line in double quotes."""
    said = str(plan.profile.get("store") or "store")
    if said.startswith("~"):
        return said.replace("~", "$HOME", 1)
    return said if said.startswith("/") else f"$PWD/{said}"


def plan_folder(plan: Plan) -> dict[str, bytes]:
    """Relative path -> content, for every file of the plan folder."""
    classes = job_classes(plan)
    data = to_json(plan)
    out = {
        PLAN_FILE: dump(data),
        "PLAN.md": render("PLAN.md.j2", classes=classes, **summary(plan)).encode(),
        "graph.svg": graph_svg(plan, classes).encode(),
    }
    for name, text in class_configs(data).items():
        out[f"jobs/{name}.yaml"] = text.encode()
    return out | _scripts(plan, classes)


def plan_scripts(plan: Plan) -> dict[str, bytes]:
    """Relative path -> content, for the scripts of the plan folder."""
    return _scripts(plan, job_classes(plan))


def _scripts(plan: Plan, classes: Sequence[JobClass]) -> dict[str, bytes]:
    out = {f"jobs/{cls.name}.sh": script(plan, cls).encode() for cls in classes}
    for cls in classes:
        start = start_of(cls, plan.profile)
        if start.world > 1:
            settings = cls.jobs[0].resources.get("launch", {}).get("settings", {})
            out[f"jobs/{cls.name}.accelerate.yaml"] = accelerate_config(start, settings)
    return out
