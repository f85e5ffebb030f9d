"""What can be typed after ``python -m benchmarks failures``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from benchmarks.arguments import FramesOrDefault
from benchmarks.failures.matrix import SMALL, WHOLE, FailureMatrix
from benchmarks.store import Store
from dqn_ref.protocols import protocol_named


@dataclass(frozen=True)
class FailuresCommon:
    """Which variants, games and seeds."""

    games: tuple[str, ...] = ()
    """Games with every variant. Default: ms_pacman."""
    reference_games: tuple[str, ...] = ()
    """Games with the reference and its control only: what sparse rewards do to it."""
    variants: tuple[str, ...] = ()
    """Names of variants, claims (C1 to C8, article, fault), or `all`. The reference and its control are always
    among them."""
    seeds: int | None = None
    """Seeds of each variant, and of the control: 0 up to one below. Default: 3."""
    reference_seeds: int | None = None
    """Seeds of the reference. Default: 6, or as many as of a variant."""
    protocol: str | None = None
    """Protocol that the variants change. Default: early, 100k frames: values that run away show, little else."""
    frames: FramesOrDefault = None
    """Frames of each run, e.g. 200k. Default: the protocol's."""
    whole: bool = False
    """The whole of it, for a GPU: nature at 10M frames, all variants, five games and two of sparse reward, 5 seeds
    against 10. Each part can be asked for otherwise by the options above."""
    results: Path = Path("results")
    """The results folder."""

    def matrix(self) -> FailureMatrix:
        """The matrix that was asked for."""
        return FailureMatrix.of(
            WHOLE if self.whole else SMALL,
            protocol=self.protocol,
            frames=self.frames,
            games=self.games,
            reference_games=self.reference_games,
            variants=self.variants,
            seeds=self.seeds,
            reference_seeds=self.reference_seeds,
        )

    def store(self) -> Store:
        """The results that were named."""
        return Store(self.results)


@dataclass(frozen=True)
class WithFailuresDevice(FailuresCommon):
    """A command that trains."""

    device: Literal["auto", "cpu", "cuda"] = "auto"
    """auto takes CUDA where there is one."""


class FailuresPlan(WithFailuresDevice):
    """Show the variants, their runs, what is there of them, and what the rest costs on this machine."""


class FailuresRun(WithFailuresDevice):
    """The whole path: forecast, the missing runs, the table, the drawings. Finished runs are never made again."""


class FailuresStatus(FailuresCommon):
    """Show which runs are there."""


@dataclass(frozen=True)
class FailuresTable:
    """Print every variant's effect on the score, with interval, p-values and verdict, from the finished runs."""

    games: tuple[str, ...] = ()
    """Only these games. Default: all that have runs."""
    variants: tuple[str, ...] = ()
    """Only these variants, or claims. Default: all that have runs."""
    protocol: str = SMALL.protocol
    """Protocol of the runs."""
    frames: FramesOrDefault = None
    """Frames of each run. Default: the protocol's."""
    results: Path = Path("results")
    """The results folder."""
    json: Path | None = None
    """File for everything, for a program."""
    markdown: Path | None = None
    """File for the tables as a page."""

    @property
    def group(self) -> str:
        """Name of the folder of the runs. Raises UserError: no such protocol."""
        protocol = protocol_named(self.protocol)
        return protocol.group(self.frames or protocol.config.total_frames)


@dataclass(frozen=True)
class FailuresPlot(FailuresTable):
    """Draw every run's score by variant, and the learning curves beside the reference's."""

    out: Path | None = None
    """Folder of the drawings. Default: RESULTS/plots/failures-GROUP."""
