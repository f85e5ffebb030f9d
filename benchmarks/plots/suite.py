"""All drawings of a suite: its runs, and what was published at the same budget beside them."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path

from matplotlib.figure import Figure

from benchmarks.baselines import find
from benchmarks.curves import AVERAGED_POINTS, Curves, point_frames
from benchmarks.plots.aggregates import intervals, profile
from benchmarks.plots.curves import efficiency, learning_curves
from benchmarks.plots.games import game_bars, improvement
from benchmarks.plots.shown import Shown, measured_words, prediction_lines, published_at, published_note, shown_at
from benchmarks.plots.style import save_figure, short_frames
from benchmarks.runner import Matrix
from benchmarks.scores import ScoreMatrix, evaluation_measurement, score_matrix, training_curves
from benchmarks.sources import DOPAMINE, published
from benchmarks.store import Store
from benchmarks.words import count, revisions
from dqn_ref.config import format_frames
from dqn_ref.records import RunRecord

OURS = "dqn-ref"
NAMES = ("learning_curves", "games", "intervals", "profile", "sample_efficiency", "improvement")


def draw_all(
    matrix: Matrix, scores: ScoreMatrix, records: Sequence[RunRecord], folder: Path, others: Sequence[Shown] = ()
) -> list[Path]:
    """Draw everything that ``scores`` allow into ``folder``; returns the files.

    Published sources that have the games at the matrix's budget stand beside its scores, and so do ``others``, such
    as a stored baseline. ``records`` are the matrix's finished runs, at least one.
    """
    training, behind = training_curves(f"{OURS} (training)", records), published(DOPAMINE[0])
    covered, first = matrix.frames >= behind.frames[0], format_frames(int(behind.frames[0]))
    caption = [_caption(matrix, records)]
    if not covered:
        caption.append(f"No published score stands beside these: the first are at {first} frames.")
    span = short_frames(point_frames(matrix.frames))
    points = f"A point: mean of the full episodes in the last {AVERAGED_POINTS} spans of {span} frames."
    sources = [training, behind] if covered else [training]
    notes = [points, *published_note(sources)]
    figures = {"learning_curves": learning_curves(sources, matrix.games, [*caption, " ".join(notes)])}
    if not scores.missing:
        ours = Shown(f"{OURS} (evaluation)", scores.matrix(), _measured(matrix, scores))
        figures |= _aggregated(matrix, [ours, *others], training, caption)
    return write(figures, folder)


def _aggregated(matrix: Matrix, rows: list[Shown], training: Curves, caption: Sequence[str]) -> dict[str, Figure]:
    """What needs every run of the matrix; ``rows`` are its evaluation's scores, and others' to stand beside them."""
    games, frames = matrix.games, matrix.frames
    found = published_at(frames, games)
    theirs, pair = [shown_at(each, frames, games) for each in found], rows[:2]
    caption = [*caption, *published_note([training, *found])]
    if theirs:
        if frames in training.budgets(games):  # training returns beside training returns
            rows = [*rows, shown_at(training, frames, games)]
        pair = pair if len(pair) == 2 else [rows[-1], theirs[0]]
        rows = [*rows, *theirs]
    figures = {
        "games": game_bars(rows, games, caption),
        "intervals": intervals(rows, [*caption, *(prediction_lines(rows, games) if theirs else [])]),
        "profile": profile(rows, caption),
    }
    if len(pair) == 2:
        figures["improvement"] = improvement(pair[0], pair[1], games, caption)
    budgets = training.budgets(games)
    if len(budgets) > 1:
        sources = [training, *(until(each, budgets[-1]) for each in found)]
        figures["sample_efficiency"] = efficiency(sources, games, caption)
    return figures


def stored_baseline(matrix: Matrix, store: Store) -> Shown | None:
    """The stored baseline of ``matrix``, as a row to draw; None if there is none of so many seeds.

    Raises:
        UserError: it was changed by hand.
    """
    if not store.baseline(matrix.name).is_dir():
        return None
    find(store, matrix.name)  # checks its seal
    cells = matrix.cells(store, store.baseline(matrix.name))
    scores = score_matrix(matrix.games, cells)
    if scores.missing:
        return None
    source = revisions(cell.record for cell in cells if cell.record)
    return Shown("stored baseline", scores.matrix(), f"{_measured(matrix, scores)}, {source}")


def _measured(matrix: Matrix, scores: ScoreMatrix) -> str:
    words = measured_words(evaluation_measurement(matrix.config, scores.weights))
    return f"{words}, {format_frames(matrix.frames)} frames, {count(scores.num_seeds, 'seed')}"


def _caption(matrix: Matrix, records: Sequence[RunRecord]) -> str:
    """Protocol, budget, seeds, source revisions."""
    label = matrix.protocol.label()
    caveat = " (not the paper's protocol)" if matrix.protocol.name == "ci" else ""
    return (
        f"{matrix.suite}, {label}{caveat}, {format_frames(matrix.frames)} frames, {count(matrix.num_seeds, 'seed')}, "
        f"{revisions(records)}."
    )


def until(source: Curves, frames: int) -> Curves:
    """The same up to a budget. Raises UserError: it begins later."""
    inside = source.frames <= frames
    raw = {game: {seed: values[inside] for seed, values in runs.items()} for game, runs in source.raw.items()}
    return dataclasses.replace(source, frames=source.frames[inside], raw=raw)


def write(figures: Mapping[str, Figure], folder: Path, prefix: str = "") -> list[Path]:
    """Write ``figures`` by name; a drawing of these kinds that is no longer drawn, of other data, is removed."""
    for name in set(NAMES) - set(figures):
        for suffix in (".png", ".svg"):
            if (old := folder / f"{prefix}{name}{suffix}").exists():
                old.unlink()
    return [path for name, figure in figures.items() for path in save_figure(figure, folder / f"{prefix}{name}")]
