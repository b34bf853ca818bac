"""Write docs/diagnostics.md from the table of codes, and the table of what is hashed in docs/identity.md.

python tools/code_reference.py             rewrite both
python tools/code_reference.py --print     print docs/diagnostics.md instead
python tools/code_reference.py --identity  print docs/identity.md instead
"""

from __future__ import annotations

import sys
from pathlib import Path

from exc.compiler.identity import ALWAYS, FIELDS
from exc.spec.check_selection import WARNINGS
from exc.spec.codes import CODES, Code

DOCS = Path(__file__).parent.parent / "docs"
DIAGNOSTICS, IDENTITY = DOCS / "diagnostics.md", DOCS / "identity.md"
BEGIN, END = "<!-- FIELDS: written by tools/code_reference.py -->", "<!-- end of FIELDS -->"

INTRODUCTION = """\
<!-- Written by tools/code_reference.py from spec/codes.py. -->

# Diagnostics

Every finding of `exc check` has one of these codes, a place `file:line:column`, and what was expected there.
`exc explain CODE` prints the section of one code. Warnings do not stop a compilation, and
[can be accepted](spec.md#accept); all others are errors.
"""


def diagnostics() -> str:
    """The page of codes."""
    return "\n".join([INTRODUCTION, *(_section(name, code) for name, code in CODES.items())])


def _section(name: str, code: Code) -> str:
    severity = "Warning" if name in WARNINGS else "Error"
    example = code.example.strip("\n")
    language = "sh" if example.startswith("exc ") else "yaml"
    return (
        f"## {name}\n\n{severity}: {code.title}.\n\n**What.** {code.what}\n\n**Why.** {code.why}\n\n"
        f"```{language}\n{example}\n```\n\n**Fix.** {code.fix}\n"
    )


def identity() -> str:
    """docs/identity.md with the table as it should be. Raises ValueError when its marks are not there."""
    text = IDENTITY.read_text(encoding="utf-8")
    before, found, rest = text.partition(BEGIN)
    _, ended, after = rest.partition(END)
    if not found or not ended:
        raise ValueError(f"{IDENTITY.name} lacks the marks of the table")
    return f"{before}{BEGIN}\n{_table()}\n{END}{after}"


def _table() -> str:
    rows = ["| kind | hashed of its config; in brackets, left out at its default |", "|---|---|"]
    for kind, entry in FIELDS.items():
        fields = [name if default is ALWAYS else f"({name})" for name, default in entry.fields.items()]
        rows.append(f"| `{kind}` | {', '.join(fields)} |")
    return "\n".join(rows)


def main() -> None:
    match sys.argv[1:]:
        case ["--print"]:
            sys.stdout.write(diagnostics())
        case ["--identity"]:
            sys.stdout.write(identity())
        case _:
            DIAGNOSTICS.write_text(diagnostics(), encoding="utf-8")
            IDENTITY.write_text(identity(), encoding="utf-8")


if __name__ == "__main__":
    main()
