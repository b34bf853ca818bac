"""exc report: plan and artifacts to a folder with a page, figures and tables."""

from __future__ import annotations

from pathlib import Path

from exc.compiler.plan import Plan
from exc.runtime.store import Store


def write_report(plan: Plan, store_root: Path, out: Path) -> Path:
    """Write the report of a plan into `out` and give its index.html.

    Reads the plan and the store alone; the same ones give the same bytes. Cells that are not measured are
    reported with their reason, never left out. Raises OSError if `out` cannot be written.
    """
    # Loads matplotlib, which the rest of the command line must not.
    from exc.runtime.report.adopted import marked
    from exc.runtime.report.contamination import write_contamination
    from exc.runtime.report.drawings import drawings_of
    from exc.runtime.report.figure_page import arms_legend, show
    from exc.runtime.report.figure_rows import drawn_rows
    from exc.runtime.report.figures import write_figure
    from exc.runtime.report.page import render
    from exc.runtime.report.panels import names_in
    from exc.runtime.report.results import analyse
    from exc.runtime.report.style import looks
    from exc.runtime.report.tables import csv_text, write_tables
    from exc.runtime.report.typeset import write_typeset

    store_root, out = store_root.resolve(), out.resolve()
    results = analyse(plan, Store(store_root))
    folder = out / "figures"
    folder.mkdir(parents=True, exist_ok=True)
    drawings, notes = drawings_of(results)
    drawings = [marked(drawing) for drawing in drawings]
    dressed = looks(list(dict.fromkeys([*results.arms, *names_in(drawings)])))
    shown = []
    for drawing in drawings:
        names = write_figure(drawing, dressed, folder)
        (folder / f"{drawing.name}.csv").write_text(csv_text(drawn_rows(drawing)), encoding="utf-8")
        files = [
            (Path(name).suffix[1:].upper(), f"figures/{name}") for name in [*names, f"{drawing.name}.csv"]
        ]
        shown.append(show(drawing, dressed, files))
    write_tables(results, out)
    typeset = write_typeset(results, out)
    write_contamination(plan, Store(store_root), out)
    page = out / "index.html"
    text = render(results, shown, arms_legend(shown, dressed), notes, typeset, store_root, out)
    page.write_text(text, encoding="utf-8")
    return page
