"""Run the command line as ``python -m exc``."""

from __future__ import annotations

import sys

from exc.cli import main

if __name__ == "__main__":
    sys.exit(main())
