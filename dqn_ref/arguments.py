"""What may be typed after ``python -m dqn_ref``: a class a command, a field an option, with its help below it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

import tyro

from dqn_ref.config import DQNConfig, Frames


@dataclass
class Train:
    """Train a DQN on a game, evaluate it, and record everything in a folder.

    Without further options this is the paper's run of 200M frames. A smaller --frames is the same run
    stopped earlier. `--protocol ci` is the same algorithm with schedules scaled to a small machine; its
    scores are not the paper's. Every hyperparameter is an option too; changed ones are named in the record.
    """

    game: tuple[str, ...]
    """Name of the game's ROM, e.g. breakout, ms_pacman. Several are trained side by side, a run each."""
    seed: tuple[int, ...] = (0,)
    """Seed of the run; every random stream is derived from it and the game. Several: a run of each game each."""
    protocol: Literal["nature", "ci", "early"] = "nature"
    """Named set of hyperparameters that the defaults below come from."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """auto takes CUDA where there is one."""
    threads: int | None = None
    """Threads of PyTorch on a CPU. Default: its own choice."""
    graphs: bool = True
    """On a GPU a step's work is launched as one graph; --no-graphs: operation by operation, slower, to find a fault."""
    halves: Literal[1, 2] | None = None
    """Groups of members that take turns, one acting while the other's emulators play. Default: two where a GPU serves
    two emulators a core, else one. Either way each run is what it is alone."""
    evaluate_iterations: bool = False
    """Evaluate the network after every iteration too: a learning curve as DQN Zoo's and nnabla-rl's are."""
    out: Path | None = None
    """New folder for the record; of several runs, the folder of theirs. Default: runs/PROTOCOL-FRAMES/GAME-sSEED."""
    config: Annotated[DQNConfig, tyro.conf.arg(name="")] = field(default_factory=DQNConfig)


@dataclass
class Resume:
    """Go on with a run that was interrupted, failed or was killed, as if it had not been.

    It goes on from its newest checkpoint; one is written every five minutes or so. The result is bit for bit that of
    a run that was never stopped, if machine and versions are the same; where they are not, it says so and records it.
    """

    run_dir: tyro.conf.Positional[tuple[Path, ...]]
    """Folder of the run; several go on side by side, if they stopped at the same step."""
    device: Literal["cpu", "cuda"] | None = None
    """Default: the run's."""
    threads: int | None = None
    """Threads of PyTorch on a CPU. Default: the run's."""
    graphs: bool = True
    """As for train."""
    halves: Literal[1, 2] | None = None
    """As for train."""


@dataclass
class Extend:
    """Go on with a finished run to a longer budget, in a folder of its own; the finished one stays as it is.

    It ends bit for bit as a run that had that budget from the start, if machine and versions are the same. It needs
    what a run keeps that took over five minutes, and that it ended where an iteration does.
    """

    run_dir: tyro.conf.Positional[tuple[Path, ...]]
    """Folder of the run; several go on side by side, if they have one configuration."""
    frames: Frames
    """The longer budget."""
    out: Path | None = None
    """New folder for the record; of several runs, the folder of theirs. Default: runs/PROTOCOL-FRAMES/GAME-sSEED."""
    device: Literal["cpu", "cuda"] | None = None
    """Default: the run's."""
    threads: int | None = None
    """Threads of PyTorch on a CPU. Default: the run's."""
    graphs: bool = True
    """As for train."""
    halves: Literal[1, 2] | None = None
    """As for train."""


@dataclass
class Evaluate:
    """Play episodes with the network of a finished run, and add them to its evaluation.json.

    An evaluation that is there already is printed, not repeated; `record` plays an episode of it again.
    """

    run_dir: tyro.conf.Positional[Path]
    """Folder of the run."""
    episodes: int = 30
    """Episodes to play. Paper: 30."""
    epsilon: float = 0.05
    """Exploration. Paper: 0.05."""
    weights: Literal["last", "best"] = "last"
    """The final network, or that of the iteration with the highest training returns."""
    max_frames: Frames = 108_000
    """Cap of an episode in frames: 108k, or the paper's 18k."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """auto takes CUDA where there is one."""


@dataclass
class Record:
    """Write an MP4 of an evaluation episode of a finished run: the game, its score, and the Q value of each action.

    It is the very episode that the evaluation played. The picture is shown once an agent step, in colour,
    as the maximum of the last two screens, which is what the agent sees of it in grey.
    """

    run_dir: tyro.conf.Positional[Path]
    """Folder of the run."""
    weights: Literal["last", "best"] = "last"
    """The final network, or that of the iteration with the highest training returns."""
    episode: int = 0
    """Which episode of the evaluation, counted from 0."""
    epsilon: float | None = None
    """Exploration. Default: that of the run's own evaluation."""
    max_frames: Frames | None = None
    """Cap of an episode in frames. Default: that of the run's own evaluation."""
    out: Path | None = None
    """New file. Default: RUN_DIR/video-WEIGHTS-episodeK.mp4."""
    scale: int = 4
    """Width and height in pixels of a pixel of the game."""
    fps: float = 60.0
    """Emulator frames shown in a second: 60 is the console's own speed, 15 agent steps a second."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """auto takes CUDA where there is one. The run's own is the surest to repeat the episode."""
