"""python -m benchmarks diagnose: why does this run not learn?"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import tyro

from benchmarks.console import say
from benchmarks.outputs import write_text


@dataclass(frozen=True)
class Diagnose:
    """Say from a run's log alone why its DQN does not learn: causes with evidence, and the experiment to run next.

    Reads run folders of this project, TensorBoard events and CSV logs of CleanRL and Stable-Baselines3, and any other
    with --mapping (docs/diagnose.md).
    """

    run: tyro.conf.Positional[Path]
    """Run folder, folder of events, or log file; of one run."""
    mapping: Path | None = None
    """JSON or TOML file that says what a log of another program calls things."""
    game: str | None = None
    """Game of the run, where its log does not say it."""
    plots: Path | None = None
    """Folder to draw the evidence in."""
    json: bool = False
    """Print everything as JSON, for a program."""
    out: Path | None = None
    """File to write that JSON to, beside what is printed."""


def diagnose_run(arguments: Diagnose) -> int:
    """Print the diagnosis; 0 whatever it says, as a diagnosis is an answer and not a failure."""
    from benchmarks.doctor.verdicts import diagnose, read_log
    from benchmarks.doctor.verdicts.report import lines

    found = diagnose(read_log(arguments.run, arguments.mapping, arguments.game))
    text = json.dumps(found.as_json(), indent=1, allow_nan=False)
    if arguments.json:
        print(text)
    else:
        for line in lines(found):
            say(line)
    if arguments.out:
        write_text(arguments.out, text + "\n", [arguments.run])
    if arguments.plots:
        from benchmarks.doctor.verdicts.drawing import draw_evidence

        files = draw_evidence(found, arguments.plots)
        if not arguments.json:
            say(f"Drawn: {', '.join(map(str, files))}")
    return 0
