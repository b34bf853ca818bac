"""Names that people write for the keys of a stage although a stage has other ones."""

from __future__ import annotations

from collections.abc import Iterable

from pydantic import BaseModel


def foreign_stage_keys(model: type[BaseModel], known: Iterable[str]) -> dict[str, str]:
    """Key -> what to write instead, for a model of the spec; keys that it has are left out."""
    return {}
