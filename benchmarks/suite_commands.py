"""python -m benchmarks bench | plan | run | status | scores | plot | report: one suite, from forecast to page."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.arguments import Common, Report, Run, WithDevice
from benchmarks.console import console, say, say_drawn
from benchmarks.costs import Costs, costs_from, device_here, measure, runs_at_once
from benchmarks.protocols import SUITE_PROTOCOLS
from benchmarks.runner import Matrix, machine_share, run_matrix, shorter_run
from benchmarks.store import Cell
from benchmarks.words import count
from dqn_ref.config import UserError

# What imports matplotlib, pandas or rliable is imported where it is used: `status` must not wait for them.


def plan(arguments: WithDevice) -> int:
    """Print runs and costs."""
    from benchmarks.tables import cost_table, status_table

    store, asked = arguments.store(), arguments.matrix()
    cells = asked.cells(store)
    say(f"{asked.suite}, {len(asked.games)} games x {asked.num_seeds} seeds, kept in {store.runs(asked.group)}:")
    console.print(status_table(cells))
    costs = known_costs(asked, cells, arguments.device)
    say("")
    matrices = dict[str, Matrix]()
    for name, protocol in SUITE_PROTOCOLS.items():
        seeds = arguments.seeds if name == arguments.protocol else None
        for frames in protocol.planned_frames:
            matrix = Matrix.of(arguments.suite, name, frames, seeds)
            matrices[matrix.group] = matrix
    matrices[asked.group] = asked
    rows = []
    for matrix in matrices.values():
        try:
            missing = sum(cell.status != "finished" for cell in matrix.cells(store))
        except UserError as error:  # of another group than the one that is asked for, which has been read
            say(f"Of {matrix.group} all runs count as missing: {error}")
            missing = len(matrix.members)
        rows.append((matrix, missing, runs_at_once(matrix.config, len(matrix.members), device_here(arguments.device))))
    console.print(cost_table(rows, costs, evaluate_iterations=arguments.evaluate_iterations))
    say(
        f"Forecast from {costs.warm_up_step * 1e3:.1f} ms an agent step of random play, "
        f"{costs.learning_step * 1e3:.1f} ms of learning, {costs.evaluation_step * 1e3:.1f} ms of evaluation, "
        f"with {costs.at_once} runs side by side."
    )
    device, evaluate_iterations = device_here(arguments.device), arguments.evaluate_iterations
    if begun := sum(bool(shorter_run(asked, cell, store, device, evaluate_iterations)) for cell in cells):
        say(f"Of the missing, {count(begun, 'run')} of a smaller budget will be gone on with, and cost less than that.")
    return 0


def known_costs(matrix: Matrix, cells: Sequence[Cell], device: str) -> Costs:
    """Costs from the finished runs where all are there, else from a short measurement."""
    records = [cell.record for cell in cells if cell.record and cell.status == "finished"]
    device = device_here(device)
    at_once, threads = machine_share(matrix, device)
    if len(records) == len(cells) and (costs := costs_from(records, at_once, device)):
        return costs
    say("Measuring this machine with a short run ...")
    return measure(device, at_once, threads)


def run(arguments: Run) -> int:
    """Make what is missing; exit code 1 if any run failed."""
    done = run_matrix(
        arguments.matrix(),
        arguments.store(),
        device_here(arguments.device),
        say,
        evaluate_iterations=arguments.evaluate_iterations,
    )
    if not done:
        say("Not every run finished; the reasons are above. The same command tries again what is missing.")
    return 0 if done else 1


def status(arguments: Common) -> int:
    """Print the matrix."""
    from benchmarks.tables import status_table

    matrix = arguments.matrix()
    cells = matrix.cells(arguments.store())
    console.print(status_table(cells))
    say(f"{sum(cell.status == 'finished' for cell in cells)} of {len(cells)} runs of {matrix.group} are finished.")
    return 0


def scores(arguments: Common, weights: str = "last") -> int:
    """Print the score table; exit code 1 if a cell is missing."""
    from benchmarks.report import score_report, score_table
    from benchmarks.scores import score_matrix

    matrix = arguments.matrix()
    found = score_matrix(matrix.games, matrix.cells(arguments.store()), weights)
    report = score_report(matrix, found)
    console.print(score_table(report))
    for note in report.notes:
        say(note)
    return 1 if found.missing else 0


def plot(arguments: Common) -> int:
    """Draw; exit code 1 if a cell is missing."""
    from benchmarks.plots import draw_all, stored_baseline
    from benchmarks.scores import score_matrix

    matrix, store = arguments.matrix(), arguments.store()
    cells = matrix.cells(store)
    found = score_matrix(matrix.games, cells)
    if not any(found.raw.values()):
        raise UserError(
            f"There is nothing to draw: no run of {matrix.group} is finished in {store.runs(matrix.group)}."
        )
    records = [cell.record for cell in cells if cell.record and cell.status == "finished"]
    baseline = stored_baseline(matrix, store)
    files = draw_all(matrix, found, records, store.plots(matrix.name), [baseline] if baseline else [])
    say_drawn(files)
    if found.missing:
        say(f"No aggregate is drawn: {len(found.missing)} runs are missing.")
    return 1 if found.missing else 0


def make_report(arguments: Report) -> int:
    """Make the page and the summary; exit code 1 if a cell is missing."""
    from benchmarks.page.files import write_report

    written, missing = write_report(arguments)
    for path in written:
        say(f"Written: {path}")
    if missing:
        say(f"No aggregate is shown: {missing} runs are missing.")
    return 1 if missing else 0


def bench(arguments: Run) -> int:
    """Everything; exit code 1 if a run failed."""
    from benchmarks.report import score_report, what_it_shows
    from benchmarks.scores import score_matrix

    store = arguments.store()
    with store.exclusive(store.runs(arguments.matrix().group)):
        pass  # if another runner is at work, say so before measuring
    plan(arguments)
    say("")
    failed = run(arguments)
    say("")
    matrix = arguments.matrix()
    cells = matrix.cells(arguments.store())
    scores(arguments)
    if any(cell.status == "finished" for cell in cells):
        plot(arguments)
        make_report(Report(arguments.suite, arguments.protocol, arguments.frames, arguments.seeds, arguments.results))
    if failed:
        return failed
    report = score_report(matrix, score_matrix(matrix.games, cells))
    say("")
    paper = Matrix.of(matrix.suite, "nature")
    at_once = runs_at_once(paper.config, len(paper.members), device_here(arguments.device))
    costs = known_costs(matrix, cells, arguments.device)
    say(what_it_shows(report, costs, at_once, evaluate_iterations=arguments.evaluate_iterations))
    return 0
