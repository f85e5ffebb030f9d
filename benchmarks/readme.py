"""The generated parts of the pages: every measured number in them comes from results/ through here."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks import baselines, learning, random_play
from benchmarks.costs import format_seconds
from benchmarks.doctor.confusion import tables
from benchmarks.doctor.confusion.counts import held_out
from benchmarks.doctor.confusion.drawing import draw_confusion
from benchmarks.doctor.confusion.runs import finished
from benchmarks.doctor.lint_command import rules_table
from benchmarks.doctor.probes.ladder import ladder_table
from benchmarks.doctor.probes.matrix import matrix_markdown, read_matrix
from benchmarks.doctor.verdicts import diagnose, read_log
from benchmarks.doctor.verdicts.report import brief
from benchmarks.doctor.verdicts.tables import bars_markdown, causes_markdown
from benchmarks.failures import answer
from benchmarks.failures.drawings import draw_groups
from benchmarks.failures.table import NO_RUNS, markdown_of_all, markdown_of_variants
from benchmarks.gates.calibration import TABLES as GATE_TABLES
from benchmarks.gates.calibration_drawing import draw_calibration
from benchmarks.gates.speed_samples import Measurement
from benchmarks.gates.speed_study import CalibrateSpeed
from benchmarks.gates.speed_study import markdown as speed_study
from benchmarks.learning_drawing import draw_learning
from benchmarks.markdown import table
from benchmarks.plots import draw_all, draw_comparison
from benchmarks.protocols import protocols_table
from benchmarks.report import markdown, score_report
from benchmarks.runner import Matrix
from benchmarks.scores import ScoreMatrix
from benchmarks.sources import DOPAMINE, published
from benchmarks.speed.drawings import draw_speed
from benchmarks.speed.peers import SCHEMA as PEERS_SCHEMA
from benchmarks.speed.peers import markdown as speed_markdown
from benchmarks.speed.result import markdown as bench_markdown
from benchmarks.speed.trend import draw_trends
from benchmarks.store import Store, read_stored
from benchmarks.suites import suite_games
from dqn_ref.config import UserError
from dqn_ref.provenance import machine_words, source_words
from dqn_ref.records import RunRecord

PAGES = (
    Path("README.md"),
    Path("docs/fidelity.md"),
    Path("docs/speed.md"),
    Path("docs/gates.md"),
    Path("docs/score-gate.md"),
    Path("docs/diagnose.md"),
    Path("docs/failures.md"),
    Path("docs/why-dqn-fails.md"),
    Path("docs/long-runs.md"),
    Path("docs/doctor.md"),
    Path("docs/lint.md"),
)
IMAGES = Path("docs/images")
COMPARED_FRAMES = 10_000_000


def update_page(path: Path, store: Store, *, write: bool) -> bool:
    """Bring the marked parts of the page at ``path`` in line with the results; returns whether they differed.

    A part lies between ``<!-- generated: NAME -->`` and ``<!-- end -->``.

    Raises:
        UserError: a part is unknown, or the results that it needs are not there.
    """
    if not path.exists():
        raise UserError(f"There is no {path} here. Run this in the project's root.")
    text = path.read_text(encoding="utf-8")

    def replace(match: re.Match[str]) -> str:
        if match["name"] not in PARTS:
            raise UserError(f"{path} asks for the part {match['name']!r}; known are: {', '.join(PARTS)}.")
        try:
            part = PARTS[match["name"]](store)
        except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
            raise UserError(
                f"{path}: the part {match['name']} cannot be made of {store.root} ({type(error).__name__}: {error}). A "
                "file there may be broken; restore it from version control."
            ) from error
        return f"<!-- generated: {match['name']} -->\n{part}<!-- end -->"

    new = re.sub(r"<!-- generated: (?P<name>.+?) -->\n.*?<!-- end -->", replace, text, flags=re.DOTALL)
    if write:
        path.write_text(new, encoding="utf-8")
        for draw in DRAWINGS.get(path.name, ()):
            draw(store, path.parent / (IMAGES if path.name == "README.md" else IMAGES.name))
    return new != text


def draw_baseline(store: Store, folder: Path) -> list[Path]:
    """Draw the stored ``ci`` baseline of Atari-10 into ``folder``."""
    matrix, scores, records = _baseline(store)
    return draw_all(matrix, scores, records, folder)


def draw_published(_: Store, folder: Path) -> list[Path]:
    """Draw two published DQNs of Dopamine beside each other into ``folder``: what a comparison looks like."""
    first, second = map(published, DOPAMINE)
    return draw_comparison(first, second, COMPARED_FRAMES, suite_games("atari10"), folder, prefix="published-")


def draw_speeds(store: Store, folder: Path) -> list[Path]:
    """Draw the stored speed of each machine, and how it went over time, into a folder of its own under ``folder``."""
    drawn = list[Path]()
    for machine in sorted((store.root / "speed").glob("*/")):
        images = folder / f"speed-{machine.name}"
        if (machine / "speed.json").exists():
            drawn += draw_speed(read_stored(machine / "speed.json"), images)
        drawn += draw_trends(machine, images)
    return drawn


def draw_doctor(store: Store, folder: Path) -> list[Path]:
    """Draw the doctor's confusion matrix into a folder of its own under ``folder``; nothing without runs."""
    return draw_confusion(finished(store), folder / "doctor")


def draw_gate(store: Store, folder: Path) -> list[Path]:
    """Draw how large a drop the score gate finds, into ``folder``."""
    return draw_calibration(_score_calibration(store), folder)


def _confusion(store: Store) -> str:
    looked = finished(store)
    if not looked:
        return NO_RUNS
    drawing = "\n![fault put in by fault diagnosed](images/doctor/confusion.png)\n" if held_out(looked) else ""
    return tables.markdown(looked) + drawing


def _baseline(store: Store) -> tuple[Matrix, ScoreMatrix, list[RunRecord]]:
    found = baselines.read(store, Matrix.of("atari10", "ci").name)
    return found.matrix, found.scores, found.records


def _scores(store: Store) -> str:
    matrix, scores, _ = _baseline(store)
    return markdown(score_report(matrix, scores))


def _speed(store: Store) -> str:
    found = [read_stored(path) for path in sorted((store.root / "speed").glob("*/peers.json"))]
    shown = [result for result in found if result["schema"] == PEERS_SCHEMA]  # an older one knew fewer peers
    if not shown:
        raise UserError(f"{store.root / 'speed'} holds no measurement; run tox -e bench-peers -- --results results.")
    return "\n".join(map(speed_markdown, shown))


def _bench_speed(store: Store) -> str:
    paths = sorted((store.root / "speed").glob("*/speed.json"))
    if not paths:
        raise UserError(f"{store.root / 'speed'} holds no measurement; run tox -e bench-speed -- --results results.")
    return "\n".join(bench_markdown(read_stored(path)) for path in paths)


def _counted(store: Store) -> str:
    from benchmarks.speed.counted import MEMBERS, count_work, markdown  # imports torch

    return markdown([count_work(members) for members in MEMBERS])


def _diagnosis_example(store: Store) -> str:
    run = store.root / "failures" / "early-v1-100k" / "no-target-network" / "ms_pacman-s1"
    return "\n".join(["```", *brief(diagnose(read_log(run))), "```", ""])


def _time(store: Store) -> str:
    runs = [record.run for record in _baseline(store)[2]]
    start = min(datetime.fromisoformat(run["started"]) for run in runs)
    seconds = (max(datetime.fromisoformat(run["ended"]) for run in runs) - start).total_seconds()
    where, source = runs[0]["provenance"]["machine"], runs[0]["provenance"]["source"]
    return (
        f"These {len(runs)} runs took {format_seconds(seconds)} on {machine_words(where)} "
        f"(source {source_words(source)}); a run's start-up, until it makes its games and networks, took "
        f"{format_seconds(median(float(run['startup_seconds']) for run in runs))} (median).\n"
    )


def _speed_gate(store: Store) -> str:
    paths = sorted((store.root / "speed").glob("*/aa.json"))
    if not paths:
        raise UserError(f"{store.root / 'speed'} holds no rounds; run python -m benchmarks gate calibrate-speed.")
    study = CalibrateSpeed()
    return "\n".join(speed_study(Measurement.read(path), study.gate_rounds, study.resamples) for path in paths)


def mutants_table(stored: Mapping[str, Any]) -> str:
    """What tools/mutants.py found, as Markdown."""
    words = ("mutant", "what is broken", "first noticed by")
    rows = []
    for row in stored["mutants"]:
        by = f"`{row['caught_by']}`" if row["caught_by"] else "**nothing**"
        rows.append((row["name"], row["what"], by, f"{row['seconds']:.0f}"))
    origin = f"On {machine_words(stored['machine'])}, source {source_words(stored['source'])}."
    return f"{table((*words, 'after, s'), rows, words)}\n{origin}\n"


def _mutants(store: Store) -> str:
    path = store.root / "gates" / "mutants.json"
    if not path.exists():
        raise UserError(f"There is no {path}; run tox -e mutants -- --results {path}.")
    return mutants_table(read_stored(path))


def _score_calibration(store: Store) -> dict[str, Any]:
    path = store.score_calibration
    if not path.exists():
        raise UserError(f"There is no {path}; run python -m benchmarks gate calibrate --results {store.root}.")
    return read_stored(path)  # type: ignore[no-any-return]


def _gate(table: Callable[[Mapping[str, Any]], str]) -> Callable[[Store], str]:
    return lambda store: table(_score_calibration(store))


PARTS: dict[str, Callable[[Store], str]] = {
    "scores": _scores,
    "learning": learning.markdown,
    "speed": _speed,
    "bench-speed": _bench_speed,
    "counted": _counted,
    "protocols": lambda store: protocols_table(),
    "diagnosis-example": _diagnosis_example,
    "time": _time,
    "random-play": lambda store: random_play.markdown(random_play.stored(store)),
    "speed-gate": _speed_gate,
    "mutants": _mutants,
    "verdict-causes": lambda store: causes_markdown(),
    "verdict-bars": lambda store: bars_markdown(),
    "lint-rules": lambda store: rules_table(),
    "confusion": _confusion,
    "probe-ladder": lambda store: ladder_table(),
    "probe-matrix": lambda store: matrix_markdown(read_matrix(store)),
    "failure-variants": lambda store: markdown_of_variants(),
    "why-rise": answer.rise,
    "why-published": answer.published_early,
    "why-learning": answer.state_of_learning,
    "why-control": answer.beside_the_control,
    "why-sparse": answer.sparseness,
    "why-claims": answer.claims,
    "why-untried": answer.untried,
    "measuring-cost": answer.cost_of_measuring,
    "failures": lambda store: markdown_of_all(store, "images"),
    **{name: _gate(table) for name, table in GATE_TABLES.items()},
}

# By the page that is written with them.
DRAWINGS: dict[str, tuple[Callable[[Store, Path], list[Path]], ...]] = {
    "README.md": (draw_baseline, draw_published),  # the published ones are for docs/plots.md
    "speed.md": (draw_speeds,),
    "gates.md": (draw_gate,),
    "failures.md": (draw_groups,),
    "long-runs.md": (draw_learning,),
    "doctor.md": (draw_doctor,),
}
