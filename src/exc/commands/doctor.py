"""`exc doctor`: whether jobs could run where a profile says."""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from exc.commands.terminal import fail, print_json, show_diagnostics, wants_color

if TYPE_CHECKING:
    from exc.runtime.doctor.findings import Finding

_SIGNS = {"ok": "ok     ", "warning": "warning", "failure": "FAILURE"}
_COLORS = {"ok": "32", "warning": "33", "failure": "1;31"}


def doctor(args: argparse.Namespace) -> int:
    """Examine; 3 where something would keep jobs from running, 1 where the spec or profile is at fault."""
    from exc.compiler.compile import profile_data
    from exc.pipeline import compile_spec
    from exc.runtime.doctor.examine import examine
    from exc.runtime.places import store_of
    from exc.spec.diagnostics import Diagnostics
    from exc.spec.profile import load_profile

    spec = Path(args.spec)
    plan = None
    if spec.exists():
        compiled = compile_spec(spec, profile_name=args.profile)
        plan = compiled.plan
        if plan is None:
            show_diagnostics(compiled)
            return 1
        profile = plan.profile
    else:
        diagnostics = Diagnostics()
        found = load_profile(args.profile, spec.parent, diagnostics)
        if found is None or diagnostics.has_errors:
            return fail("; ".join(each.message for each in diagnostics.sorted()))
        profile = profile_data(args.profile, found)
    root = spec.parent.resolve()
    findings = []
    for finding in examine(plan, profile, root, store_of(profile, root), run=args.run):
        findings.append(finding)
        if not args.json:
            _show(finding)
    return _conclude(args, findings, has_plan=plan is not None)


def _show(finding: Finding) -> None:
    sign = _SIGNS[finding.word]
    if wants_color(sys.stdout):
        sign = f"\x1b[{_COLORS[finding.word]}m{sign}\x1b[0m"
    print(f"{sign}  {finding.check:<11} {finding.said}", flush=True)
    if finding.todo:
        print(f"{'':<20} -> {finding.todo}", flush=True)


def _conclude(args: argparse.Namespace, findings: list[Finding], *, has_plan: bool) -> int:
    counts = Counter(finding.word for finding in findings)
    if args.json:
        rows = [
            {"check": each.check, "word": each.word, "said": each.said, "todo": each.todo}
            for each in findings
        ]
        print_json({"profile": args.profile, "findings": rows})
    else:
        without = "" if has_plan else f"; without {args.spec}, no job was looked at"
        failures, warnings = counts["failure"], counts["warning"]
        word = "jobs cannot run there yet" if failures else "jobs can run there"
        print(f"{word}: {failures} failures, {warnings} warnings{without}")
    return 3 if counts["failure"] else 0
