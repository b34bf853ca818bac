"""What lm-evaluation-harness and reasoning-gym know by name; tools/harness_tables.py writes the tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import orjson

HARNESS_VERSION = "0.4.13"
GYM_VERSION = "0.1.25"
_TABLES = Path(__file__).parent / "tables"

# What a task is known by, where it gives several numbers: the first of these that it has.
_HEADLINES = ("acc_norm", "acc", "exact_match", "f1", "score")
_LESS_IS_BETTER = frozenset(
    {
        *("perplexity", "word_perplexity", "byte_perplexity", "bits_per_byte"),
        *("brier_score", "likelihood_diff", "ter", "wer", "mse"),
    }
)
# No shares: no mean over tasks takes them in.
_NO_SHARE = _LESS_IS_BETTER | {"bleu", "chrf"}

Metrics = tuple[str, ...]  # as results name them: `acc`, or `exact_match,strict-match` behind a filter


@dataclass(frozen=True, slots=True)
class Harness:
    """The tasks and groups of one version, each with its metrics; and the tags, which measure nothing."""

    tasks: Mapping[str, Metrics]
    groups: Mapping[str, Metrics]
    tags: frozenset[str]

    def metrics(self, name: str) -> Metrics | None:
        """What a task or a group gives; None of a name that is neither."""
        return self.tasks.get(name, self.groups.get(name))


@cache
def harness() -> Harness:
    data = orjson.loads((_TABLES / f"lm_eval-{HARNESS_VERSION}.json").read_bytes())
    return Harness(_by_name(data["tasks"]), _by_name(data["groups"]), frozenset(data["tags"]))


def _by_name(table: Mapping[str, Sequence[str]]) -> dict[str, Metrics]:
    return {name: _split(joined) for joined, names in table.items() for name in names}


def _split(joined: str) -> Metrics:
    return tuple(joined.split("|")) if joined else ()


def headline(metrics: Sequence[str]) -> str | None:
    """The metric that stands for a task: acc_norm, acc, exact_match, else its first; None without any."""
    plain = [metric.partition(",")[0] for metric in metrics]
    for name in _HEADLINES:
        if name in plain:
            return metrics[plain.index(name)]
    return metrics[0] if metrics else None


def is_share(metric: str) -> bool:
    """Whether a metric of the harness is one that a mean over tasks can take in: a share, more is better."""
    return metric.partition(",")[0] not in _NO_SHARE


def less_is_better(metric: str) -> bool:
    """Whether less of a metric is better: of a study's own, or of the harness as `task/metric,filter`."""
    return metric.rpartition("/")[2].partition(",")[0] in _LESS_IS_BETTER


@cache
def generators() -> Mapping[str, tuple[str, ...]]:
    """The generators of reasoning-gym, each with the fields of its configuration."""
    data = orjson.loads((_TABLES / f"reasoning_gym-{GYM_VERSION}.json").read_bytes())
    return {name: tuple(fields) for name, fields in data["generators"].items()}
