"""A YAML parser's complaint -> one diagnostic in a person's words, at the place to look at."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

import yaml

from exc.spec.diagnostics import Diagnostic, Label, Span
from exc.spec.words import first_line

_QUOTE = "put the text in quotes"
_TAB = "YAML allows no tab there; write spaces"
_INDENT = "check the indentation of this line; text that holds `: ` needs quotes"
_INDENT_OR_QUOTE = "check the indentation; text with quotes or `: ` in it needs quotes around all of it"
_OWN_LINES = "put each `- ` on a line of its own below the key, or write the list as [a, b]"
_ESCAPE = "in double quotes write `\\\\` for a backslash; single quotes keep it as it is"
_BRACES = "text that starts with `{` or `[` needs quotes around all of it"
_NO_MIX = "entries of a list and keys of a mapping cannot mix at one indentation"


@dataclass(frozen=True, slots=True)
class _Rule:
    """How to say a complaint whose text holds `sign`; `at_context`: the place is where it began."""

    sign: str
    message: str
    expected: str | None = None
    hint: str | None = None
    at_context: bool = False


_UNCLOSED = ("the quoted text is never closed", "a closing quote", None, True)
_MISFIT = (
    "this does not fit the mapping that it stands in",
    "an entry indented like its siblings",
    _INDENT_OR_QUOTE,
)
_HALF_ESCAPE = ("unfinished escape in double quotes", None, _ESCAPE)

# The two parsers (C and Python) word the same complaint differently; the first sign found decides.
_RULES = (
    _Rule("mapping values are not allowed", "a `:` cannot stand here", None, _INDENT),
    _Rule("sequence entries are not allowed", "a list entry `- ` cannot start here", None, _OWN_LINES),
    _Rule("could not find expected ':'", "this key has no value", "`:` after the key", None, True),
    _Rule("unexpected end of stream", *_UNCLOSED),
    _Rule("unexpected document separator", *_UNCLOSED),
    _Rule("unknown escape character", "unknown escape in double quotes", None, _ESCAPE),
    _Rule("expected escape sequence", *_HALF_ESCAPE),
    _Rule("escape sequence of", *_HALF_ESCAPE),
    _Rule("expected ',' or '}'", "the mapping in braces goes wrong here", "`,` or `}`"),
    _Rule("expected ',' or ']'", "the list in brackets goes wrong here", "`,` or `]`"),
    _Rule("expected '-' indicator", "a list cannot go on like this", "a `- ` or less indentation", _NO_MIX),
    _Rule("found unexpected ':'", "a `:` cannot stand here", "a space after the `:`"),
    _Rule("did not find expected key", *_MISFIT),
    _Rule("expected <block end>", *_MISFIT),
    _Rule("expected node content", "a value cannot start with this", "a value", _QUOTE),
    _Rule("expected the node content", "a value cannot start with this", "a value", _QUOTE),
    _Rule("<document start>", "nothing may follow the end of the top-level value", "the end of the file"),
    _Rule("alphabetic or numeric character", "an anchor `&` or alias `*` needs a name", "a name",
          "text that starts with `&` or `*` needs quotes"),
    _Rule("directive", "unknown YAML directive", None, "text that starts with `%` needs quotes"),
    _Rule("tag", "YAML tags are not read here", "a plain value", "text that starts with `!` needs quotes"),
)  # fmt: skip


def explain(error: yaml.YAMLError, file: str, lines: list[str]) -> Diagnostic:
    """The one diagnostic for a syntax error in the file whose source lines are `lines`."""
    if not isinstance(error, yaml.MarkedYAMLError) or error.problem_mark is None:
        return Diagnostic(
            "yaml-syntax", "error", f"this is not YAML: {first_line(error)}", Span(file, 1, 1, 1, 1)
        )
    line, column = error.problem_mark.line, error.problem_mark.column
    problem = error.problem or ""
    one = _one_character(file, lines, line, column, problem)
    if one is not None:
        return one
    context = error.context_mark
    rule = next((rule for rule in _RULES if rule.sign in problem), None)
    if rule is None:
        return _diagnostic(f"this is not YAML: {problem}", _at(file, lines, line, column), None, None)
    if rule.at_context and context is not None:
        at, hint = _at(file, lines, context.line, context.column), rule.hint
        if "':'" in rule.sign and _GLUED.match(lines[at.line - 1][at.column - 1 :]):
            return _diagnostic(rule.message, at, "a space after the `:`", hint)
        return _diagnostic(rule.message, at, rule.expected, hint)
    labels: tuple[Label, ...] = ()
    if (
        context is not None
        and _began(error.context or "")
        and (context.line, context.column) != (line, column)
    ):
        labels = (Label(_at(file, lines, context.line, context.column), _began(error.context or "")),)
    return _diagnostic(rule.message, _at(file, lines, line, column), rule.expected, rule.hint, labels)


def _one_character(file: str, lines: list[str], line: int, column: int, problem: str) -> Diagnostic | None:
    """Where a single character is at fault: a tab, one that starts no value, one that looks like another."""
    tab = _tab_before(lines, line, column)
    if tab is not None or "tab character" in problem:
        return _diagnostic(
            "a tab stands in the indentation", _at(file, lines, line, tab or 0), "spaces", _TAB
        )
    if "cannot start any token" in problem:
        found = lines[line][column : column + 1] if line < len(lines) else ""
        if found == "\t":
            return _diagnostic(
                "a tab stands where a value starts", _at(file, lines, line, column), "spaces", _TAB
            )
        return _diagnostic(
            f"unquoted text cannot start with `{found}`", _at(file, lines, line, column), None, _QUOTE
        )
    return _odd_character(file, lines, line) or _character_at_fault(file, lines, line, column, problem)


def _diagnostic(
    message: str, span: Span, expected: str | None, hint: str | None, labels: tuple[Label, ...] = ()
) -> Diagnostic:
    return Diagnostic("yaml-syntax", "error", message, span, expected, hint, (), labels)


def _began(context: str) -> str:
    parts = {"flow mapping": "the `{`", "flow sequence": "the `[`", "block mapping": "the mapping",
             "block collection": "the list", "block sequence": "the list", "scalar": "the text"}  # fmt: skip
    return next((f"{name} starts here" for sign, name in parts.items() if sign in context), "")


_GLUED = re.compile(r"[\w.-]+:\S")  # `key:value`, which is one word
# Where YAML wants a space, what looks like one; or what looks like a colon.
_LOOKALIKE = re.compile(
    "^ *([\u00a0\u2000-\u200b\u202f\u3000\ufeff])|:([\u00a0\u2000-\u200b\u202f\u3000])|(\uff1a)"
)


def _odd_character(file: str, lines: list[str], line: int) -> Diagnostic | None:
    """The nearest character, from the line at fault upwards, that only looks like a space or a colon."""
    for number in range(min(line, len(lines) - 1), -1, -1):
        if found := _LOOKALIKE.search(lines[number]):
            char = found[found.lastindex or 0]
            name = unicodedata.name(char, "a control character").lower()
            wanted = "`:`" if char == "\uff1a" else "a space"
            message = f"this is no {wanted.removeprefix('a ')}, but U+{ord(char):04X}, {name}"
            at = _at(file, lines, number, found.start(found.lastindex or 0))
            return _diagnostic(message, at, wanted, None)
    return None


def _character_at_fault(
    file: str, lines: list[str], line: int, column: int, problem: str
) -> Diagnostic | None:
    """Mistakes that the text at the place tells better than the parser's complaint."""
    text = lines[line] if line < len(lines) else ""
    if "mapping values are not allowed" in problem:
        above = next((n for n in range(line - 1, -1, -1) if lines[n].strip()), None)
        if above is not None and _GLUED.match(lines[above].lstrip()):
            indent = len(lines[above]) - len(lines[above].lstrip())
            at = _at(file, lines, above, indent)
            return _diagnostic("this key has no value", at, "a space after the `:`", None)
    if "did not find expected key" in problem or "expected <block end>" in problem:
        here = text[column : column + 1]
        if here in ("}", "]"):
            return _diagnostic(f"this `{here}` closes nothing", _at(file, lines, line, column), None, None)
        if text[:column].rstrip().endswith(("}", "]")):
            return _diagnostic(
                "text goes on behind a mapping or list", _at(file, lines, line, column), None, _BRACES
            )
    return None


def _tab_before(lines: list[str], line: int, column: int) -> int | None:
    """Column of a tab among the white space that leads to the place, or None. Counts from 0."""
    if line >= len(lines):
        return None
    text = lines[line]
    indentation = text[: len(text) - len(text.lstrip(" \t"))]
    tab = indentation.find("\t")
    return tab if tab >= 0 and column <= len(indentation) else None


def _at(file: str, lines: list[str], line: int, column: int) -> Span:
    """One character at a place that counts from 0. A place past the last text moves back to its end."""
    if line >= len(lines) or (line == len(lines) - 1 and not lines[line].strip()):
        line = min(line, len(lines) - 1)
        while line > 0 and not lines[line].strip():
            line -= 1
        column = len(lines[line].rstrip())
    return Span(file, line + 1, column + 1, line + 1, column + 2)
