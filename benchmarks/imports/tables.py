"""Tables of text with one header line, comma, semicolon or tab between the fields, each row with its line number."""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from dqn_ref.config import UserError

DELIMITERS = ",;\t"
MOST = 10**12  # frames, seeds and scores beyond it are mistakes; int64 and float64 hold whole numbers below it exactly

# float() and int() also take "1_0", "infinity" and the digits of every script; a score in a file is none of these.
_NUMBER = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]{1,3})?")

Value = TypeVar("Value")


def number(text: str) -> float:
    """A number, at most 10**12 in size. Raises ValueError: it is none."""
    value = float(text) if _NUMBER.fullmatch(text.strip()) else math.nan
    if not abs(value) <= MOST:
        raise ValueError("expected a finite number, with a point as decimal sign")
    return value


def whole(text: str) -> int:
    """A whole number from 0 to 10**12, also written as 1e6 or 1000.0. Raises ValueError: it is none."""
    value = number(text)
    if not (0 <= value <= MOST and value == int(value)):
        raise ValueError("expected a whole number from 0 to 10**12")
    return int(value)


@dataclass(frozen=True)
class Row:
    """A row of the table in ``path``; ``fields`` by the column's name in lower case."""

    path: Path
    line: int
    fields: dict[str, str]

    def parsed(self, column: str, parse: Callable[[str], Value]) -> Value:
        """The field of ``column`` as ``parse`` has it. Raises UserError, with the line: ``parse`` refuses it."""
        text = self.fields[column]
        try:
            return parse(text)
        except (ValueError, UserError) as error:
            raise self.error(f"{column} is {shown(text)}; {error}") from None

    def error(self, words: str) -> UserError:
        """What is wrong with this row, as an error that says where it is."""
        return UserError(f"{self.path}, line {self.line}: {words.rstrip('.')}.")


def columns(path: Path, skipped: int = 0) -> tuple[str, ...]:
    """Names in the header, in lower case; empty if ``path`` cannot be a table. Raises nothing: for telling files apart.

    Args:
        path: a file.
        skipped: lines before the header.
    """
    try:
        with path.open("rb") as file:  # as bytes: what is wrong further down is not the header's fault
            for _ in range(skipped):
                file.readline(1_000_000)
            return _names(file.readline(1_000_000).decode("utf-8-sig"))
    except (OSError, ValueError, csv.Error):
        return ()


def rows(path: Path, needed: Sequence[str], skipped: int = 0, *, may_be_empty: bool = False) -> list[Row]:
    """Rows of the table in ``path``; columns beyond those ``needed`` are kept too, empty lines are not.

    Args:
        path: a text file, UTF-8 with or without byte order mark.
        needed: names of columns that must be there, in lower case.
        skipped: lines before the header.
        may_be_empty: a header alone is a table, too.

    Raises:
        UserError: no text, no such columns, no rows, or a row that is broken or cut off.
    """
    names = columns(path, skipped)
    if missing := [name for name in needed if names.count(name) != 1]:
        found = f"; its first line is read as {shown(', '.join(names))}" if any(names) else ""
        raise UserError(
            f"{path} has no header that names {', '.join(missing)} once; a table needs one with "
            f"{', '.join(needed)}, separated by comma, semicolon or tab, in UTF-8{found}."
        )
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            for _ in range(skipped):
                file.readline()
            header = file.readline()
            # strict: a quote that is never closed is an error, not a field that swallows the rest of the file
            reader = csv.reader(file, delimiter=_delimiter(header), strict=True)
            found_rows = [_row(path, reader.line_num + skipped + 1, names, fields) for fields in reader if fields]
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}.") from None
    except (ValueError, csv.Error) as error:  # undecodable bytes are a ValueError
        raise UserError(f"{path} is no table of UTF-8 text: {error}.") from None
    if not found_rows and not may_be_empty:
        raise UserError(f"{path} has a header and no rows; expected a row for each score.")
    return found_rows


def _row(path: Path, line: int, names: Sequence[str], fields: Sequence[str]) -> Row:
    if len(fields) != len(names):
        raise UserError(
            f"{path}, line {line}: {len(fields)} fields where the header names {len(names)}. Is the file cut off, "
            "or a decimal comma in it?"
        )
    return Row(path, line, dict(zip(names, (field.strip() for field in fields), strict=True)))


def _delimiter(header: str) -> str:
    return max(DELIMITERS, key=header.count)


def _names(header: str) -> tuple[str, ...]:
    fields = next(csv.reader([header], delimiter=_delimiter(header), strict=True), [])
    return tuple(name.strip().lower() for name in fields)


def shown(text: str) -> str:
    """Foreign text for a message: short, and without control characters that a terminal would obey."""
    return repr(text if len(text) <= 60 else text[:57] + "...")
