"""From records to a matrix of human-normalised scores, or to the list of what is missing."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.curves import Curves, Measurement, averaged, training_points
from benchmarks.reference import human_and_random
from benchmarks.store import Cell
from dqn_ref.config import DQNConfig, UserError
from dqn_ref.records import RunRecord


@dataclass(frozen=True)
class ScoreMatrix:
    """Scores of the finished runs. Axes by name: ``games`` in order, ``seeds`` within a game."""

    games: tuple[str, ...]
    raw: dict[str, dict[int, float]]  # game -> seed -> mean return
    missing: tuple[str, ...]  # cells without a score, as "game seed: status"
    weights: str = "last"  # whose scores: of the last networks, or of the best

    @property
    def num_seeds(self) -> int:
        """Seeds of the game that has the fewest."""
        return min(len(self.raw[game]) for game in self.games)

    def normalised(self, game: str) -> NDArray[np.float64]:
        """Human-normalised scores [seeds] of one game."""
        anchors = human_and_random()[game]
        return np.array([anchors.normalise(score) for _, score in sorted(self.raw[game].items())])

    def matrix(self) -> NDArray[np.float64]:
        """Human-normalised scores [seeds, games]; rliable's axes, run by game.

        Raises:
            UserError: a cell is missing; the message names each.
        """
        if self.missing:
            raise UserError(
                f"No aggregate: {len(self.missing)} runs are missing: {'; '.join(self.missing)}. "
                "Make them with `python -m benchmarks run`."
            )
        return np.stack([self.normalised(game) for game in self.games], axis=1)


def protocol_evaluation(record: RunRecord, weights: str = "last") -> Mapping[str, Any]:
    """The evaluation of ``weights`` as the run's protocol asks for it. Raises UserError: absent, or not a number."""
    for evaluation in _protocol_evaluations(record, weights):
        return evaluation
    raise UserError(
        f"{record.folder} is finished but holds no evaluation of its protocol for its {weights} network. "
        "Move it away, run it again."
    )


def _protocol_evaluations(record: RunRecord, weights: str) -> Iterator[Mapping[str, Any]]:
    config = record.config
    for evaluation in record.evaluated(
        weights=weights,
        epsilon=config.evaluation_epsilon,
        max_frames=config.evaluation_max_frames,
        num_episodes=config.evaluation_episodes,
    ):
        if math.isfinite(evaluation["mean_return"]):
            yield evaluation


def run_score(record: RunRecord, weights: str = "last") -> float:
    """Mean return of the protocol's own evaluation. Raises UserError: it is absent or not a number."""
    return float(protocol_evaluation(record, weights)["mean_return"])


def score_matrix(games: Sequence[str], cells: Sequence[Cell], weights: str = "last") -> ScoreMatrix:
    """Scores of ``cells``. Raises UserError: the cells contradict one another."""
    raw: dict[str, dict[int, float]] = {game: {} for game in games}
    missing = []
    for cell in cells:
        scores = raw[cell.member.game]
        if cell.member.seed in scores:
            raise UserError(f"{cell.name} is there twice; a seed counts once.")
        if cell.status == "finished" and cell.record:
            scores[cell.member.seed] = run_score(cell.record, weights)
        else:
            missing.append(f"{cell.member.game} seed {cell.member.seed}: {cell.status}")
    settings = {(c.record.protocol, c.record.frames_done) for c in cells if c.record and c.status == "finished"}
    if len(settings) > 1:
        raise UserError(f"Runs of different protocols or budgets cannot be aggregated: {sorted(settings)}.")
    return ScoreMatrix(tuple(games), raw, tuple(missing), weights)


# ---------------------------------------------------------------------- as curves, to compare with others'


def evaluation_measurement(config: DQNConfig, weights: str = "last", *, averaged: bool = False) -> Measurement:
    """How the protocol's own evaluation measures a score."""
    return Measurement(
        returns="evaluation",
        epsilon=config.evaluation_epsilon,
        sticky_action_probability=config.sticky_action_probability,
        max_frames=config.evaluation_max_frames,
        life_loss_ends_episode=False,
        best_network=weights == "best",
        averaged=averaged,
    )


def evaluation_curves(name: str, records: Sequence[RunRecord], weights: str = "last") -> Curves:
    """Scores of finished runs of one setting by their protocol's evaluation, the final one alone.

    Raises:
        UserError: a run was not evaluated by its protocol.
    """
    config, raw = records[0].config, dict[str, dict[int, NDArray[np.float64]]]()
    for record in records:
        raw.setdefault(record.member.game, {})[record.member.seed] = np.array([run_score(record, weights)])
    return Curves(name, evaluation_measurement(config, weights), np.array([config.total_frames]), raw)


def iteration_curves(name: str, records: Sequence[RunRecord]) -> Curves | None:
    """Scores as published ones are made, at each iteration the mean of the last five evaluations (``curves.averaged``).

    None if a run of these, finished and of one setting, was not evaluated after every iteration.
    """
    config, raw = records[0].config, dict[str, dict[int, NDArray[np.float64]]]()
    ends = range(config.iteration_frames, config.total_frames, config.iteration_frames)
    frames = [*ends, config.total_frames]
    for record in records:
        points = iteration_scores(record)
        if not set(frames) <= set(points):
            return None
        scores = averaged(np.array([points[each] for each in frames]))
        raw.setdefault(record.member.game, {})[record.member.seed] = scores
    return Curves(name, evaluation_measurement(config, averaged=True), np.array(frames, np.int64), raw)


def iteration_scores(record: RunRecord) -> dict[int, float]:
    """Mean returns of the run's networks after its iterations, by frames of training; the final one's among them."""
    return {
        evaluation["training_frames"]: float(evaluation["mean_return"])
        for weights in ("iteration", "last")
        for evaluation in _protocol_evaluations(record, weights)
    }


def training_curves(name: str, records: Sequence[RunRecord]) -> Curves:
    """Training returns of finished runs of one setting, made into scores as published ones are (``curves.averaged``).

    Raises:
        UserError: no run, a run is there twice, or the runs are of different settings.
    """
    if not records:
        raise UserError(f"{name} holds no finished run.")
    config = records[0].config
    raw: dict[str, dict[int, NDArray[np.float64]]] = {}
    frames = np.empty(0, np.int64)
    for record in records:
        if record.config != config:
            raise UserError(f"{record.folder} was run with another configuration than {records[0].folder}.")
        seeds = raw.setdefault(record.member.game, {})
        if record.member.seed in seeds:
            raise UserError(f"{record.member.game} seed {record.member.seed} is there twice; a seed counts once.")
        frames, points = training_points(*full_episodes(record), config.total_frames)
        seeds[record.member.seed] = averaged(points)
    return Curves(name, training_measurement(config), frames, raw)


def training_measurement(config: DQNConfig) -> Measurement:
    """How training returns of ``config`` are measured."""
    from dqn_ref.train import epsilon_at  # slow to import

    return Measurement(
        returns="training",
        epsilon=round(epsilon_at(config.total_agent_steps, config), 6),  # a short run's has not come to its end
        sticky_action_probability=config.sticky_action_probability,
        max_frames=config.max_episode_frames,
        life_loss_ends_episode=False,  # raw_return is that of the whole game, whatever a life lost does to learning
        best_network=False,
        averaged=True,
    )


def full_episodes(record: RunRecord) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Ends in frames and raw returns [N] of the run's episodes, without those that an iteration's end cut."""
    rows = record.full_episodes()
    ends = np.array([row["frame"] for row in rows], np.int64)
    return ends, np.array([row["raw_return"] for row in rows], np.float64)
