"""Markdown: tables, and text from elsewhere (names in foreign files, messages of errors) that must stay text."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence

# Signs that mean something to GitHub's Markdown inside a line; one underscore within a word, as in ms_pacman, does not.
MEANING = re.compile(r"[&<>|\[\]`*~@#$\\]|(?<![^\W_])_|_(?![^\W_])|(?<=www)\.|:(?=//)")


def escaped(text: str) -> str:
    """``text`` as text in one line: it breaks no table, and links, mentions, shows and emphasises nothing."""
    return MEANING.sub(lambda sign: f"&#{ord(sign[0])};", " ".join(text.splitlines()))


def table(header: Sequence[str], rows: Iterable[Sequence[str]], words: Collection[str] | None = None) -> str:
    """A table, its last line ended. ``words``: the columns that hold no numbers; by default the first alone."""
    left = {header[0]} if words is None else words
    rule = "|".join("---" if name in left else "---:" for name in header)
    return "".join([_row(header), f"|{rule}|\n", *map(_row, rows)])


def _row(cells: Sequence[str]) -> str:
    cells = [cell.replace("|", r"\|") for cell in cells]
    return f"|{''.join(f' {cell} |' if cell else ' |' for cell in cells)}\n"


def folded(summary: str, text: str) -> str:
    """``text``, its last line ended, which a reader unfolds by a click on ``summary``."""
    return f"<details><summary>{summary}</summary>\n\n{text}\n</details>\n"
