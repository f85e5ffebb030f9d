"""Scores over training: one source, every game and seed, at the same numbers of frames; and how they were measured."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from benchmarks.reference import human_and_random
from dqn_ref.config import UserError, format_frames

POINT_FRAMES = 1_000_000  # a published point covers so many frames
AVERAGED_POINTS = 5  # and the score at a budget is the mean of so many, fewer where there are not yet five


@dataclass(frozen=True)
class Measurement:
    """How scores were measured. What is not known is None; it is never guessed."""

    returns: Literal["training", "evaluation"] | None = None
    """Episodes of training (exploring, learning) or of a fixed network."""
    epsilon: float | None = None
    """Exploration of the episodes that were scored; of training, its final value."""
    sticky_action_probability: float | None = None
    """Chance that the emulator repeats the previous action."""
    max_frames: int | None = None
    """Cap of an episode, in frames."""
    life_loss_ends_episode: bool | None = None
    """Whether a return is that of one life only."""
    best_network: bool | None = None
    """Whether the best network of the run was scored, not the one that the budget ended with."""
    averaged: bool | None = None
    """Whether a score is the mean of the newest five points (``averaged``), not one alone; of foreign logs not told."""

    def words(self) -> str:
        """All of it in a line; what is not known is said to be."""
        known = {name: getattr(self, name) for name in _WORDS}
        if self.averaged is None:
            del known["averaged"]
        return ", ".join(_WORDS[name](value) if value is not None else f"{_NAMES[name]} not known"
                         for name, value in known.items())  # fmt: skip

    def differences(self, other: Measurement) -> list[str]:
        """What keeps scores of the two from being compared, a sentence part each; empty if they are alike."""
        found = []
        for name, words in _WORDS.items():
            mine, theirs = getattr(self, name), getattr(other, name)
            if mine is None or theirs is None:
                if mine is not theirs and name != "averaged":
                    known = words(theirs if mine is None else mine)
                    found.append(f"{_NAMES[name]}: {known} on one side, not known on the other")
            elif mine != theirs:
                found.append(f"{_NAMES[name]}: {words(mine)} against {words(theirs)}")
        return found


_NAMES = {
    "returns": "kind of returns",
    "epsilon": "epsilon",
    "sticky_action_probability": "sticky actions",
    "max_frames": "cap of an episode",
    "life_loss_ends_episode": "what a life loss does",
    "best_network": "which network",
    "averaged": "what a score is",
}
_WORDS: dict[str, Callable[[Any], str]] = {
    "returns": lambda value: f"{value} returns",
    "epsilon": lambda value: f"epsilon {value:g}",
    "sticky_action_probability": lambda value: f"sticky actions {value:g}" if value else "no sticky actions",
    "max_frames": lambda value: f"at most {value:,} frames an episode",
    "life_loss_ends_episode": lambda value: "returns of one life" if value else "returns of whole games",
    "best_network": lambda value: "best network of the run" if value else "network at the budget",
    "averaged": lambda value: "mean of the newest five points" if value else "one point alone",
}


@dataclass(frozen=True)
class Curves:
    """Raw scores of one source: ``raw[game][seed]`` is [T], NaN where nothing was measured."""

    name: str
    measured: Measurement
    frames: NDArray[np.int64]  # [T], ascending: the training that a score stands for
    raw: Mapping[str, Mapping[int, NDArray[np.float64]]]

    def __post_init__(self) -> None:
        if not self.raw or not all(self.raw.values()):
            raise UserError(f"{self.name} holds no scores.")
        if unknown := sorted(set(self.raw) - set(human_and_random())):
            raise UserError(f"{self.name} has games that are not among the 57 of Atari: {', '.join(unknown)}.")
        if len(self.frames) == 0 or (np.diff(self.frames) <= 0).any() or self.frames[0] < 0:
            raise UserError(f"{self.name}: frames must be ascending, got {self.frames.tolist()[:10]}.")
        for game, seeds in self.raw.items():
            for seed, values in seeds.items():
                if values.shape != self.frames.shape:
                    raise UserError(
                        f"{self.name}: {game} seed {seed} has {values.size} scores for {self.frames.size} budgets."
                    )
                if np.isinf(values).any():
                    raise UserError(f"{self.name}: a score of {game} seed {seed} is infinite; expected a number.")

    @property
    def games(self) -> tuple[str, ...]:
        """Games that have a score, in the source's order."""
        return tuple(self.raw)

    def budgets(self, games: Sequence[str] = ()) -> list[int]:
        """Frames at which every seed of each of ``games`` (of all, by default) has a score."""
        cells = [values for game in games or self.games for values in self.raw.get(game, {}).values()]
        whole = np.isfinite(np.stack(cells)).all(axis=0) if cells else np.zeros(len(self.frames), bool)
        return [int(frames) for frames in self.frames[whole]]

    def seeds(self, games: Sequence[str]) -> tuple[int, ...]:
        """Seeds of ``games``, which must be the same for each. Raises UserError: a game or a seed is missing."""
        if absent := [game for game in games if game not in self.raw]:
            has = ", ".join(self.games) if len(self.games) <= 10 else f"{len(self.games)} others"
            raise UserError(f"{self.name} lacks {', '.join(absent)}; it has {has}.")
        everywhere = sorted({seed for game in games for seed in self.raw[game]})
        missing = [f"{game} seed {seed}" for game in games for seed in everywhere if seed not in self.raw[game]]
        if missing:
            raise UserError(
                f"{self.name} is incomplete: {', '.join(missing)} missing. Add the runs, or leave the game or the seed "
                "out; an aggregate over unequal numbers of runs would favour some games in silence."
            )
        return tuple(everywhere)

    def at(self, frames: int, games: Sequence[str]) -> NDArray[np.float64]:
        """Human-normalised scores [seeds, games] at a budget. Raises UserError: not there, or incomplete."""
        seeds = self.seeds(games)
        if frames not in self.frames:
            have = ", ".join(format_frames(each) for each in self.budgets(games)) or "none that is complete"
            raise UserError(f"{self.name} has no scores at {format_frames(frames)} frames; it has them at: {have}.")
        place = int(np.flatnonzero(self.frames == frames)[0])
        matrix = self.normalised(games, seeds)[:, :, place]
        if missing := np.argwhere(np.isnan(matrix)).tolist():
            cells = ", ".join(f"{games[game]} seed {seeds[seed]}" for seed, game in missing)
            raise UserError(f"{self.name} has no score at {format_frames(frames)} frames for {cells}.")
        return matrix

    def raw_at(self, game: str, frames: int) -> NDArray[np.float64]:
        """Raw scores [seeds] of ``game`` at a budget, of the seeds that have one there."""
        scores = np.array([values[self.frames == frames] for values in self.raw.get(game, {}).values()]).ravel()
        known: NDArray[np.float64] = scores[np.isfinite(scores)]
        return known

    def normalised(self, games: Sequence[str], seeds: Sequence[int]) -> NDArray[np.float64]:
        """Human-normalised scores [seeds, games, T]."""
        anchors = human_and_random()
        return np.array([[anchors[game].normalise(self.raw[game][seed]) for game in games] for seed in seeds])

    def only(self, games: Sequence[str]) -> Curves:
        """The same of ``games`` alone. Raises UserError: one is not there."""
        self.seeds(games)
        return dataclasses.replace(self, raw={game: self.raw[game] for game in games})


# ---------------------------------------------------------------------- from episodes


def point_frames(total_frames: int) -> int:
    """Frames that one point of a training curve covers: 1M, or a tenth of a run that is shorter."""
    return POINT_FRAMES if total_frames >= POINT_FRAMES else max(1, total_frames // 10)


def training_points(
    ends: NDArray[np.int64], returns: NDArray[np.float64], total_frames: int
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Points of a training curve: mean return of the episodes that ended in each span of ``point_frames``.

    Args:
        ends: [N], frames done when each episode ended.
        returns: [N], raw returns.

    Returns:
        frames [T] (ends of the spans) and means [T]; a span in which no episode ended is NaN.
    """
    span = point_frames(total_frames)
    count = total_frames // span
    places = (ends - 1) // span  # an episode that ends at the span's last frame belongs to it
    inside = (places >= 0) & (places < count)
    sums = np.bincount(places[inside], weights=returns[inside], minlength=count)
    episodes = np.bincount(places[inside], minlength=count)
    with np.errstate(invalid="ignore"):
        means = np.where(episodes > 0, sums / np.maximum(episodes, 1), np.nan)
    return span * np.arange(1, count + 1, dtype=np.int64), means


def averaged(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Scores [T] made as published ones are: at each point the mean of its last five ``points`` [T], less NaN ones."""
    scores = np.full(len(points), np.nan)
    for place in range(len(points)):
        last = points[max(0, place + 1 - AVERAGED_POINTS) : place + 1]
        if np.isfinite(last).any():
            scores[place] = np.nanmean(last)
    return scores


def newest_points(frames: NDArray[np.int64], scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """The point after ``frames`` [T] that each of ``scores`` [T], made as ``averaged`` makes them, has for its newest.

    After n million frames: n times the score, less n - 1 times that of a million before. NaN where that is not known,
    or where a score is no mean of all points before: after the fifth.
    """
    number = frames / POINT_FRAMES
    points = np.diff(number * scores, prepend=0.0)
    points[(np.diff(number, prepend=0.0) != 1) | (number > AVERAGED_POINTS)] = np.nan
    return points
