"""Compile a declarative experiment spec into a plan of jobs, run it, and report on it."""

from __future__ import annotations

__all__ = ["__version__"]

__version__ = "0.1.0"
