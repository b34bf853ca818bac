"""A terminal for tables; apart from `terminal`, because compiling does without rich."""

from __future__ import annotations

from rich.console import Console


class Output(Console):
    """Standard output, where a reader that went away ends the command as it ends any other."""

    def on_broken_pipe(self) -> None:
        """Leave it to `main`: rich would end the program with 1."""
        raise BrokenPipeError
