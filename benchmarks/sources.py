"""Where scores come from: published ones by name."""

from __future__ import annotations

import functools

import numpy as np

from benchmarks.curves import Curves, Measurement
from benchmarks.reference import nature_scores, published_points
from dqn_ref.config import UserError

NATURE_2015 = "nature-2015"
_DOPAMINE = Measurement(
    returns="training",
    epsilon=0.01,
    sticky_action_probability=0.25,
    max_frames=108_000,
    life_loss_ends_episode=False,
    best_network=False,
)
# data/SOURCES.md
PUBLISHED = {
    "dopamine-dqn-rmsprop-2018": _DOPAMINE,
    "dopamine-dqn-adam-mse-2021": _DOPAMINE,
    "nnabla-rl-dqn": Measurement(
        returns="evaluation",
        epsilon=0.05,
        sticky_action_probability=0.0,
        life_loss_ends_episode=False,
        best_network=False,
    ),
    NATURE_2015: Measurement(
        returns="evaluation",
        epsilon=0.05,
        sticky_action_probability=0.0,
        max_frames=18_000,
        life_loss_ends_episode=False,
        best_network=True,
    ),
}

# The same, to be named on a drawing.
ORIGINS = {
    "dopamine-dqn-rmsprop-2018": "google/dopamine 5873f54",
    "dopamine-dqn-adam-mse-2021": "google/dopamine 5873f54",
    "nnabla-rl-dqn": "sony/nnabla-rl d6c9999",
    NATURE_2015: "Mnih et al. 2015, Extended Data Table 2",
}


@functools.cache
def published(name: str) -> Curves:
    """Scores of a published DQN. The paper's own have one run a game.

    Raises:
        UserError: not a published source, with the known names.
    """
    if name not in PUBLISHED:
        raise UserError(f"No published scores are called {name!r}; known are: {', '.join(PUBLISHED)}.")
    if name == NATURE_2015:
        raw = {game: {0: np.array([row.dqn])} for game, row in nature_scores().items()}
        return Curves(name, PUBLISHED[name], np.array([200_000_000]), raw)
    points = published_points()[name]
    frames = sorted({budget for seeds in points.values() for scores in seeds.values() for budget in scores})
    curves = {
        game: {seed: np.array([scores.get(budget, np.nan) for budget in frames]) for seed, scores in seeds.items()}
        for game, seeds in points.items()
    }
    return Curves(name, PUBLISHED[name], np.array(frames), curves)
