"""python -m benchmarks failures run | plan | status | table | plot."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from benchmarks.console import console, say, say_drawn
from benchmarks.costs import Costs, device_here, format_seconds, measure
from benchmarks.failures.arguments import FailuresCommon, FailuresPlot, FailuresTable, WithFailuresDevice
from benchmarks.failures.effects import LEVEL, deciding_reference_seeds
from benchmarks.failures.matrix import FailureMatrix, Place, expand
from benchmarks.failures.prices import Prices, made_seconds
from benchmarks.failures.runner import run_failures, side_by_side
from benchmarks.failures.variants import ALIASES, CLAIMS, REFERENCE, variants_named
from benchmarks.outputs import write_text
from benchmarks.store import Store
from benchmarks.suites import game_named
from benchmarks.tables import plain_table
from dqn_ref.config import format_frames

if TYPE_CHECKING:
    from benchmarks.failures.findings import Findings


def failures_plan(arguments: WithFailuresDevice) -> int:
    """Print variants, runs and costs."""
    matrix, store = arguments.matrix(), arguments.store()
    places = matrix.places(store)
    header = ("variant", "claim", "changes", "why it should hurt")
    console.print(plain_table(header, [
        (variant.name, variant.claim, _changes(matrix, variant.values(matrix.config())), variant.says)
        for variant in matrix.variants
    ]))  # fmt: skip
    for other, (name, reason) in ALIASES.items():
        if name in {variant.name for variant in matrix.variants}:
            say(f"{other} is {name}: {reason}.")
    say("")
    _forecast(arguments, matrix, places)
    return 0


def failures_run(arguments: WithFailuresDevice) -> int:
    """Forecast and make; exit code 1 if any run failed."""
    matrix, store = arguments.matrix(), arguments.store()
    with store.exclusive(store.failures(matrix.group)):
        places = matrix.places(store)  # if another runner is at work, say so before measuring
    if any(place.cell.status != "finished" for place in places):
        _forecast(arguments, matrix, places)
        say("")
    done = run_failures(matrix, store, device_here(arguments.device), say)
    if not done:
        say("Not every run finished; the reasons are above. The same command tries again what is missing.")
    places = matrix.places(store)
    if any(place.variant is REFERENCE and place.cell.status == "finished" for place in places):
        from benchmarks.failures.drawings import draw_failures
        from benchmarks.failures.findings import judged

        found = judged(matrix.group, places)
        say("")
        _print(found)
        files = draw_failures(found, store.plots(f"failures-{matrix.group}"))
        say_drawn(files)
    return 0 if done else 1


def failures_status(arguments: FailuresCommon) -> int:
    """Print the matrix."""
    matrix = arguments.matrix()
    places = matrix.places(arguments.store())
    console.print(status_table(matrix, places))
    finished = sum(place.cell.status == "finished" for place in places)
    say(f"{finished} of {len(places)} runs of {arguments.store().failures(matrix.group)} are finished.")
    return 0


def failures_table(arguments: FailuresTable) -> int:
    """Print and write the tables."""
    from benchmarks.failures import table

    found = _found(arguments)
    _print(found)
    for path, text in (
        (arguments.json, json.dumps(table.as_json(found), indent=1) + "\n"),
        (arguments.markdown, table.markdown(found)),
    ):
        if path:
            write_text(path, text, results=arguments.results)
    return 0


def failures_plot(arguments: FailuresPlot) -> int:
    """Draw."""
    from benchmarks.failures.drawings import draw_failures

    store, found = Store(arguments.results), _found(arguments)
    files = draw_failures(found, arguments.out or store.plots(f"failures-{arguments.group}"))
    say_drawn(files)
    return 0


# ---------------------------------------------------------------------- parts


def _found(arguments: FailuresTable) -> Findings:
    from benchmarks.failures.findings import find

    names = expand(arguments.variants)
    variants = variants_named(names) if names else ()
    return find(Store(arguments.results), arguments.group, [game_named(game) for game in arguments.games], variants)


def _print(found: Findings) -> None:
    from benchmarks.failures import inside_table, table

    say(f"{found.group}: had the reference learnt: is it above random play, and above its control?")
    console.print(_whole_words(table.LEARNT_HEADER, table.learnt_rows(found)))
    if found.rows:
        say("")
        console.print(_whole_words(table.HEADER, table.table_rows(found)))
        say("")
        console.print(_whole_words(table.VIEW_HEADER, table.view_rows(found)))
    say("")
    say("Inside the learner:")
    console.print(_whole_words(inside_table.INSIDE_HEADER, inside_table.inside_rows(found)))
    say("")
    for note in table.notes(found):
        say(note)


def _whole_words(header: Sequence[str], rows: Sequence[Sequence[str]]) -> Table:
    """Rows of which only headings and the last column are ever broken into lines."""
    from benchmarks.failures.table import WORDS

    table = Table(box=None, padding=(0, 1, 0, 0))
    for place, name in enumerate(header):
        table.add_column(
            name,
            justify="left" if name in WORDS else "right",
            min_width=max((len(row[place]) for row in rows), default=0) if place < len(header) - 1 else 0,
            overflow="fold",
        )
    for row in rows:
        table.add_row(*map(Text, row))
    return table


def status_table(matrix: FailureMatrix, places: Sequence[Place]) -> Table:
    """Variants down, games across: how many seeds are finished, and what the others are."""
    by_cell: dict[tuple[str, str], list[str]] = {}
    for place in places:
        by_cell.setdefault((place.variant.name, place.cell.member.game), []).append(place.cell.status)
    games = (*matrix.games, *matrix.reference_games)
    rows = [
        (variant.claim, variant.name, *(_states(by_cell.get((variant.name, game), [])) for game in games))
        for variant in matrix.variants
    ]
    return plain_table(("claim", "variant", *games), rows)


def _states(states: Sequence[str]) -> str:
    if not states:
        return ""
    counts = Counter(states)
    others = [f"{number} {state}" for state, number in counts.items() if state not in ("finished", "missing")]
    return ", ".join([f"{counts['finished']} of {len(states)}", *others])


def _forecast(arguments: WithFailuresDevice, matrix: FailureMatrix, places: Sequence[Place]) -> None:
    """How many runs are missing and how long they take, before anything is made."""
    device = device_here(arguments.device)
    at_once = side_by_side(matrix, device)
    missing = [place for place in places if place.cell.status != "finished"]
    frames = len(missing) * matrix.frames
    say(
        f"{matrix.group}: {len(matrix.variants) - 2} variants, the reference and its control, {len(places)} runs of "
        f"{format_frames(matrix.frames)} frames on {', '.join((*matrix.games, *matrix.reference_games))} "
        f"({matrix.seeds} seeds against {matrix.reference_seeds}); {len(missing)} are missing, {frames:,} frames."
    )
    _say_if_too_few(matrix)
    if not missing:
        return
    say("Measuring this machine with a short run ...")
    prices = Prices(_measured(matrix, device, at_once), made_seconds(places))
    costs = prices.costs
    say(
        f"Forecast: {format_seconds(prices.left(matrix, missing, at_once))}, {at_once} at once; a run of the reference "
        f"takes {format_seconds(prices.seconds(matrix, REFERENCE))}. From {costs.warm_up_step * 1e3:.1f} ms an agent "
        f"step of random play, {costs.evaluation_step * 1e3:.1f} ms where the network acts, "
        f"{costs.learning_step * 1e3:.1f} ms with its share of an update, {costs.at_once} runs side by side"
        + (f"; {', '.join(prices.made)} as finished runs took." if prices.made else ".")
    )
    if device == "cpu" and matrix.frames >= 1_000_000:
        seconds = costs.job_seconds(matrix.config())
        say(
            f"That is for this CPU ({format_seconds(seconds)} a run). On a GPU machine playing is the limit: hours = "
            f"{frames:,} / (3,600 x the frames per second that python -m benchmarks.speed measures of training there)."
        )


def _say_if_too_few(matrix: FailureMatrix) -> None:
    comparisons = matrix.comparisons
    enough = deciding_reference_seeds(matrix.seeds, matrix.reference_seeds, comparisons)
    if enough == matrix.reference_seeds:
        return
    against_control = 1 / math.comb(matrix.seeds + matrix.reference_seeds, matrix.seeds)
    say(
        f"TOO FEW SEEDS: the reference's {matrix.reference_seeds} give no p below {0.5**matrix.reference_seeds:.2g} "
        f"against random play, and none below {against_control:.2g} against its control's {matrix.seeds}; a variant's "
        f"{matrix.seeds} give none below {min(1.0, max(1, comparisons) * against_control):.2g} after the adjustment "
        f"for {comparisons} comparisons. Each must be below {LEVEL:g}, so nothing could be confirmed. "
        f"--reference-seeds {enough} would do, or more --seeds."
    )


def _measured(matrix: FailureMatrix, device: str, at_once: int) -> Costs:
    return measure(device, at_once, 1, {"precision": matrix.config().precision})


def _changes(matrix: FailureMatrix, values: dict[str, object]) -> str:
    return ", ".join(f"{field} {value}" for field, value in values.items()) or f"none ({CLAIMS['reference']})"
