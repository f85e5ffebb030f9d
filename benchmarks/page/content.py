"""Everything that the page says, as plain data: collected from records, nothing typed in by hand."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import dqn_ref
from benchmarks import baselines
from benchmarks.curves import point_frames, training_points
from benchmarks.gates.verdict import GateResult
from benchmarks.page.asked import Asked
from benchmarks.page.charts import Chart, Line, efficiency, game_bars, intervals, learning_curve, profile
from benchmarks.page.doctor import Doctor, doctor
from benchmarks.page.foreign import NOT_RECORDED, clean
from benchmarks.page.games import Game, Rival, comparable, game_row, published_score, rivals
from benchmarks.page.origins import Cost, Fact, Hyperparameter, commands, cost, facts, hyperparameters, roms
from benchmarks.reference import human_and_random
from benchmarks.report import score_report
from benchmarks.runner import Matrix
from benchmarks.scores import ScoreMatrix, evaluation_measurement, full_episodes, score_matrix, training_curves
from benchmarks.sources import DOPAMINE, published
from benchmarks.statistics import Interval, coverage_note, predicted_median, prediction_note, sample_efficiency
from dqn_ref.config import UserError
from dqn_ref.protocols import NATURE
from dqn_ref.provenance import source_revision
from dqn_ref.records import RunRecord


@dataclass(frozen=True)
class Generator:
    """The program that made the page; equal records and an equal generator give an equal page."""

    version: str
    commit: str
    dirty: bool
    packages: tuple[tuple[str, str], ...]  # that the intervals depend on

    @classmethod
    def here(cls) -> Generator:
        """This program."""
        source = source_revision()
        packages = tuple((name, importlib.metadata.version(name)) for name in ("rliable", "arch", "numpy", "scipy"))
        return cls(dqn_ref.__version__, source["commit"] or NOT_RECORDED, bool(source["dirty"]), packages)


@dataclass(frozen=True)
class Content:
    """The page."""

    asked: Asked
    generator: Generator
    reason: str  # why the baseline was stored, and when; empty for runs
    stored: str
    missing: tuple[str, ...]
    total: int
    aggregates: dict[str, Interval] | None
    predicted: float | None
    notes: tuple[str, ...]
    coverage: str
    prediction: str
    rivals: tuple[Rival, ...]
    gates: tuple[tuple[str, GateResult], ...]
    games: tuple[Game, ...]
    curves: tuple[Chart, ...]
    charts: dict[str, Chart]
    span_frames: int
    hyperparameters: tuple[Hyperparameter, ...]
    facts: tuple[Fact, ...]
    roms: dict[str, list[str]]
    cost: Cost
    typed: tuple[tuple[str, str], ...]
    doctor: Doctor | None  # None where no run of the failures suite is finished

    @property
    def folder(self) -> str:
        """Where the records are, as text."""
        return clean(str(self.asked.folder))

    @property
    def finished(self) -> int:
        """Runs that have a score."""
        return self.total - len(self.missing)

    @property
    def published_source(self) -> str:
        """The source of the column of published scores: the first of those that have most games; empty if none has."""
        sources = [each.source for game in self.games for each in game.published]
        return max(sources, key=sources.count, default="")

    @property
    def published_differences(self) -> list[str]:
        """What keeps that source's scores from being compared with these."""
        ours = evaluation_measurement(self.asked.matrix.config)
        return ours.differences(published(self.published_source).measured) if self.published_source else []

    @property
    def sections(self) -> dict[str, list[Fact]]:
        """The facts under their headings, in the records' order."""
        return {each.section: [fact for fact in self.facts if fact.section == each.section] for each in self.facts}

    @property
    def warnings(self) -> list[str]:
        """What a careful reader would find in the provenance, said aloud."""
        found = [
            f"The runs are not all of one origin: {fact.section}, {fact.name}: {'; '.join(v for v, _ in fact.values)}."
            for fact in self.facts
            if fact.differs
        ]
        dirty = [fact.values for fact in self.facts if (fact.section, fact.name) == ("source", "uncommitted changes")]
        runs = [runs for values in dirty for value, runs in values if value == "yes"]
        found += [f"The source of {each} had uncommitted changes: it cannot be had again." for each in runs]
        found += [words for name, gate in self.gates for words in self._elsewhere(name, gate)]
        found += [f"The ROM of {game} is not the same in all its runs." for game, sums in self.roms.items() if sums[1:]]
        return found

    def _elsewhere(self, name: str, gate: GateResult) -> list[str]:
        """What a gate judged, where that is not what the page shows."""
        matrix = self.asked.matrix
        shown = {"suite": matrix.suite, "protocol": matrix.protocol.label(), "frames": str(matrix.frames)}
        return [
            f"The {gate.gate} gate of {name} judged {what} {gate.compared[what]}, not {own}, which is shown here."
            for what, own in shown.items()
            if gate.compared.get(what, own) != own
        ]

    @property
    def scaled_down(self) -> bool:
        """Whether the protocol is not the paper's."""
        return not comparable(self.asked.matrix)

    @property
    def shortened(self) -> bool:
        """Whether the runs stop before the paper's do."""
        return not self.scaled_down and self.asked.matrix.frames < NATURE.config.total_frames


def collect(asked: Asked, gates: Sequence[tuple[str, GateResult]], page: Path, generator: Generator) -> Content:
    """Everything for a page that will lie at ``page``; ``gates`` are (name of the file, result).

    Raises:
        UserError: no run is finished, or a record is broken or of another setting.
    """
    matrix = asked.matrix
    cells = matrix.cells(asked.store, asked.folder)
    scores = score_matrix(matrix.games, cells)
    records = [cell.record for cell in cells if cell.record and cell.status == "finished"]
    if not records:
        raise UserError(f"There is nothing to report: no run of {matrix.group} is finished in {asked.folder}.")
    report = score_report(matrix, scores)
    complete = None if scores.missing else scores.matrix()
    stored = _stored(asked)
    return Content(
        asked=asked,
        generator=generator,
        reason=stored[0],
        stored=stored[1],
        missing=scores.missing,
        total=len(cells),
        aggregates=report.aggregates,
        predicted=None if complete is None else predicted_median(complete, matrix.games, matrix.suite),
        notes=tuple(report.notes[:2]),
        coverage=coverage_note(scores.num_seeds) if complete is not None else "",
        prediction=prediction_note(matrix.suite) if complete is not None else "",
        rivals=rivals(matrix, scores),
        gates=tuple(gates),
        games=tuple(game_row(matrix, game, [c for c in cells if c.member.game == game], page) for game in matrix.games),
        curves=tuple(_curve(matrix, game, [r for r in records if r.member.game == game]) for game in matrix.games),
        charts=_charts(scores, records, report.aggregates),
        span_frames=point_frames(matrix.frames),
        hyperparameters=tuple(hyperparameters(matrix.config)),
        facts=tuple(facts(records)),
        roms=roms(records),
        cost=cost(records),
        typed=tuple(commands(records)),
        doctor=doctor(asked.store),
    )


def _stored(asked: Asked) -> tuple[str, str]:
    if not asked.baseline:
        return "", ""
    when, why = baselines.last_word(baselines.find(asked.store, asked.baseline)[0])
    return clean(why), clean(when)


# ---------------------------------------------------------------------- charts


def _charts(
    scores: ScoreMatrix, records: Sequence[RunRecord], aggregates: dict[str, Interval] | None
) -> dict[str, Chart]:
    """By key; what needs every run is absent if one is missing."""
    by_seed = {g: dict(zip(sorted(scores.raw[g]), scores.normalised(g).tolist(), strict=True)) for g in scores.games}
    found = [game_bars(by_seed)]
    if aggregates:
        found.append(intervals({name: i for name, i in aggregates.items() if name != "optimality gap"}))
        found.append(profile(scores.matrix()))
        curves = training_curves("this page", records)
        if len(frames := curves.budgets(scores.games)) > 1:
            matrices = np.stack([curves.at(budget, scores.games) for budget in frames], axis=-1)
            found.append(efficiency(frames, *sample_efficiency(matrices)))
    return {chart.key: chart for chart in found}


def _curve(matrix: Matrix, game: str, records: Sequence[RunRecord]) -> Chart:
    """The game's panel: spans in which no episode ended have no point, and the line goes on."""
    curves = {r.member.seed: training_points(*full_episodes(r), matrix.frames) for r in records}
    lines = [_line(f"seed {seed}", "seed" if len(curves) > 1 else "mean", *curve) for seed, curve in curves.items()]
    if len(curves) > 1:
        frames, together = next(iter(curves.values()))[0], np.stack([points for _, points in curves.values()])
        lines.append(_line("mean of seeds", "mean", frames, together.mean(axis=0)))  # NaN where one seed has no point
    if comparable(matrix):
        budgets = published(DOPAMINE[0]).frames[published(DOPAMINE[0]).frames <= matrix.frames]
        theirs = [published_score(DOPAMINE[0], game, budget) for budget in budgets.tolist()]
        scores = np.array([each.score if each else np.nan for each in theirs], np.float64)
        lines.append(_line("published", "published", budgets, scores))
    shown = [each for each in lines if len(each.frames)]
    return learning_curve(game, shown, human_and_random()[game].random, matrix.frames)


def _line(name: str, kind: str, frames: NDArray[np.int64], values: NDArray[np.float64]) -> Line:
    known = np.isfinite(values)
    return Line(name, kind, frames[known], values[known])
