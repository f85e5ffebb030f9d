"""What tables, pages and drawings say alike: numbers, how many there are, and of which source they are."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from dqn_ref.provenance import source_words
from dqn_ref.records import RunRecord

MOST_REVISIONS = 3  # named one by one


def revisions(records: Iterable[RunRecord]) -> str:
    """Source revisions of runs: all of them, or how many there are."""
    return sources(origin.get("source", {}) for record in records for origin in record.provenances)


def sources(found: Iterable[Any]) -> str:
    """The same of ``source`` fields, ``{"commit": ..., "dirty": ...}``."""
    names = list(dict.fromkeys(map(source_words, found)))
    return f"{len(names)} source revisions" if len(names) > MOST_REVISIONS else f"source {', '.join(names)}"


def count(number: int, noun: str) -> str:
    """``1 seed``, ``2 seeds``."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def points(value: float) -> str:
    """Raw points, e.g. ``1,235`` or ``12.3``; ``none`` where there is no number."""
    return f"{value:,.{_decimals(value)}f}" if math.isfinite(value) else "none"


def signed(value: float) -> str:
    """With its sign."""
    return f"{value:+,.{_decimals(value)}f}" if math.isfinite(value) else "none"


def _decimals(value: float) -> int:
    return 0 if abs(value) >= 100 else 1


def p_value(value: float) -> str:
    """Three decimals, never 0; ``none`` where there is no number."""
    if math.isnan(value):
        return "none"
    return f"{value:.3f}" if value >= 0.0005 else "< 0.001"


def share(value: float) -> str:
    """Per cent with two decimals."""
    return f"{value:.2%}" if math.isfinite(value) else "not recorded"


def or_none(value: float) -> float | None:
    """The same; None where it is no finite number, which JSON has not."""
    return value if math.isfinite(value) else None
