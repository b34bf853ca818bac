"""How many processes a job has, and where they are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from exc.spec.profiles import TOGETHER


def nodes(resources: Mapping[str, Any]) -> int:
    """On how many nodes a job runs."""
    return int(resources.get("nodes") or 1)


def processes(kind: str, resources: Mapping[str, Any]) -> int:
    """How many processes of a job run on each of its nodes: what is said, else one for each GPU."""
    if kind not in TOGETHER:
        return 1
    return int(resources.get("processes") or resources.get("gpus") or 1)


def world_size(kind: str, resources: Mapping[str, Any]) -> int:
    """How many processes of a job train together, over all of its nodes."""
    return nodes(resources) * processes(kind, resources) if kind in TOGETHER else 1
