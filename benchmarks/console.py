"""Where commands print: as wide as the terminal, or 120 columns in a file."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

if sys.stdout is None:  # closed by who started us; an exit code is an answer too
    sys.stdout = open(os.devnull, "w")  # noqa: SIM115
elif isinstance(sys.stdout, io.TextIOWrapper):
    sys.stdout.reconfigure(errors="backslashreplace")  # what the terminal's encoding lacks is no mistake

console = Console(width=None if sys.stdout.isatty() else 120, highlight=False)


def say(line: str) -> None:
    """Print a line at once."""
    console.print(line, markup=False, soft_wrap=True)


def say_drawn(files: Sequence[Path]) -> None:
    """Where drawings lie, each of which is a PNG and an SVG."""
    say(f"Drawn in {files[0].parent}: {', '.join(path.name for path in files if path.suffix == '.png')} (and SVG)")
