"""Tables of what the doctor looks for, for its page: from the same data that it diagnoses with."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.doctor.verdicts.bars import BARS
from benchmarks.doctor.verdicts.causes import CAUSES
from benchmarks.doctor.verdicts.signs import VIEWS, Sign
from benchmarks.markdown import table


def causes_markdown() -> str:
    """A row for each cause: its signs, and what they need."""
    rows = [
        (f"`{cause.id}`", cause.title, cause.kind, *map(_signs, (cause.signs, cause.conditions, cause.support)))
        for cause in CAUSES
    ]
    header = ("cause", "in words", "kind", "one of these", "and all of these", "sure if also")
    return table(header, rows, header)


def bars_markdown() -> str:
    """A row for each bar: where it lies, and where it comes from."""
    rows = [
        (f"`{name}`", f"{'above' if bar.above else 'below'} {bar.at:,g}", f"{bar.clear:,g}", bar.origin, bar.why)
        for name, bar in BARS.items()
    ]
    header = ("bar", "crossed", "clearly", "origin", "what it is")
    return table(header, rows, header)


def _signs(signs: Sequence[Sign]) -> str:
    words = []
    for sign in signs:
        bar = BARS[sign.bar]
        without = f" (where `{sign.only_without}` is not logged)" if sign.only_without else ""
        mark = "**" if sign.direct else ""
        side = ">" if bar.above else "<"
        words.append(f"{mark}`{sign.quantity}`{mark} {VIEWS[sign.view][1]} {side} {bar.at:,g}{without}")
    return "<br>".join(words)
