"""A frame of `exc watch` as lines, for a terminal of any width and height."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from rich.text import Text

from exc.runtime.state import Word
from exc.runtime.watch_frame import ClassRow, FailedRow, Frame, RunningRow
from exc.runtime.watch_layout import Column, bar, curve, lines, rooms
from exc.runtime.wording import clock, duration, plan_command

_WIDE = 110  # columns from which on there is room for longer bars and curves
_UNLIMITED = 10_000  # lines, where there is no terminal to fill
_BAR: tuple[tuple[tuple[Word, ...], str, str], ...] = (
    (("done", "unneeded"), "\u2588", "green"),
    (("running",), "\u2592", "cyan"),
    (("failed",), "!", "red"),
    (("cancelled",), "x", "yellow"),
    (("queued", "interrupted", "waiting", "blocked"), "\u00b7", "dim"),
)
_STYLES: Mapping[Word, str] = {
    "running": "cyan",
    "queued": "blue",
    "failed": "red",
    "cancelled": "yellow",
    "interrupted": "yellow",
    "blocked": "magenta",
    "waiting": "",
}


def frame_lines(
    frame: Frame, plan_folder: Path, width: int, height: int | None = None, foot: str = ""
) -> list[Text]:
    """The frame in at most `height` lines of `width` cells; what does not fit is counted.

    `foot` is a last line for whoever can press keys.
    """
    head = _head(frame, plan_folder, width)
    sections = [
        _Section(_running_rows(frame.running, width), 1, 2),
        _Section(_class_rows(frame.classes, width), 1, (height or _UNLIMITED) // 3),
        _Section(_failed_rows(frame.failed, width), 1, 2),
    ]
    shown = [section for section in sections if section.rows]
    fixed = len(head) + sum(1 + section.header for section in shown) + (2 if foot else 0)
    room = (height or _UNLIMITED) - fixed
    given = rooms([len(section.rows) for section in shown], [section.least for section in shown], room)
    cut = {id(section): count for section, count in zip(shown, given, strict=True)}
    running, classes, failed = sections
    out = list(head)
    if classes.rows:
        chosen = _chosen(frame.classes, cut[id(classes)])
        rest = [row for i, row in enumerate(frame.classes) if i not in chosen]
        done = " (all done)" if rest and all(_finished(row) for row in rest) else ""
        more = [_more(len(rest), "class", "es", done)] if rest else []
        out += [Text(), classes.head, *(classes.rows[i] for i in chosen), *more]
    for section, what in ((running, "job"), (failed, "failure")):
        if section.rows:
            out += [Text(), section.head, *_cut(section.rows, cut[id(section)], what)]
    if foot:
        out += [Text(), Text(foot, style="dim")]
    for line in out:
        line.no_wrap, line.overflow = True, "ellipsis"
    return out[: height or None]


class _Section:
    """A table: its first line is the header."""

    def __init__(self, table: list[Text], header: int, least: int) -> None:
        self.header, self.least = header, least
        self.head, self.rows = (table[0], table[1:]) if table else (Text(), [])


def _head(frame: Frame, plan_folder: Path, width: int) -> list[Text]:
    counts = frame.counts
    text = Text(frame.experiment, style="bold").append("  ", "not bold")
    text.append(f"{counts['done']}/{frame.total - counts['unneeded']} done", "not bold green")
    for word, style in _STYLES.items():
        if counts.get(word):
            text.append(f"  {counts[word]} {word}", f"not bold {style}")
    if frame.all_done:
        end = Text("all done; next: ").append(plan_command("report", plan_folder), "bold")
    elif frame.left_s is not None:
        end = Text(f"about {duration(frame.left_s)} left")
    else:
        end = Text()
    use = Text()
    for name, (used, given) in (("CPU", frame.cpus), ("GPU", frame.gpus)):
        if used or given:
            use.append(f"{name} {used}/{given}  " if given else f"{name} {used}  ")
    who = "; ".join(one.text() for one in frame.submitters)
    if not who and counts.get("queued"):
        use.append("in SLURM's queue")
    elif not who and not frame.all_done:
        command = plan_command("submit", plan_folder)
        use.append("run by hand" if frame.running else f"nobody submits it; to go on: {command}")
    else:
        use.append(who)
    second = lines([[end, use]], [Column(), Column(flexible=True)], width)[0]
    return [text, second] if second.plain else [text]


def _class_rows(rows: Sequence[ClassRow], width: int) -> list[Text]:
    if not rows:
        return []
    length = 24 if width >= _WIDE else 10
    header = ["class", "", "done", "run", "fail", "mean", "waits for"]
    if not any(row.counts.get("running") for row in rows):
        header[3] = ""
    if not any(row.counts.get("failed") for row in rows):
        header[4] = ""
    table = [[Text(name, style="dim") for name in header]]
    for row in rows:
        parts = [(sum(row.counts.get(word, 0) for word in words), sign, style) for words, sign, style in _BAR]
        table.append(
            [
                Text(row.name, style="dim" if _finished(row) else ""),
                bar(parts, length),
                Text(f"{row.counts.get('done', 0)}/{row.total - row.counts.get('unneeded', 0)}"),
                Text(str(row.counts.get("running") or ""), style="cyan"),
                Text(str(row.counts.get("failed") or ""), style="red"),
                Text("" if row.mean_s is None else duration(row.mean_s)),
                Text(", ".join(row.waits_for), style="dim"),
            ]
        )
    right = Column(right=True)
    last = Column(flexible=True)
    return lines(table, [Column(), Column(), right, right, right, right, last], width)


def _running_rows(rows: Sequence[RunningRow], width: int) -> list[Text]:
    if not rows:
        return []
    length = 32 if width >= _WIDE else 8
    table = [[Text(name, style="dim") for name in ("running", "step", "time", "left", "", "", "tokens/s")]]
    for row in rows:
        step, total = row.progress.get("step"), row.progress.get("total")
        rate = row.progress.get("tokens_per_second")
        table.append(
            [
                Text(row.job, style="cyan"),
                Text("" if step is None else f"{step}/{total}" if total is not None else str(step)),
                Text(clock(row.elapsed_s)),
                Text("" if row.left_s is None else clock(row.left_s)),
                Text(_measure(row)),
                Text(curve(row.values, length), style="cyan"),
                Text(f"{rate:,.0f}" if isinstance(rate, int | float) else ""),
            ]
        )
    if not any(row[6].plain for row in table[1:]):
        table[0][6] = Text()
    right = Column(right=True)
    name = Column(flexible=True, middle=True)
    return lines(table, [name, right, right, right, Column(), Column(), right], width)


def _measure(row: RunningRow) -> str:
    value = row.progress.get(row.measure)
    if value is None:
        return ""
    return f"{row.measure} {value:.3f}" if isinstance(value, int | float) else f"{row.measure} {value}"


def _failed_rows(rows: Sequence[FailedRow], width: int) -> list[Text]:
    if not rows:
        return []
    table = [[Text("failed", style="dim"), Text("class", style="dim"), Text("cause", style="dim")]]
    for row in rows:
        said = " ".join(row.message.split())
        table.append([Text(row.job, style="red"), Text(row.kind), Text(said)])
    name = Column(flexible=True, middle=True)
    # The cause gives way first, down to half of the line; a name then, too.
    return lines(table, [name if width < 60 else Column(), Column(), Column(flexible=True)], width)


def _cut(rows: Sequence[Text], room: int, what: str) -> list[Text]:
    if len(rows) <= room:
        return list(rows)
    kept = max(0, room - 1)
    return [*rows[:kept], _more(len(rows) - kept, what, "s")]


def _more(count: int, noun: str, many: str, note: str = "") -> Text:
    return Text(f"+{count} more {noun}{'' if count == 1 else many}{note}", style="dim")


def _chosen(rows: Sequence[ClassRow], room: int) -> list[int]:
    """Which classes to show, in order: where something is yet to come before those that are finished."""
    if len(rows) <= room:
        return list(range(len(rows)))
    busy = [i for i, row in enumerate(rows) if row.counts.get("running") or row.counts.get("failed")]
    open_ = [i for i, row in enumerate(rows) if not _finished(row) and i not in busy]
    finished = [i for i, row in enumerate(rows) if _finished(row)]
    return sorted([*busy, *open_, *finished][: max(0, room - 1)])


def _finished(row: ClassRow) -> bool:
    return all(word in ("done", "unneeded") for word, count in row.counts.items() if count)
