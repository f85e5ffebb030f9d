"""Tables of what is there and what the rest costs; quick, because they need neither statistics nor plots."""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table
from rich.text import Text

from benchmarks.costs import Costs, format_seconds
from benchmarks.runner import Matrix
from benchmarks.store import Cell
from dqn_ref.config import format_frames


def status_table(cells: Sequence[Cell]) -> Table:
    """Seeds across, games down."""
    seeds = sorted({cell.member.seed for cell in cells})
    table = Table("game", *(f"seed {seed}" for seed in seeds), box=None)
    by_member = {(cell.member.game, cell.member.seed): _standing(cell) for cell in cells}
    for game in dict.fromkeys(cell.member.game for cell in cells):
        table.add_row(game, *(by_member[game, seed] for seed in seeds))
    return table


def _standing(cell: Cell) -> str:
    after = cell.resumable_after
    return cell.status if after is None else f"{cell.status}, goes on after {format_frames(after)}"


def cost_table(rows: Sequence[tuple[Matrix, int, int]], costs: Costs, *, evaluate_iterations: bool) -> Table:
    """What suites cost here; a row per (matrix, missing runs, runs at once)."""
    table = Table(box=None)
    for name in ("protocol", "frames", "runs", "missing", "at once", "one run", "all that is missing"):
        table.add_column(name, justify="left" if name == "protocol" else "right", no_wrap=True)
    for matrix, missing, at_once in rows:
        one = costs.job_seconds(matrix.config, at_once, evaluate_iterations=evaluate_iterations)
        rest = costs.suite_seconds(matrix.config, missing, at_once, evaluate_iterations=evaluate_iterations)
        table.add_row(
            matrix.protocol.label(),
            format_frames(matrix.frames),
            str(len(matrix.members)),
            str(missing),
            str(at_once),
            format_seconds(one),
            format_seconds(rest) if missing else "done",
        )
    return table


def plain_table(header: Sequence[str], rows: Sequence[Sequence[str]], *, numbers: bool = False) -> Table:
    """Rows of text, all but the first column ``numbers`` or words. Nothing in them is read as markup."""
    table = Table(box=None)
    for place, name in enumerate(header):
        table.add_column(Text(name), overflow="fold", justify="right" if numbers and place else "left")
    for row in rows:
        table.add_row(*map(Text, row))
    return table
