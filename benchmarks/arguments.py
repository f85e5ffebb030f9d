"""What can be typed after ``python -m benchmarks``: a class a command, a field an option."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

import tyro

from benchmarks.runner import Matrix
from benchmarks.store import Store
from dqn_ref.config import Frames

FramesOrDefault = Annotated[Frames | None, tyro.conf.arg(name="frames")]


@dataclass(frozen=True)
class Common:
    """What every command needs to know: which matrix, and where results are."""

    suite: tyro.conf.Positional[str] = "atari10"
    """atari10, atari5, atari3 or atari57."""
    protocol: Literal["ci", "nature"] = "ci"
    """Named set of hyperparameters. `ci` is scaled down to a small machine, `nature` is the paper's."""
    frames: FramesOrDefault = None
    """Frames of each run, e.g. 10M. Default: the protocol's."""
    seeds: int | None = None
    """Seeds of each game: 0 up to one below. Default: the protocol's."""
    results: Path = Path("results")
    """The results folder."""

    def matrix(self) -> Matrix:
        """The matrix that was asked for."""
        return Matrix.of(self.suite, self.protocol, self.frames, self.seeds)

    def store(self) -> Store:
        """The results that were named."""
        return Store(self.results)


@dataclass(frozen=True)
class WithDevice(Common):
    """A command that trains."""

    device: Literal["auto", "cpu", "cuda"] = "auto"
    """auto takes CUDA where there is one."""


class Plan(WithDevice):
    """Show the runs of a suite, what is there of them, and what the rest costs on this machine."""


class Run(WithDevice):
    """Make the missing runs of a suite. Finished runs are never made again."""


class Status(Common):
    """Show which runs of a suite are there."""


@dataclass(frozen=True)
class Scores(Common):
    """Print the score of every game, and over the suite IQM, median and mean with 95 % intervals."""

    weights: Literal["last", "best"] = "last"
    """Scores of the final networks, or of the best ones (the paper's way). The two are never mixed."""


class Plot(Common):
    """Draw curves, scores per game, intervals and profile, beside the stored baseline and what was published."""


class Bench(WithDevice):
    """The whole path: plan, run what is missing, scores, plots, and what they show."""


@dataclass(frozen=True)
class Baseline(Common):
    """Store the finished runs of a suite as the project's baseline, without their weights."""

    reason: str = ""
    """Why the baseline is made or replaced; kept with it."""


@dataclass(frozen=True)
class RandomPlay:
    """Play the games of a suite by chance and by untrained networks, and compare with the published random scores."""

    suite: tyro.conf.Positional[str] = "atari10"
    """atari10, atari5, atari3 or atari57."""
    episodes: int = 30
    """Episodes of each policy on each game."""
    processes: int = field(default_factory=lambda: os.cpu_count() or 1)
    """Games played at once."""
    results: Path | None = None
    """Results folder to store the scores in. Default: they are only printed."""


@dataclass(frozen=True)
class Readme:
    """Write the generated parts of README.md and docs/ anew from results/."""

    check: bool = False
    """Change nothing; fail if a page is not what the results say."""
