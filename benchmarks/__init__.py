"""What the documentation claims about speed, measured beside what one would use otherwise."""

from __future__ import annotations
