"""What tables, pages and drawings say alike: how many there are, and of which source they are."""

from __future__ import annotations

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
