"""Numbers as a person reads them, and nothing that the data does not carry."""

from __future__ import annotations

from typing import Any

from exc.runtime.report.statistics import Estimate
from exc.spec.harness import is_share as is_harness_share

MINUS = "\u2212"
NOTHING = "\u2014"  # where there is no number


def signed(value: float, digits: int) -> str:
    """+1.2, -1.2 with a real minus, and 0.0 without a sign."""
    text = f"{abs(value):.{digits}f}"
    if float(text) == 0:
        return text
    return ("+" if value > 0 else MINUS) + text


def plain(value: float, digits: int) -> str:
    return f"{value:.{digits}f}".replace("-", MINUS)


def is_share(metric: str) -> bool:
    """Whether a metric is a share, which is written in percent."""
    if "/" in metric:  # task/metric of the harness
        return is_harness_share(metric.rpartition("/")[2])
    if metric.endswith("learning_rate"):
        return False
    return metric.startswith(("pass@", "maj@")) or metric.endswith("_rate") or metric == "mean"


def words(metric: str) -> str:
    """A metric as sentences and axes name it; those of the harness keep the names that it gives them."""
    return metric if "/" in metric else metric.replace("_", " ")


def value_text(metric: str, value: float) -> str:
    """A metric's value without its unit."""
    if is_share(metric):
        return plain(100 * value, 1)
    return plain(value, 3) if metric == "bits_per_byte" else _significant(value)


def unit(metric: str, *, delta: bool = False) -> str:
    if is_share(metric):
        return "pp" if delta else "%"
    return "bits/byte" if metric == "bits_per_byte" else ""


def interval_text(metric: str, estimate: Estimate, *, delta: bool = False) -> str:
    """The bounds in brackets; empty where there are none."""
    if estimate.low is None or estimate.high is None:
        return ""
    show = delta_text if delta else value_text
    return f"[{show(metric, estimate.low)}, {show(metric, estimate.high)}]"


def delta_text(metric: str, value: float) -> str:
    """A difference without its unit."""
    return signed(100 * value, 1) if is_share(metric) else signed(value, 3)


def _significant(value: float) -> str:
    if value == int(value) and abs(value) < 1e6:
        return f"{value:,.0f}".replace("-", MINUS)
    return plain(value, 2) if abs(value) >= 0.1 else f"{value:.2g}"


_STEPS = ((1e18, "E"), (1e15, "P"), (1e12, "T"), (1e9, "B"), (1e6, "M"), (1e3, "k"))


def count(value: float) -> str:
    """921600 -> 922k, 5e10 -> 50B: three digits, thousands by letter."""
    for size, letter in _STEPS:
        if value >= 0.9995 * size:
            return f"{value / size:.3g}" + letter
    return f"{value:.3g}"


def exact(value: float) -> str:
    """12345 -> 12,345."""
    return f"{round(value):,}"


def scientific(value: float) -> str:
    """2.5e+15 -> 2.50 x 10^15, for what no letter is usual for."""
    if value < 1e6:
        return exact(value)
    mantissa, _, power = f"{value:.2e}".partition("e")
    digits = str(int(power)).translate(
        str.maketrans("0123456789", "\u2070\u00b9\u00b2\u00b3\u2074\u2075\u2076\u2077\u2078\u2079")
    )
    return f"{mantissa}\u202f\u00d7\u202f10{digits}"


def duration(seconds: float) -> str:
    """4000 -> 1 h 07 min."""
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"{minutes} min"
    return f"{minutes // 60} h {minutes % 60:02d} min"


def listing(items: list[str]) -> str:
    """a, b and c."""
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} and {items[-1]}" if items else ""


def setting(value: Any) -> str:
    """A setting of the spec: lists and maps on one line."""
    if isinstance(value, dict):
        return " / ".join(f"{inner} ({key})" for key, inner in value.items())
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
