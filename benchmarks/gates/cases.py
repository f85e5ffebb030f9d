"""What a calibration draws from, and how it counts answers."""

from __future__ import annotations

import dataclasses
import zlib
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks import baselines
from benchmarks.gates.score_rule import FAIL_LEVEL, MARGIN_LEVEL, STATISTICS, WARN_LEVEL, Evidence
from benchmarks.gates.verdict import Verdict
from benchmarks.permutation import iqm
from benchmarks.protocols import Margin, suite_protocol
from benchmarks.runner import Matrix
from benchmarks.sources import published
from benchmarks.store import Store
from benchmarks.suites import suite_games

SUITE = "atari10"
SOURCES = ("dopamine-dqn-rmsprop-2018", "dopamine-dqn-adam-mse-2021", "nnabla-rl-dqn")
BUDGETS = (10_000_000, 40_000_000)
UNLEARNT_FRAMES = 1_000_000  # published DQNs are at an IQM of about 0.006 then


@dataclass(frozen=True)
class Case:
    """Real scores that comparisons are drawn from."""

    source: str
    frames: int
    games: tuple[str, ...]
    scores: NDArray[np.float64]  # [real seeds, games]
    margin: Margin

    @classmethod
    def of(cls, source: str, frames: int) -> Case:
        """The suite's games that a published source has, at a budget, under protocol `nature`."""
        curves = published(source)
        games = tuple(game for game in suite_games(SUITE) if game in curves.games)
        return cls(source, frames, games, curves.at(frames, games), suite_protocol("nature").margin(frames))

    @classmethod
    def of_baseline(cls, store: Store, matrix: Matrix) -> Case | None:
        """The stored baseline of a matrix; None if there is none."""
        if not store.baseline(matrix.name).exists():
            return None
        scores = baselines.read(store, matrix.name).scores.matrix()
        return cls(matrix.name, matrix.frames, matrix.games, scores, matrix.suite_protocol.margin(matrix.frames))

    @property
    def where(self) -> dict[str, Any]:
        """What names the case in every row."""
        return {"source": self.source, "frames": self.frames}

    @property
    def about(self) -> dict[str, Any]:
        """For the record."""
        return {
            **self.where, "games": list(self.games), "real_seeds": len(self.scores),
            "iqm": float(iqm(self.scores.ravel())), "margin": dataclasses.asdict(self.margin),
        }  # fmt: skip


def learnt() -> list[Case]:
    """Published DQNs at budgets at which they have learnt something."""
    return [Case.of(source, frames) for frames in BUDGETS for source in SOURCES]


def unlearnt(store: Store) -> list[Case]:
    """Where next to nothing is learnt: a published DQN at 1M frames, and the stored baseline of `ci`."""
    found = [Case.of(SOURCES[0], UNLEARNT_FRAMES), Case.of_baseline(store, Matrix.of(SUITE, "ci"))]
    return [case for case in found if case]


def stream(seed: int, case: Case, *words: object) -> np.random.Generator:
    """A generator of its own for each cell, so that no cell depends on which others are simulated."""
    name = " ".join(map(str, (case.source, case.frames, *words)))
    return np.random.default_rng([seed, zlib.crc32(name.encode())])


def counts(found: Iterable[Evidence]) -> dict[str, int]:
    """How often the gate gave each answer, and what one statistic alone, at the whole level, would have said."""
    count = Counter[str]()
    for evidence in found:
        count["comparisons"] += 1
        count[evidence.verdict.value] += 1
        count["found"] += evidence.p_worse < WARN_LEVEL
        count["too good"] += evidence.p_better < FAIL_LEVEL
        for name in STATISTICS:
            p_worse = evidence.against_baseline[name].p_lower
            count[f"{name}: fail"] += p_worse < FAIL_LEVEL
            count[f"{name}: found"] += p_worse < WARN_LEVEL
            count[f"{name}: pass"] += p_worse >= FAIL_LEVEL and evidence.against_bar[name].p_higher < MARGIN_LEVEL
    answers = [verdict.value for verdict in (Verdict.PASS, Verdict.FAIL, Verdict.INCONCLUSIVE)]
    return {name: count[name] for name in dict.fromkeys(["comparisons", *answers, *count])}
