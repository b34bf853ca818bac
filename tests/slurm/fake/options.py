"""Options as the real commands take them: long and short, `--x=v` and `--x v`, clustered flags."""

from __future__ import annotations

from collections.abc import Mapping, Sequence


class Unrecognized(Exception):
    """An option that the command does not have."""


def parsed(
    argv: Sequence[str], valued: str, flags: str, positional: bool = True
) -> tuple[dict[str, str], list[str]]:
    """`argv` read by two tables of words, each `long` or `long/s`: options by long name, and what is left.

    A flag's value is "1". Reading stops at the first argument that is no option where `positional` is false.
    A word that ends in `?` in `flags` may have a value behind `=`.
    """
    takes, shorts = _table(valued, flags)
    found: dict[str, str] = {}
    rest: list[str] = []
    queue = list(argv)
    while queue:
        word = queue.pop(0)
        if word == "--":
            return found, rest + queue
        if word.startswith("--"):
            name, given, value = word[2:].partition("=")
            if name not in takes:
                raise Unrecognized(f"unrecognized option '{word}'")
            if takes[name] and not given:
                value = _following(queue, word)
            found[name] = value if takes[name] or given else "1"
        elif word.startswith("-") and len(word) > 1:
            _short(word, takes, shorts, queue, found)
        else:
            rest.append(word)
            if not positional:
                return found, rest + queue
    return found, rest


def _table(valued: str, flags: str) -> tuple[dict[str, bool], dict[str, str]]:
    takes: dict[str, bool] = {}
    shorts: dict[str, str] = {}
    for words, value in ((valued, True), (flags, False)):
        for word in words.split():
            name, _, short = word.rstrip("?").partition("/")
            takes[name] = value
            if short:
                shorts[short] = name
    return takes, shorts


def _short(
    word: str, takes: Mapping[str, bool], shorts: Mapping[str, str], queue: list[str], found: dict[str, str]
) -> None:
    letters = word[1:]
    while letters:
        letter, letters = letters[0], letters[1:]
        if letter not in shorts:
            raise Unrecognized(f"invalid option -- '{letter}'")
        name = shorts[letter]
        if takes[name]:
            found[name] = letters or _following(queue, f"-{letter}")
            return
        found[name] = "1"


def _following(queue: list[str], word: str) -> str:
    if not queue:
        raise Unrecognized(f"option '{word}' requires an argument")
    return queue.pop(0)
