"""The page's section on the doctor: faults put in, what they cost, and what was named. Only where there are runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.doctor.confusion import tables
from benchmarks.doctor.confusion.runs import DiagnosedRun, finished
from benchmarks.failures.findings import find, groups
from benchmarks.failures.table import HEADER, table_rows
from benchmarks.page.foreign import clean
from benchmarks.store import Store
from dqn_ref.config import UserError


@dataclass(frozen=True)
class Table:
    """Text, row by row; the first column heads its row."""

    caption: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Doctor:
    """What the section shows."""

    tables: tuple[Table, ...]
    sentences: tuple[tuple[str, str], ...]  # what it is about, the rates of it


def doctor(store: Store) -> Doctor | None:
    """The section of what ``store`` holds of the failures suite; None without a finished run.

    Of records that are broken it says so: they are none of what the page is about.
    """
    try:
        looked = finished(store)
        return _doctor(store, looked) if looked else None
    except UserError as error:
        return Doctor((), (("Not shown", clean(str(error))),))


def _doctor(store: Store, looked: Sequence[DiagnosedRun]) -> Doctor:
    header, rows = tables.matrix_rows(looked)
    found = [Table("Fault put in, by the cause that its log names first (runs)", header, rows)] if rows else []
    found.append(Table("By fault", tables.HEADER, tables.fault_rows(looked)))
    for group in groups(store):
        if effects := table_rows(find(store, group)):
            effects = [_variant_first(row) for row in effects]
            found.append(Table(f"What each fault cost ({group})", _variant_first(HEADER), tuple(effects)))
    said = tuple((name, clean(words)) for name, words in tables.sentences(looked))
    return Doctor(tuple(map(_clean, found)), said)


def _variant_first(row: tuple[str, ...]) -> tuple[str, ...]:
    return (row[1], row[0], *row[2:])


def _clean(table: Table) -> Table:
    return Table(clean(table.caption), table.header, tuple(tuple(map(clean, row)) for row in table.rows))
