"""Makes a figure's SVG fit to stand in a page beside others."""

from __future__ import annotations

import html
import re

_ID = re.compile(r'\bid="([^"]+)"')
_USE = re.compile(r'(href="#|url\(#)([^")]+)')
_PROLOGUE = re.compile(r"^.*?(?=<svg\b)", re.DOTALL)
_METADATA = re.compile(r"<metadata>.*?</metadata>\s*", re.DOTALL)
_NAMESPACE = re.compile(r'\sxmlns(?::\w+)?="[^"]*"')


def inline(svg: str, prefix: str, alt: str) -> str:
    """The SVG element alone: ids of its own, sized by the page, with a text alternative."""
    text = _METADATA.sub("", _PROLOGUE.sub("", svg, count=1))
    head, rest = text.split(">", 1)
    head = _NAMESPACE.sub("", re.sub(r'\s(?:width|height)="[^"]*"', "", head))
    rest = _ID.sub(rf'id="{prefix}-\1"', rest)
    rest = _USE.sub(rf"\1{prefix}-\2", rest).replace("xlink:href", "href")
    return f'{head} role="img" aria-label="{html.escape(alt)}">{rest}'.strip()
