"""python -m benchmarks confusion: does the doctor name the faults that were put in?"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from benchmarks.console import console, say
from benchmarks.outputs import write_text
from benchmarks.store import Store


@dataclass(frozen=True)
class Confusion:
    """Put what lint and verdicts say of the failures suite's finished runs beside the faults that were put in.

    Runs that the bars of the verdicts were set on are not counted. All is made anew from the records.
    """

    results: Path = Path("results")
    """The results folder."""
    markdown: Path | None = None
    """File for matrix, table and rates as a page."""
    json: Path | None = None
    """File for everything, for a program."""
    plots: Path | None = None
    """Folder to draw the matrix in."""


def confusion(arguments: Confusion) -> int:
    """Print it all; 0 whatever it says."""
    from benchmarks.doctor.confusion import tables
    from benchmarks.doctor.confusion.runs import look
    from benchmarks.tables import plain_table

    looked = look(Store(arguments.results))
    header, rows = tables.matrix_rows(looked)
    say("Fault put in, by the cause that its log names first (runs):" if rows else tables.NONE_HELD_OUT)
    if rows:
        console.print(plain_table(header, rows))
    say("")
    console.print(plain_table(tables.HEADER, tables.fault_rows(looked)))
    say("")
    for name, words in tables.sentences(looked):
        say(f"{name}: {words}")
    if arguments.markdown:
        write_text(arguments.markdown, tables.markdown(looked), results=arguments.results)
    if arguments.json:
        write_text(
            arguments.json,
            json.dumps(tables.as_json(looked), indent=1, allow_nan=False) + "\n",
            results=arguments.results,
        )
    if arguments.plots:
        from benchmarks.doctor.confusion.drawing import draw_confusion

        say(f"Drawn: {', '.join(map(str, draw_confusion(looked, arguments.plots))) or 'nothing'}")
    return 0
