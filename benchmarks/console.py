"""Where commands print: as wide as the terminal, or 120 columns in a file."""

from __future__ import annotations

import sys

from rich.console import Console

console = Console(width=None if sys.stdout.isatty() else 120, highlight=False)


def say(line: str) -> None:
    """Print a line at once."""
    console.print(line, markup=False, soft_wrap=True)
