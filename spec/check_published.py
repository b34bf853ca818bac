"""Checks of what others published: names of repositories, and stages that take a model as it is."""

from __future__ import annotations

import re

from exc.spec.context import Context
from exc.spec.nodes import Path
from exc.spec.recipes import Stage

# What the hub takes as the name of a repository.
_PART = r"[A-Za-z0-9](?:[\w.-]{0,94}[\w])?"
_REPO = re.compile(rf"(?:{_PART}/)?{_PART}\Z", re.ASCII)
_ADDRESS = re.compile(r"(?:https?://)?(?:www\.)?huggingface\.co/(?:datasets/)?(?P<repo>[^/?#]+/[^/?#]+)")


def check_published(ctx: Context) -> None:
    owners: list[Path] = [(section, name) for section in ("data", "trunks") for name in ctx.names(section)]
    owners += [("recipes", name, i) for name in ctx.names("recipes") for i in ctx.indices("recipes", name)]
    places = [(*owner, "hub", "repo") for owner in owners]
    for name in ctx.names("trunks"):
        repos: Path = ("trunks", name, "hub", "repos")
        places += [(*repos, index) for index in ctx.indices(*repos)]
    for place in places:
        repo = ctx.text(*place)
        if repo is not None and not _is_repository(repo):
            expected = "the name of a repository, such as `owner/name`"
            ctx.error("bad-value", f"`{repo}` names no repository", place, expected, _hint(repo))
    for path, stage in ctx.models(Stage):
        if stage.from_ is not None and (stage.hub is not None or stage.folder is not None):
            message = f"a {stage.kind} stage takes a model as it is, and starts from none"
            ctx.error("bad-value", message, (*path, "from"), hint="leave it out", key=True)


def _is_repository(text: str) -> bool:
    return bool(_REPO.match(text)) and "--" not in text and ".." not in text


def _hint(text: str) -> str | None:
    """What was most likely meant."""
    if address := _ADDRESS.match(text):
        return f"write `{address['repo']}`" if _is_repository(address["repo"]) else None
    repo, at, revision = text.partition("@")
    if at and _is_repository(repo):
        return f"a revision stands apart: `{{repo: {repo}, revision: {revision or 'main'}}}`"
    return "a model in a folder is `folder: PATH`" if text.startswith((".", "/", "~")) else None
