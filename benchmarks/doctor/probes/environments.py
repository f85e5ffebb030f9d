"""The environments: a few cells of light, one to ten agent steps an episode, one thing to be learnt in each.

An environment shows a *grid* of brightnesses (0 to 255). As an image each cell is a rectangle of an 84x84
frame; as a vector it is a number. Either way an observation is the four newest grids, as on Atari.
"""

# ruff: noqa: D102 - reset, step and look are said once, in the base

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.doctor.probes.protocol import Form, Observation

Grid = NDArray[np.uint8]
STACK = 4
SIDE = 84


@dataclass(frozen=True)
class Step:
    """An environment's answer to an action."""

    grid: Grid
    reward: float
    terminated: bool = False
    truncated: bool = False


class Environment:
    """Base of the environments; ``rng`` is theirs alone."""

    num_actions = 1
    shape = (2, 2)  # of a grid
    raw_bytes = False  # vectors are bytes too, 0 to 255

    def __init__(self, rng: np.random.Generator, agent_steps: int) -> None:
        self.rng = rng
        self.agent_steps = agent_steps

    def reset(self) -> Grid:
        """First grid of an episode."""
        raise NotImplementedError

    def step(self, action: int) -> Step:
        """What ``action`` leads to."""
        raise NotImplementedError

    def lit(self, *cells: int) -> Grid:
        """A grid, black but for the ``cells``, counted row by row."""
        grid = np.zeros(self.shape, np.uint8)
        grid.flat[list(cells)] = 255
        return grid


class Stack:
    """The four newest grids as an observation."""

    def __init__(self, form: Form, raw_bytes: bool) -> None:
        self.form = form
        self.raw_bytes = raw_bytes

    def observation(self, *grids: Grid) -> Observation:
        """Observation after ``grids`` of one episode, oldest first; black before them."""
        newest = list(grids[-STACK:])
        newest = [np.zeros_like(newest[0])] * (STACK - len(newest)) + newest
        if self.form == "image":
            return np.stack([_picture(grid) for grid in newest])
        flat = np.concatenate([grid.ravel() for grid in newest])
        return flat if self.raw_bytes else (flat / 255).astype(np.float32)


def _picture(grid: Grid) -> NDArray[np.uint8]:
    """An 84x84 frame with each cell as a rectangle."""
    rows, columns = (np.arange(SIDE) * size // SIDE for size in grid.shape)
    return grid[np.ix_(rows, columns)]


# ---------------------------------------------------------------------- the ladder's first rungs


class Constant(Environment):
    """One state; reward 1 and the end."""

    def reset(self) -> Grid:
        return self.lit(0)

    def step(self, action: int) -> Step:
        return Step(self.lit(), 1.0, terminated=True)


class TwoContexts(Environment):
    """Two states by chance, and the end: one pays 1, the other costs 1."""

    def reset(self) -> Grid:
        self.context = int(self.rng.integers(2))
        return self.look(self.context)

    def step(self, action: int) -> Step:
        return Step(self.lit(), 1.0 - 2 * self.context, terminated=True)

    def look(self, context: int) -> Grid:
        """What is seen in ``context``."""
        return self.lit(context)


class TwoSteps(Environment):
    """A state that pays nothing leads to one that pays 1."""

    def reset(self) -> Grid:
        self.second = False
        return self.lit(0)

    def step(self, action: int) -> Step:
        if self.second:
            return Step(self.lit(), 1.0, terminated=True)
        self.second = True
        return Step(self.lit(3), 0.0)


class EndsInAGoodPlace(Environment):
    """Half of the episodes begin in a state that pays 1. The others end, unpaid, with that very observation.

    They begin in the dark, so that what they end with looks like the beginning of the good ones in all four frames.
    """

    truncates = False

    def reset(self) -> Grid:
        self.good = bool(self.rng.integers(2))
        return self.lit(0) if self.good else self.lit()

    def step(self, action: int) -> Step:
        if self.good:
            return Step(self.lit(1, 2, 3), 1.0, terminated=True)
        return Step(self.lit(0), 0.0, terminated=not self.truncates, truncated=self.truncates)


class CutInAGoodPlace(EndsInAGoodPlace):
    """The same, but a time limit ends the unpaid episodes: what would have followed still counts."""

    truncates = True


class Bandit(Environment):
    """One state, four actions; one of them, drawn anew for each seed, pays 1, the others cost 1."""

    num_actions = 4

    def __init__(self, rng: np.random.Generator, agent_steps: int) -> None:
        super().__init__(rng, agent_steps)
        self.right = int(rng.integers(self.num_actions))

    def reset(self) -> Grid:
        return self.lit(0)

    def step(self, action: int) -> Step:
        return Step(self.lit(), 1.0 if action == self.right else -1.0, terminated=True)


class Contextual(Environment):
    """Three states, three actions; each state has a right one of its own, which pays 1, the others cost 1."""

    num_actions = 3

    def __init__(self, rng: np.random.Generator, agent_steps: int) -> None:
        super().__init__(rng, agent_steps)
        self.right = rng.permutation(self.num_actions)

    def reset(self) -> Grid:
        self.context = int(self.rng.integers(self.num_actions))
        return self.lit(self.context)

    def step(self, action: int) -> Step:
        return Step(self.lit(), 1.0 if action == self.right[self.context] else -1.0, terminated=True)


# ---------------------------------------------------------------------- DQN's own


class Velocity(Environment):
    """A light on a ring of three cells jumps left or right; the action must name the direction.

    Each cell is reached from both sides, so one frame tells nothing.
    """

    num_actions = 2
    shape = (1, 3)

    def reset(self) -> Grid:
        self.cell, self.direction, self.moved = int(self.rng.integers(3)), int(self.rng.integers(2)), False
        return self.lit(self.cell)

    def step(self, action: int) -> Step:
        if self.moved:
            return Step(self.lit(), 1.0 if action == self.direction else -1.0, terminated=True)
        self.moved = True
        return Step(self.lit((self.cell + (1, 2)[self.direction]) % 3), 0.0)


class SelfLoop(Environment):
    """One state that leads to itself and pays 1, for ever: its value can rise by at most 1 with each new target."""

    def reset(self) -> Grid:
        return self.lit(0)

    def step(self, action: int) -> Step:
        return Step(self.lit(0), 1.0)


class FaintDifference(TwoContexts):
    """Two bright states that differ little, as bytes: one pays 1, the other costs 1."""

    raw_bytes = True
    bright = 200
    faint = 40

    def look(self, context: int) -> Grid:
        grid = np.full(self.shape, self.bright, np.uint8)
        grid.flat[(0, 3)[context]] += self.faint
        return grid


class Corridor(Environment):
    """Six agent steps along a corridor, unpaid, and then 1: what it is worth at its start is the discount's doing."""

    shape = (2, 4)
    length = 6

    def reset(self) -> Grid:
        self.place = 0
        return self.lit(0)

    def step(self, action: int) -> Step:
        if self.place == self.length:
            return Step(self.lit(), 1.0, terminated=True)
        self.place += 1
        return Step(self.lit(self.place), 0.0)


class DeepSea(Environment):
    """The smallest deep sea (Osband et al. 2020): a treasure that only moving right all the way down finds.

    Each move right costs something, so an agent that does not explore learns to move left. No agent is lucky: the
    action that it tries first in a cell is the one that moves left there.
    """

    num_actions = 2
    depth = 2
    shape = (2, 2)
    cost = 0.1

    def __init__(self, rng: np.random.Generator, agent_steps: int) -> None:
        super().__init__(rng, agent_steps)
        self.right = np.full(self.shape, -1)  # of each cell; -1: not yet decided

    def reset(self) -> Grid:
        self.row = self.column = 0
        return self.lit(0)

    def step(self, action: int) -> Step:
        if self.right[self.row, self.column] < 0:
            self.right[self.row, self.column] = 1 - action
        moves_right = action == self.right[self.row, self.column]
        treasure = moves_right and self.row == self.column == self.depth - 1
        self.row += 1
        self.column = min(self.column + 1, self.depth - 1) if moves_right else max(self.column - 1, 0)
        reward = (1.0 if treasure else 0.0) - (self.cost if moves_right else 0.0)
        if self.row == self.depth:
            return Step(self.lit(), reward, terminated=True)
        return Step(self.lit(self.row * self.depth + self.column), reward)


class Blocks(Environment):
    """Two similar states, two actions; right in one is wrong in the other. They come in long blocks, not mixed."""

    num_actions = 2
    shape = (3, 3)
    num_blocks = 8

    def __init__(self, rng: np.random.Generator, agent_steps: int) -> None:
        super().__init__(rng, agent_steps)
        self.first = int(rng.integers(2))
        self.done = 0

    def reset(self) -> Grid:
        self.context = self.done * self.num_blocks // self.agent_steps % 2
        return self.look(self.context)

    def step(self, action: int) -> Step:
        self.done += 1
        return Step(self.lit(), 1.0 if action == self.right(self.context) else -1.0, terminated=True)

    def right(self, context: int) -> int:
        """The action that pays in ``context``."""
        return context ^ self.first

    def look(self, context: int) -> Grid:
        """What is seen in ``context``: seven of eight cells are the same."""
        return self.lit(*range(1, 8), 8 if context else 0)
