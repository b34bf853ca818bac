"""Profiles by name: from `profiles.yaml` beside the spec, from the user's own folder, or shipped."""

from __future__ import annotations

import os
from pathlib import Path

from pydantic import ValidationError

from exc.spec.base import NAME
from exc.spec.check_profile import check_profile
from exc.spec.diagnostics import Diagnostics, did_you_mean, one_of
from exc.spec.expected import found
from exc.spec.model_errors import faults, name_fault
from exc.spec.nodes import Mapping, plain
from exc.spec.profiles import LOCAL, Profile
from exc.spec.source import parse

FILE = "profiles.yaml"
SHIPPED = {"local": LOCAL}


def load_profile(
    name: str, folder: Path, diagnostics: Diagnostics, sources: dict[str, str] | None = None
) -> Profile | None:
    """The profile of that name, or None with what is wrong.

    `folder` is the spec's; the texts that were read are added to `sources`. The first file that has the name
    decides, and any file may redefine `local`. Only the profile asked for is checked.
    """
    known: list[str] = []
    broken = False
    sources = {} if sources is None else sources
    for path in (folder / FILE, user_folder() / FILE):
        root = _read(path, diagnostics, sources)
        broken = broken or root is False
        if isinstance(root, Mapping):
            if name in root.entries:
                return _profile(name, root, diagnostics, sources)
            known.extend(root.entries)
    if name in SHIPPED:
        return SHIPPED[name]
    if not broken:  # else the name may well be in the file that cannot be read
        names = list(dict.fromkeys([*SHIPPED, *known]))
        diagnostics.error(
            "no-such-profile",
            f"there is no profile `{name}`",
            expected=one_of(names),
            hint=did_you_mean(name, names),
        )
    return None


def user_folder() -> Path:
    """Where a person's own profiles lie, for all experiments."""
    base = os.environ.get("XDG_CONFIG_HOME") or "~/.config"
    return Path(base).expanduser() / "exc"


def _read(path: Path, diagnostics: Diagnostics, sources: dict[str, str]) -> Mapping | bool:
    """The file's mapping; True where there is no file, False where it is broken."""
    try:
        text = path.read_bytes().decode("utf-8")
    except FileNotFoundError:
        return True
    except UnicodeDecodeError:
        diagnostics.error("yaml-syntax", f"`{path}` is not UTF-8", hint="save it as UTF-8")
        return False
    except OSError as error:
        diagnostics.error("missing-file", f"`{path}` cannot be read: {error.strerror}")
        return False
    sources[str(path)] = text
    root = parse(text, str(path), diagnostics)
    if root is None:
        return False
    if not isinstance(root, Mapping):
        diagnostics.error(
            "wrong-type", f"this is {found(root)}", root.span, expected="a mapping from the names of profiles"
        )
        return False
    return root


def _profile(name: str, root: Mapping, diagnostics: Diagnostics, sources: dict[str, str]) -> Profile | None:
    node = root.entries[name]
    if not NAME.match(name):
        diagnostics.add(name_fault(name, root.keys[name]))
        return None
    data = plain(node)
    try:
        profile = Profile.model_validate({} if data is None else data, by_alias=True, by_name=False)
        check_profile(profile, name, root, diagnostics, sources)
        return profile
    except ValidationError as error:
        for fault in faults(error, Profile, root, (name,), ()):
            diagnostics.add(fault.diagnostic)
        return None
