"""python -m benchmarks COMMAND: what can be typed is listed in COMMANDS and GROUPS below."""

from __future__ import annotations

import difflib
import errno
import os
import sys
import traceback
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
    Compare,
    Plan,
    Plot,
    RandomPlay,
    Readme,
    Report,
    Run,
    Scores,
    Status,
)
from benchmarks.baseline_commands import baseline_create, baseline_list, baseline_promote, baseline_show
from benchmarks.compare_command import compare
from benchmarks.console import say
from benchmarks.doctor.confusion.command import Confusion, confusion
from benchmarks.doctor.lint_command import Lint, lint_command
from benchmarks.doctor.probes.command import Probe, probe
from benchmarks.doctor.verdicts.command import Diagnose, diagnose_run
from benchmarks.failures.arguments import FailuresPlan, FailuresPlot, FailuresRun, FailuresStatus, FailuresTable
from benchmarks.failures.command import failures_plan, failures_plot, failures_run, failures_status, failures_table
from benchmarks.gates.calibrate_command import GateCalibrate, gate_calibrate
from benchmarks.gates.score_command import GateScores, gate_scores
from benchmarks.gates.speed_command import SpeedBaseline, SpeedGate, gate_speed, speed_baseline
from benchmarks.gates.speed_study import CalibrateSpeed, calibrate_speed
from benchmarks.jobs import end_when_told
from benchmarks.store import Store
from benchmarks.suite_commands import bench, make_report, plan, plot, run, scores, status
from dqn_ref.config import UserError
from dqn_ref.progress import reader_left

# ---------------------------------------------------------------------- commands too small for rooms of their own


def random_play(arguments: RandomPlay) -> int:
    """Play, print, store."""
    from benchmarks.random_play import POLICIES, as_record, games_named, markdown, play_all

    if arguments.episodes < 2 or arguments.processes < 1:
        raise UserError(
            f"Got {arguments.episodes} episodes in {arguments.processes} processes; expected at least 2 "
            "(an error needs two) in at least 1."
        )
    if arguments.results:
        Store(arguments.results).check_writable()
    played, records = [], []
    for each in play_all(games_named(arguments.games), arguments.episodes, arguments.processes):
        say(f"{each.game:18} {each.policy:12} {each.mean:10,.1f} +- {each.standard_error:,.1f}")
        played.append(each)
        if len(played) == len(POLICIES):
            records.append(as_record(played, arguments.episodes))
            if arguments.results:
                say(f"Stored in {Store(arguments.results).store_random_play(each.game, records[-1])}")
            played = []
    say("")
    say(markdown(records))
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
    "confusion": (Confusion, confusion),
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
# Of the group `gate` these do not answer by exit code (0 pass, 1 fail, 2 inconclusive, 3 error), where 2 is no mistake.
STUDIES = ("speed-baseline", "calibrate", "calibrate-speed")
DESCRIPTION = """The suite: runs a DQN on sets of Atari games and tells what its scores show.

  python -m benchmarks bench atari10                                        everything, on a small machine
  python -m benchmarks plan atari10                                         what it costs here
  python -m benchmarks bench atari10 --protocol nature --frames 10M --seeds 5   the paper's protocol

Groups of commands, which the list below leaves out:

  python -m benchmarks gate scores | speed                                  did a change cost score or speed?
  python -m benchmarks baseline list | show | create | promote              what gates compare with
  python -m benchmarks failures [run] | plan | status | table | plot        what keeps a DQN from learning"""


def main(arguments: list[str] | None = None) -> int:
    """Exit code: 0 done, 1 a run failed or is missing, 2 a user's mistake, 130 interrupted; of a gate, its answer."""
    end_when_told()
    words = sys.argv[1:] if arguments is None else arguments
    group = words[0] if words and words[0] in GROUPS else None
    commands = GROUPS[group] if group else COMMANDS
    if group in IF_UNSAID and (len(words) == 1 or (words[1].startswith("--") and words[1] != "--help")):
        words = [words[0], IF_UNSAID[words[0]], *words[1:]]
    mistake = 3 if group == "gate" and (len(words) < 2 or words[1] not in STUDIES) else 2
    makes_runs = words[:1] in (["run"], ["bench"]) or words[:2] == ["failures", "run"]
    try:
        if not group:
            _check_command(words)
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
    except BrokenPipeError:
        reader_left()
        return mistake if mistake == 3 else 1
    except Exception as error:
        if isinstance(error, OSError) and error.errno == errno.ENOSPC:
            print(f"error: {error.filename or 'standard output'}: {error.strerror}.", file=sys.stderr)
            reader_left()  # nor does it take what is still to be printed
            return mistake
        if mistake == 2:
            raise
        traceback.print_exc()  # Python would leave with 1, which of a gate means that something was lost
        return mistake
    except KeyboardInterrupt:
        kept = " Finished runs are kept; the same command makes the rest." if makes_runs else ""
        print(f"Interrupted.{kept}", file=sys.stderr)
        return 130


def _check_command(words: Sequence[str]) -> None:
    """Raises UserError: the first word is no command; the reader of arguments knows nothing of groups."""
    known = [*COMMANDS, *GROUPS]
    if words and not words[0].startswith("-") and words[0] not in known:
        near = "".join(f" Did you mean {word}?" for word in difflib.get_close_matches(words[0], known, 1))
        raise UserError(f"There is no command {words[0]!r}.{near} Commands are: {', '.join(known)}.")


if __name__ == "__main__":
    os.environ.setdefault("MPLBACKEND", "agg")
    sys.exit(main())
