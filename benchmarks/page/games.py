"""A row a game: every run's score, and what published DQNs scored at the same number of frames."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np

from benchmarks.page.foreign import clean
from benchmarks.reference import human_and_random
from benchmarks.runner import Matrix
from benchmarks.scores import ScoreMatrix, evaluation_measurement, protocol_evaluation, run_score
from benchmarks.sources import PUBLISHED, published
from benchmarks.statistics import AGGREGATES
from benchmarks.store import Cell
from dqn_ref.config import UserError
from dqn_ref.protocols import NATURE
from dqn_ref.records import RunRecord


@dataclass(frozen=True)
class Published:
    """What one published DQN scored on one game at the runs' number of frames."""

    source: str
    seeds: int
    score: float
    sd: float | None


@dataclass(frozen=True)
class Seed:
    """One run of a game."""

    seed: int
    name: str
    status: str
    reason: str  # why it has no score, as far as its record says
    score: float | None = None
    normalised: float | None = None
    best: float | None = None  # score of the best network, if that one was evaluated too
    returns: tuple[float, ...] = ()  # of the evaluation's episodes
    videos: tuple[tuple[str, str], ...] = ()  # link relative to the page, name


@dataclass(frozen=True)
class Game:
    """A row of the table of games; ``mean`` and ``sd`` are over the seeds that have a score."""

    name: str
    random: float
    human: float
    seeds: tuple[Seed, ...]
    published: tuple[Published, ...]

    def published_by(self, source: str) -> Published | None:
        """What ``source`` scored."""
        return next((each for each in self.published if each.source == source), None)

    @property
    def scores(self) -> list[float]:
        """Raw scores of the seeds that have one."""
        return [seed.score for seed in self.seeds if seed.score is not None]

    @property
    def mean(self) -> float | None:
        """Mean raw score; None if no seed has one."""
        return float(np.mean(self.scores)) if self.scores else None

    @property
    def sd(self) -> float | None:
        """Standard deviation over seeds, with n - 1; None below two."""
        return float(np.std(self.scores, ddof=1)) if len(self.scores) > 1 else None

    @property
    def normalised(self) -> float | None:
        """Mean human-normalised score."""
        known = [seed.normalised for seed in self.seeds if seed.normalised is not None]
        return float(np.mean(known)) if known else None


@dataclass(frozen=True)
class Rival:
    """A published DQN over the same games at the same number of frames."""

    source: str
    seeds: int
    iqm: float
    differences: tuple[str, ...]  # what keeps the two from being compared


def comparable(matrix: Matrix) -> bool:
    """Whether the runs are of the paper's protocol, so that published scores may stand beside them."""
    return matrix.protocol.name == NATURE.name


def game_row(matrix: Matrix, game: str, cells: Sequence[Cell], page: Path) -> Game:
    """The row of ``game``, whose ``cells`` are these, on a page that will lie at ``page``."""
    anchors = human_and_random()[game]
    found = [published_score(source, game, matrix.frames) for source in PUBLISHED] if comparable(matrix) else []
    return Game(
        name=game,
        random=anchors.random,
        human=anchors.human,
        seeds=tuple(_seed(cell, page) for cell in cells),
        published=tuple(each for each in found if each),
    )


def published_score(source: str, game: str, frames: int) -> Published | None:
    """What a published DQN scored on ``game`` after exactly ``frames``; None if that is not known."""
    known = published(source).raw_at(game, frames)
    if not len(known):
        return None
    sd = float(known.std(ddof=1)) if len(known) > 1 else None
    return Published(source, len(known), float(known.mean()), sd)


def _seed(cell: Cell, page: Path) -> Seed:
    record = cell.record
    if record is None or cell.status != "finished":
        error = record.run.get("error") if record else None
        reason = clean(error.strip().splitlines()[-1]) if isinstance(error, str) and error.strip() else ""
        return Seed(cell.member.seed, cell.name, cell.status, reason)
    score = run_score(record)
    return Seed(
        seed=cell.member.seed,
        name=cell.name,
        status=cell.status,
        reason="",
        score=score,
        normalised=human_and_random()[cell.member.game].normalise(score),
        best=_best(record),
        returns=_returns(protocol_evaluation(record)["episodes"]),
        videos=tuple((_link(video, page), clean(video.name)) for video in sorted(cell.folder.glob("video-*.mp4"))),
    )


def _best(record: RunRecord) -> float | None:
    try:
        return run_score(record, "best")
    except UserError:  # not every run evaluates it
        return None


def _returns(episodes: Any) -> tuple[float, ...]:
    rows = [row.get("raw_return") for row in episodes if isinstance(row, dict)] if isinstance(episodes, list) else []
    return tuple(float(value) for value in rows if isinstance(value, int | float))


def _link(target: Path, page: Path) -> str:
    """Relative, so that the folder can be moved or sent with its page."""
    return quote(os.fsencode(os.path.relpath(target.absolute(), page.absolute().parent)))


# ---------------------------------------------------------------------- beside published scores


def rivals(matrix: Matrix, scores: ScoreMatrix) -> tuple[Rival, ...]:
    """Published DQNs that have every game at this budget; none for a protocol that may not be compared."""
    if not comparable(matrix):
        return ()
    ours, found = evaluation_measurement(matrix.config, scores.weights), list[Rival]()
    for source in PUBLISHED:
        try:
            theirs = published(source).at(matrix.frames, matrix.games)
        except UserError:  # another budget, or a game is not there
            continue
        differences = ours.differences(published(source).measured)
        found.append(Rival(source, len(theirs), AGGREGATES["IQM"](theirs), tuple(differences)))
    return tuple(found)
