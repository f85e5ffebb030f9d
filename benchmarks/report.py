"""Results in words and tables, for a terminal and for the README."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from rich.table import Table

from benchmarks.costs import Costs, format_seconds
from benchmarks.markdown import table as markdown_table
from benchmarks.reference import human_and_random
from benchmarks.runner import Matrix
from benchmarks.scores import ScoreMatrix
from benchmarks.sources import DOPAMINE, published
from benchmarks.statistics import AGGREGATES, Interval, aggregates, coverage_note
from benchmarks.suites import suite_games
from benchmarks.words import count
from dqn_ref.config import UserError, format_frames


@dataclass(frozen=True)
class ScoreReport:
    """Everything that the score table says, before it is drawn."""

    matrix: Matrix
    rows: list[tuple[str, ...]]
    aggregates: dict[str, Interval] | None
    notes: list[str]


NETWORKS = {"last": "final network", "best": "best network (of the iteration with the highest training returns)"}
HEADER = ("game", "seeds", "score", "random", "human", "human-normalised")


def score_report(matrix: Matrix, scores: ScoreMatrix) -> ScoreReport:
    """Scores of a suite: a row per game, the aggregates if no cell is missing, and what must be said."""
    rows = list[tuple[str, ...]]()
    for game in matrix.games:
        raw, anchors = list(scores.raw[game].values()), human_and_random()[game]
        mean = f"{np.mean(raw):,.1f}" if raw else "-"
        normalised = f"{scores.normalised(game).mean():.3f}" if raw else "-"
        rows.append((game, str(len(raw)), mean, f"{anchors.random:,.1f}", f"{anchors.human:,.1f}", normalised))
    config = matrix.config
    notes = [
        f"Protocol {matrix.protocol.label()}, {format_frames(matrix.frames)} frames: {matrix.suite_protocol.caveat}.",
        f"Score: mean raw return of the {NETWORKS[scores.weights]}, {config.evaluation_episodes} episodes of at most "
        f"{config.evaluation_max_frames:,} frames, epsilon {config.evaluation_epsilon}.",
    ]
    if scores.missing:
        notes.append(f"No aggregate: {len(scores.missing)} of {len(matrix.members)} runs have no score.")
        notes += [f"  {cell}" for cell in scores.missing]
        return ScoreReport(matrix, rows, None, notes)
    if note := coverage_note(scores.num_seeds):
        notes.append(note)
    return ScoreReport(matrix, rows, aggregates(scores.matrix()), notes)


def score_table(report: ScoreReport) -> Table:
    """The report as a table for a terminal."""
    matrix = report.matrix
    seeds = count(matrix.num_seeds, "seed")
    table = Table(title=f"{matrix.suite}, {matrix.group}, {seeds}", box=None, title_justify="left")
    for name in HEADER:
        table.add_column(name, justify="left" if name == "game" else "right", no_wrap=True)
    for row in report.rows:
        table.add_row(*row)
    if report.aggregates:
        table.add_section()
        for name, interval in report.aggregates.items():
            table.add_row(name, "", "", "", "", format_interval(interval))
    return table


def format_interval(interval: Interval) -> str:
    """``0.012 [0.008, 0.019]``, or the point alone."""
    ends = "" if interval.low is None else f" [{interval.low:z.3f}, {interval.high:z.3f}]"
    return f"{interval.point:z.3f}{ends}"


def markdown(report: ScoreReport) -> str:
    """The report as Markdown, for the README."""
    rows = [*report.rows]
    for name, interval in (report.aggregates or {}).items():
        rows.append((f"**{name}**", "", "", "", "", f"**{format_interval(interval)}**"))
    return "\n".join([markdown_table(HEADER, rows), *report.notes]) + "\n"


# ---------------------------------------------------------------------- plain words


def what_it_shows(report: ScoreReport, costs: Costs, at_once: int, *, evaluate_iterations: bool = False) -> str:
    """What the budget can and cannot show, and what the paper's run would cost here, evaluated as this one was."""
    matrix = report.matrix
    if matrix.protocol.name != "ci":
        return _nature_words(report)
    command = "tox -e bench-atari10 --" if matrix.suite == "atari10" else f"python -m benchmarks bench {matrix.suite}"
    options = "--seeds 5 --evaluate-iterations" if evaluate_iterations else "--seeds 5"
    paper = Matrix.of(matrix.suite, "nature")
    twentieth = Matrix.of(matrix.suite, "nature", 10_000_000)
    cost, part = (
        format_seconds(
            costs.suite_seconds(each.config, len(each.members), at_once, evaluate_iterations=evaluate_iterations)
        )
        for each in (paper, twentieth)
    )
    return (
        "What this shows: the whole path works on real games here, from emulator to interval. The same seeds on the\n"
        "same machine give the same runs, so whatever changes the algorithm changes this table.\n"
        f"What it cannot show: whether this DQN is as good as the paper's. After {format_frames(matrix.frames)} frames "
        "a DQN has learnt next to\n"
        f"nothing on these games: {_published_words(1)}.\n"
        "Expect scores near the random policy's, often below it, that differ mostly by chance.\n"
        f"The paper's run:  {command} --protocol nature {options}\n"
        f"  {len(paper.members)} runs of 200M frames; on this machine about {cost}.\n"
        f"Its first twentieth, where published curves leave the floor:  "
        f"{command} --protocol nature --frames 10M {options}\n"
        f"  on this machine about {part}."
    )


def _nature_words(report: ScoreReport) -> str:
    millions = report.matrix.frames // 1_000_000
    try:
        published = _published_words(millions)
    except UserError:
        published = "no published figure is stored for this budget"
    return f"To compare with: {published} (training returns, sticky actions; a different protocol)."


def _published_words(millions: int) -> str:
    scores = published(DOPAMINE[0]).at(millions * 1_000_000, suite_games("atari10"))
    iqm = AGGREGATES["IQM"](scores)
    return (
        f"a published DQN's IQM over Atari-10 is {iqm:.3f} at {millions}M frames ({DOPAMINE[0]}, {len(scores)} seeds)"
    )
