"""Secrets that stand in the open: a profile names variables, and their values never leave the environment."""

from __future__ import annotations

import re
from collections.abc import Iterator

_ASSIGNED = re.compile(r"(?:^|[\s;&|(=,])([A-Za-z_][A-Za-z0-9_]*)=(\"[^\"]*\"|'[^']*'|[^\s;&|)]+)")
_NAMED = re.compile(
    r"(?:TOKEN|SECRET|PASSWORD|PASSWD|PASSPHRASE|CREDENTIALS?|_KEY|APIKEY|AUTH)\Z", re.IGNORECASE
)
_TAKEN_FROM_ELSEWHERE = ("$", "`", "/", "~", ".")  # a variable, a command's output, a path
# What the tokens of well-known services look like, and a password in an address.
_SHAPES = re.compile(
    r"\b(?:hf_[A-Za-z0-9]{20,}|sk-[A-Za-z0-9_-]{20,}|gh[pousr]_[A-Za-z0-9]{20,}|glpat-[A-Za-z0-9_-]{16,}"
    r"|AKIA[0-9A-Z]{16}|xox[abp]-[A-Za-z0-9-]{16,})|(?<=://)[^/\s:@$]+:[^/\s:@$]+(?=@)"
)


def secrets_in(line: str) -> Iterator[tuple[str, str]]:
    """What looks like a secret in a line of shell, as (name of the variable or "", the value)."""
    found = set()
    for name, quoted in _ASSIGNED.findall(line):
        value = quoted.strip("\"'")
        if value and not value.startswith(_TAKEN_FROM_ELSEWHERE) and _NAMED.search(name):
            found.add(value)
            yield name, value
    for match in _SHAPES.finditer(line):
        if not any(match[0] in value for value in found):
            yield "", match[0]
