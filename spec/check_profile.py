"""Checks of a profile beyond its types: what belongs to which backend, and what must not stand in it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from exc.spec.diagnostics import Diagnostics
from exc.spec.nodes import Node, Path, Scalar, span_at
from exc.spec.places import span_node, value_span
from exc.spec.profiles import OWN_NODES, TOGETHER, Profile, Resources
from exc.spec.secrets_in import secrets_in
from exc.spec.slurm_profile import SlurmPlace
from exc.spec.words import plural

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
_OPTION = re.compile(r"[a-z][a-z0-9-]*\Z")
_SLURM_ONLY = ("slurm", "container")
_LOCAL_ONLY = ("slots", "gpus")
_SLURM_ONLY_RESOURCES = ("nodes", "mem", "pack", "slurm")
_SPREAD = ("nodes", "processes", "launch")
_PLACES = tuple(name for name in SlurmPlace.model_fields if name not in ("extra", "gpu_type"))
# Options of sbatch that have a key of their own, or that exc sets: what to write instead.
_OWNED = {
    **{name: f"`{name}` beside `extra`" for name in _PLACES},
    **dict.fromkeys(("gres", "gpus", "gpus-per-node", "gpus-per-task"), "`gpus` and `gpu_type` of the entry"),
    **dict.fromkeys(("nodes", "cpus-per-task", "mem", "time"), "`nodes`, `cpus`, `mem`, `time` of the entry"),
    **dict.fromkeys(("mem-per-cpu", "mem-per-gpu"), "`mem`, for each node"),
    **dict.fromkeys(("ntasks", "ntasks-per-node"), "`processes`"),
    **dict.fromkeys(("requeue", "no-requeue"), "`requeue` in the profile's `slurm`"),
    "signal": "`grace` in the profile's `slurm`",
    **dict.fromkeys(("export", "export-file"), "`env` of the profile"),
    **dict.fromkeys(
        ("job-name", "array", "dependency", "output", "error", "open-mode", "kill-on-invalid-dep", "hold",
         "chdir", "parsable", "wrap", "wait", "test-only"),
        "nothing: exc sets it",
    ),
}  # fmt: skip


def check_profile(
    profile: Profile, name: str, root: Node, diagnostics: Diagnostics, sources: dict[str, str]
) -> None:
    """Report what is wrong in the profile `name` of the file `root`.

    A secret is taken out of `sources`, so that no report shows it.
    """
    check = _Check(profile, name, root, diagnostics, sources)
    check.backend()
    check.secrets()
    for index, entry in enumerate(profile.resources):
        check.entry(entry, ("resources", index))
        check.place(entry.slurm, ("resources", index, "slurm"))
    check.place(profile.slurm, ("slurm",))
    check.container()


@dataclass(frozen=True)
class _Check:
    profile: Profile
    name: str
    root: Node
    diagnostics: Diagnostics
    sources: dict[str, str]

    def error(
        self, code: str, message: str, path: Path, *, expected: str | None = None, hint: str | None = None
    ) -> None:
        span = value_span(self.root, (self.name, *path))
        self.diagnostics.error(code, message, span, expected=expected, hint=hint)

    def given(self, *path: str | int) -> bool:
        return span_node(self.root, (self.name, *path)) is not None

    def backend(self) -> None:
        """Settings of the other backend, which nothing would read."""
        is_local = self.profile.backend == "local"
        for key in _SLURM_ONLY if is_local else _LOCAL_ONLY:
            if self.given(key):
                self._elsewhere((key,), is_local)
        for index in range(len(self.profile.resources)):
            for key in _SLURM_ONLY_RESOURCES if is_local else ():
                if self.given("resources", index, key):
                    self._elsewhere(("resources", index, key), is_local)

    def _elsewhere(self, path: Path, is_local: bool) -> None:
        backend, other = ("local", "slurm") if is_local else ("slurm", "local")
        hint = (
            f"for a cluster, give profile `{self.name}` a line `backend: slurm`; else leave it out"
            if is_local
            else "what a job gets on a cluster stands in `resources`"
        )
        span = span_at(self.root, (self.name, *path), key=True)
        message = f"`{path[-1]}` is for the `{other}` backend only, and this profile's backend is `{backend}`"
        self.diagnostics.error("wrong-backend", message, span, hint=hint)

    def secrets(self) -> None:
        """Values where only names belong; and lines of shell that hold one."""
        for index, text in enumerate(self.profile.env):
            if _VARIABLE.match(text):
                continue
            name, is_assigned, value = text.partition("=")
            if is_assigned and value:
                self._secret(("env", index), name, value)
            else:
                self.error(
                    "bad-value", f"`{text}` is no name of a variable", ("env", index), expected="a name"
                )
        for path, text in self._shell():
            for name, value in secrets_in(text):
                self._secret(path, name, value)

    def _shell(self) -> Iterator[tuple[Path, str]]:
        for index, line in enumerate(self.profile.setup):
            yield ("setup", index), line
        if self.profile.container is not None:
            for index, option in enumerate(self.profile.container.options):
                yield ("container", "options", index), option
        places = [(("slurm",), self.profile.slurm)] + [
            (("resources", index, "slurm"), entry.slurm)
            for index, entry in enumerate(self.profile.resources)
            if entry.slurm is not None
        ]
        for path, place in places:
            for key, value in place.extra.items():
                yield (*path, "extra", key), str(value)

    def _secret(self, path: Path, name: str, value: str) -> None:
        what = f"the value of `{name}`" if name else "this"
        self.error(
            "secret-value",
            f"{what} looks like a secret, and a profile goes into the plan and its scripts",
            path,
            expected="names of variables, never their values",
            hint=f"write `env: [{name or 'NAME'}]`, and set the variable where `exc submit` is run",
        )
        span = value_span(self.root, (self.name, *path))
        for file, text in self.sources.items():
            if file == span.file:
                self.sources[file] = text.replace(value, "*" * len(value))

    def entry(self, entry: Resources, path: Path) -> None:
        """One entry of `resources`."""
        kind = entry.on.kind
        for key in _SPREAD if kind is not None and kind not in TOGETHER else ():
            if key == "nodes" and kind in OWN_NODES:
                continue
            value = getattr(entry, key)
            if value is not None and value != 1:
                self.error(
                    "bad-value", f"a `{kind}` job runs in one process, so it has no `{key}`", (*path, key),
                    hint=f"of {', '.join(TOGETHER)} jobs",
                )  # fmt: skip
        if entry.pack is not None and entry.pack > 1 and (entry.nodes or 1) > 1:
            self.error(
                "bad-value", "jobs that take several nodes cannot share an allocation", (*path, "pack")
            )
        if entry.gpus and (entry.processes or 1) > entry.gpus:
            self.error(
                "bad-value", f"{entry.processes} processes cannot share {plural(entry.gpus, 'GPU')}",
                (*path, "processes"), expected="a GPU for each process, or no `gpus`",
            )  # fmt: skip
        if entry.launch is not None and (entry.launch.fsdp is None) == (entry.launch.deepspeed is None):
            self.error(
                "bad-value",
                "`launch` takes exactly one way",
                (*path, "launch"),
                expected="`fsdp` or `deepspeed`",
            )
        grace = self.profile.slurm.grace
        if self.profile.backend == "slurm" and entry.time is not None and entry.time <= grace:
            self.error(
                "bad-value", f"a job would be told to stop before it begins: `slurm.grace` is {grace} s",
                (*path, "time"), expected="more time, or less `grace`",
            )  # fmt: skip

    def place(self, place: SlurmPlace | None, path: Path) -> None:
        """Words of `sbatch`, each one word of one line."""
        if place is None:
            return
        for key, value in place.model_dump(exclude={"extra"}, exclude_none=True).items():
            if isinstance(value, str) and re.search(r"\s|^\Z", value):
                self.error("bad-value", f"`{key}` must be one word", (*path, key))
        for key, value in place.extra.items():
            at = (*path, "extra", key)
            option = key.lstrip("-").replace("_", "-")
            if option in _OWNED:
                self.error("bad-value", f"`extra` cannot set `{key}`", at, expected=_OWNED[option])
            elif not _OPTION.match(key):
                self.error("bad-value", f"`{key}` is no long option of sbatch", at, hint=f"write `{option}`")
            elif isinstance(value, str) and "\n" in value:
                self.error("bad-value", f"`{key}` must be one line", at)

    def container(self) -> None:
        container = self.profile.container
        if container is None:
            return
        ways = [way for way in ("apptainer", "enroot", "pyxis") if getattr(container, way) is not None]
        if len(ways) != 1:
            node = span_node(self.root, (self.name, "container"))
            if not isinstance(node, Scalar):
                self.error(
                    "bad-value", "`container` takes exactly one way to run an image", ("container",),
                    expected="one of `apptainer`, `enroot`, `pyxis`",
                )  # fmt: skip
