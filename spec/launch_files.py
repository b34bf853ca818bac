"""Reading the files that a profile names under `launch`."""

from __future__ import annotations

from collections.abc import Mapping as MappingOf
from pathlib import Path
from typing import Any

from exc.spec.diagnostics import Diagnostics
from exc.spec.launch_settings import WAYS, launch_settings
from exc.spec.nodes import Mapping
from exc.spec.profiles import Profile
from exc.spec.source import parse


def read_launch_files(
    profile: Profile, folder: Path, diagnostics: Diagnostics, sources: dict[str, str]
) -> MappingOf[tuple[str, str], dict[str, Any]]:
    """(way, file as written) -> its settings. `folder` is the spec's; texts that are read go to `sources`."""
    named = [
        (way, getattr(entry.launch, way))
        for entry in profile.resources
        if entry.launch is not None
        for way in WAYS
        if getattr(entry.launch, way) is not None
    ]
    return {
        (way, name): _read(way, folder / name, diagnostics, sources) for way, name in dict.fromkeys(named)
    }


def _read(way: str, path: Path, diagnostics: Diagnostics, sources: dict[str, str]) -> dict[str, Any]:
    try:
        text = path.read_bytes().decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        diagnostics.error(
            "missing-file",
            f"`{path}`, which the profile names under `launch`, cannot be read: {reason}",
            hint="its path counts from the spec's folder",
        )
        return {}
    sources[str(path)] = text
    root = parse(text, str(path), diagnostics)
    if isinstance(root, Mapping):
        return launch_settings(way, root, diagnostics)
    if root is not None:
        diagnostics.error("wrong-type", "this file holds no mapping", root.span, expected="a mapping")
    return {}
