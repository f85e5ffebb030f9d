"""python -m benchmarks COMMAND: what can be typed is listed in COMMANDS and GROUPS below."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import tyro
from rich.console import Console

from benchmarks.arguments import (
    BaselineCreate,
    BaselineList,
    BaselinePromote,
    BaselineShow,
    Bench,
    Common,
    Compare,
    Plan,
    Plot,
    RandomPlay,
    Readme,
    Report,
    Run,
    Scores,
    Status,
    WithDevice,
)
from benchmarks.baseline_commands import baseline_create, baseline_list, baseline_promote, baseline_show
from benchmarks.compare_command import compare
from benchmarks.console import console, say
from benchmarks.costs import Costs, costs_from, measure, runs_at_once
from benchmarks.doctor.lint_command import Lint, lint_command
from benchmarks.doctor.probes.command import Probe, probe
from benchmarks.doctor.verdicts.command import Diagnose, diagnose_run
from benchmarks.engines.local import end_with_parent
from benchmarks.failures.arguments import FailuresPlan, FailuresPlot, FailuresRun, FailuresStatus, FailuresTable
from benchmarks.failures.command import failures_plan, failures_plot, failures_run, failures_status, failures_table
from benchmarks.gates.calibrate_command import GateCalibrate, gate_calibrate
from benchmarks.gates.score_command import GateScores, gate_scores
from benchmarks.gates.speed_command import SpeedBaseline, SpeedGate, gate_speed, speed_baseline
from benchmarks.gates.speed_study import CalibrateSpeed, calibrate_speed
from benchmarks.protocols import PROTOCOLS
from benchmarks.runner import Matrix, machine_share, run_matrix
from benchmarks.store import Cell, Store
from benchmarks.suites import suite_games
from dqn_ref.config import UserError

# What follows imports matplotlib, pandas or rliable is imported where it is used: `status` must not wait for them.

# ---------------------------------------------------------------------- commands


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
    for name, protocol in PROTOCOLS.items():
        seeds = arguments.seeds if name == arguments.protocol else None
        for frames in protocol.planned_frames:
            matrix = Matrix.of(arguments.suite, name, frames, seeds)
            matrices[matrix.group] = matrix
    matrices[asked.group] = asked
    rows = []
    for matrix in matrices.values():
        missing = sum(cell.status != "finished" for cell in matrix.cells(store))
        rows.append((matrix, missing, runs_at_once(matrix.config, len(matrix.members), _device(arguments.device))))
    console.print(cost_table(rows, costs))
    say(
        f"Forecast from {costs.warm_up_step * 1e3:.1f} ms an agent step of random play, "
        f"{costs.learning_step * 1e3:.1f} ms of learning, {costs.evaluation_step * 1e3:.1f} ms of evaluation, "
        f"with {costs.at_once} runs side by side."
    )
    return 0


def known_costs(matrix: Matrix, cells: Sequence[Cell], device: str) -> Costs:
    """Costs from the finished runs where all are there, else from a short measurement."""
    records = [cell.record for cell in cells if cell.record and cell.status == "finished"]
    at_once, threads = machine_share(matrix, _device(device))
    if len(records) == len(cells):
        return costs_from(records, at_once)
    say("Measuring this machine with a short run ...")
    return measure(device, at_once, threads)


def _device(name: str) -> str:
    if name == "auto":
        import torch  # slow to import, and only asked here

        return "cuda" if torch.cuda.is_available() else "cpu"
    return name


def run(arguments: WithDevice) -> int:
    """Make what is missing; exit code 1 if any run failed."""
    done = run_matrix(arguments.matrix(), arguments.store(), _device(arguments.device), say)
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
    say(f"Drawn in {files[0].parent}: {', '.join(path.name for path in files if path.suffix == '.png')} (and SVG)")
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


def bench(arguments: WithDevice) -> int:
    """Everything; exit code 1 if a run failed."""
    from benchmarks.report import score_report, what_it_shows
    from benchmarks.scores import score_matrix

    with arguments.store().exclusive(arguments.matrix().group):
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
    say(what_it_shows(report, known_costs(matrix, cells, arguments.device), _nature_at_once(matrix, arguments.device)))
    return 0


def _nature_at_once(matrix: Matrix, device: str) -> int:
    nature = Matrix.of(matrix.suite, "nature")
    return runs_at_once(nature.config, len(nature.members), _device(device))


def random_play(arguments: RandomPlay) -> int:
    """Play, print, store."""
    from benchmarks.random_play import as_record, markdown, play_all

    if arguments.episodes < 2 or arguments.processes < 1:
        raise UserError(
            f"Got {arguments.episodes} episodes in {arguments.processes} processes; expected at least 2 "
            "(an error needs two) in at least 1."
        )
    played = []
    for each in play_all(suite_games(arguments.suite), arguments.episodes, arguments.processes):
        say(f"{each.game:18} {each.policy:12} {each.mean:10,.1f} +- {each.standard_error:,.1f}")
        played.append(each)
    record = as_record(played, arguments.episodes)
    say("")
    say(markdown(record))
    if arguments.results:
        say(f"Stored in {Store(arguments.results).store_random_play(arguments.suite, record)}")
    return 0


def readme(arguments: Readme) -> int:
    """Write or check the generated parts of the pages."""
    from benchmarks.readme import PAGES, update_page

    store = Store(Path("results"))
    changed = [str(page) for page in PAGES if update_page(page, store, write=not arguments.check)]
    if not arguments.check:
        say("Written.")
        return 0
    say(f"{', '.join(changed)}: not what the results say; run python -m benchmarks readme" if changed
        else "The pages say what the results say.")  # fmt: skip
    return 1 if changed else 0


# ---------------------------------------------------------------------- entry

Commands = dict[str, tuple[type, Callable[[Any], int]]]
COMMANDS: Commands = {
    "bench": (Bench, bench),
    "plan": (Plan, plan),
    "run": (Run, run),
    "status": (Status, status),
    "scores": (Scores, lambda arguments: scores(arguments, arguments.weights)),
    "plot": (Plot, plot),
    "report": (Report, make_report),
    "compare": (Compare, compare),
    "diagnose": (Diagnose, diagnose_run),
    "random-play": (RandomPlay, random_play),
    "readme": (Readme, readme),
    "lint": (Lint, lint_command),
    "probe": (Probe, probe),
}
GROUPS: dict[str, Commands] = {  # commands of two words
    "baseline": {
        "list": (BaselineList, baseline_list),
        "show": (BaselineShow, baseline_show),
        "create": (BaselineCreate, baseline_create),
        "promote": (BaselinePromote, baseline_promote),
    },
    "failures": {
        "run": (FailuresRun, failures_run),
        "plan": (FailuresPlan, failures_plan),
        "status": (FailuresStatus, failures_status),
        "table": (FailuresTable, failures_table),
        "plot": (FailuresPlot, failures_plot),
    },
    "gate": {
        "scores": (GateScores, gate_scores),
        "speed": (SpeedGate, gate_speed),
        "speed-baseline": (SpeedBaseline, speed_baseline),
        "calibrate": (GateCalibrate, gate_calibrate),
        "calibrate-speed": (CalibrateSpeed, calibrate_speed),
    },
}
IF_UNSAID = {"failures": "run"}  # the second word, where the first stands alone or before an option
GATES = ("scores", "speed")  # answer by exit code: 0 pass, 1 fail, 2 inconclusive, 3 error
DESCRIPTION = """The suite: runs a DQN on sets of Atari games and tells what its scores show.

  python -m benchmarks bench atari10                                        everything, on a small machine
  python -m benchmarks plan atari10                                         what it costs here
  python -m benchmarks bench atari10 --protocol nature --frames 10M --seeds 5   the paper's protocol
  python -m benchmarks gate scores | speed                                  did a change cost score or speed?
  python -m benchmarks baseline list | show | create | promote              what gates compare with
  python -m benchmarks failures run | plan | status | table | plot          what keeps a DQN from learning"""


def main(arguments: list[str] | None = None) -> int:
    """Exit code: 0 done, 1 a run failed or is missing, 2 a user's mistake, 130 interrupted; of a gate, its answer."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    if "TOX_ENV_NAME" in os.environ:  # tox, when it is killed, leaves its command running
        end_with_parent()
    words = sys.argv[1:] if arguments is None else arguments
    group = words[0] if words and words[0] in GROUPS else None
    commands = GROUPS[group] if group else COMMANDS
    if group in IF_UNSAID and (len(words) == 1 or (words[1].startswith("--") and words[1] != "--help")):
        words = [words[0], IF_UNSAID[words[0]], *words[1:]]
    mistake = 3 if group == "gate" and len(words) > 1 and words[1] in GATES else 2
    try:
        command = tyro.extras.subcommand_cli_from_dict(
            {name: kind for name, (kind, _) in commands.items()},
            prog=f"python -m benchmarks{f' {group}' if group else ''}",
            description=None if group else DESCRIPTION,
            args=words[1:] if group else words,
        )
        return next(action for kind, action in commands.values() if kind is type(command))(command)
    except SystemExit as leaving:  # how the reader of arguments ends, after --help too
        if leaving.code == 2:
            return mistake
        raise
    except UserError as error:
        Console(stderr=True, highlight=False, soft_wrap=True).print(f"error: {error}", style="red", markup=False)
        return mistake
    except KeyboardInterrupt:
        print("Interrupted. Finished runs are kept; the same command makes the rest.", file=sys.stderr)
        return 130


if __name__ == "__main__":
    os.environ.setdefault("MPLBACKEND", "agg")
    sys.exit(main())
