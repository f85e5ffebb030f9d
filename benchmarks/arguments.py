"""What can be typed after ``python -m benchmarks``: a class a command, a field an option."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

import tyro

import dqn_ref
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
    evaluate_iterations: bool = False
    """Evaluate each network after every iteration too: learning curves as DQN Zoo's and nnabla-rl's are."""


class Plan(WithDevice):
    """Show the runs of a suite, what is there of them, and what the rest costs on this machine."""


class Run(WithDevice):
    """Make the missing runs of a suite. Finished runs are never made again."""


class Status(Common):
    """Show which runs of a suite are there."""


@dataclass(frozen=True)
class Scores(Common):
    """Print the score of every game, and over the suite IQM, median, mean and optimality gap with 95 % intervals."""

    weights: Literal["last", "best"] = "last"
    """Scores of the final networks, or of the best ones (the paper's way). The two are never mixed."""


class Plot(Common):
    """Draw curves, scores per game, intervals and profile, beside the stored baseline and what was published."""


@dataclass(frozen=True)
class Report:
    """Make one HTML page of a suite: result, plots, games, protocol, provenance, cost. It needs no network."""

    suite: tyro.conf.Positional[str | None] = None
    """atari10 (default), atari5, atari3 or atari57."""
    protocol: Literal["ci", "nature"] | None = None
    """Named set of hyperparameters. Default: ci, or the baseline's."""
    frames: FramesOrDefault = None
    """Frames of each run, e.g. 10M. Default: the protocol's, or the baseline's."""
    seeds: int | None = None
    """Seeds of each game: 0 up to one below. Default: the protocol's, or the baseline's."""
    results: Path = Path("results")
    """The results folder."""
    baseline: str | None = None
    """Show this stored baseline, e.g. atari10-ci-v1-16k, in place of the runs of this machine."""
    gate: tuple[Path, ...] = ()
    """JSON files that gates wrote; the page shows their verdicts."""
    out: Path | None = None
    """File of the page. Default: RESULTS/report/NAME.html."""
    markdown: Path | None = None
    """File of a summary in Markdown, for a pull request. Default: none is written."""


class Bench(Run):
    """The whole path: plan, run what is missing, scores, plots, and what they show."""


@dataclass(frozen=True)
class BaselineCreate(Common):
    """Store this machine's finished runs of a suite, without their weights, as a candidate."""

    reason: str = ""
    """Why the baseline is made; kept with it."""


@dataclass(frozen=True)
class BaselinePromote:
    """Let a candidate take its place as the baseline that gates compare with. The one before it is kept."""

    name: tyro.conf.Positional[str]
    """Name without `.candidate`, e.g. atari10-ci-v1-16k."""
    reason: str = ""
    """Why it takes the older one's place; kept with it."""
    results: Path = Path("results")
    """The results folder."""


@dataclass(frozen=True)
class BaselineList:
    """List the stored baselines: what each is, where it comes from and why it was made."""

    results: Path = Path("results")
    """The results folder."""


@dataclass(frozen=True)
class BaselineShow(BaselineList):
    """Show a stored baseline: its scores seed by seed and its aggregate."""

    name: tyro.conf.Positional[str] = "atari10-ci-v1-16k"
    """Name of the baseline, as `baseline list` gives it."""


@dataclass(frozen=True)
class Compare:
    """Compare two sets of scores, ours, published or somebody else's, at the same budget.

    A set is named by a published source (nature-2015, dopamine-dqn-rmsprop-2018, dopamine-dqn-adam-mse-2021,
    nnabla-rl-dqn), a stored baseline, or the path of a folder or file: runs of this project, a CSV of game, seed,
    frames and score, logs of CleanRL, Stable-Baselines3, Dopamine or DQN Zoo (docs/imports.md).
    """

    first: tyro.conf.Positional[str]
    """What is compared."""
    second: tyro.conf.Positional[str]
    """What it is compared with."""
    suite: str | None = None
    """Compare on the games of atari10, atari5, atari3 or atari57. Default: all games that both have."""
    frames: FramesOrDefault = None
    """Budget, e.g. 10M. Default: the largest that both have."""
    weights: Literal["last", "best"] = "last"
    """Evaluation of our final networks, or of the best ones."""
    results: Path = Path("results")
    """The results folder, where baselines are looked up."""
    plots: Path | None = None
    """Folder to draw the comparison in."""
    json: Path | None = None
    """File for everything, for a program."""
    markdown: Path | None = None
    """File for the comparison as a page."""


@dataclass(frozen=True)
class RandomPlay:
    """Play games by chance and by untrained networks, and compare with the published random scores."""

    games: tyro.conf.Positional[tuple[str, ...]] = ("atari10",)
    """Games, or suites of them: atari10, atari5, atari3, atari57."""
    episodes: int = 30
    """Episodes of each policy on each game."""
    processes: int = field(default_factory=lambda: dqn_ref.CORES)
    """Games played at once."""
    results: Path | None = None
    """Results folder to store the scores in. Default: they are only printed."""


@dataclass(frozen=True)
class Readme:
    """Write the generated parts of README.md and docs/ anew from results/."""

    check: bool = False
    """Change nothing; fail if a page is not what the results say."""
