"""python -m dqn_ref train | resume | extend | evaluate | record"""

from __future__ import annotations

import signal
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro
from rich.console import Console

from dqn_ref.config import DQNConfig, Frames, UserError, format_frames
from dqn_ref.progress import reader_left
from dqn_ref.protocols import NATURE, PROTOCOLS, protocol_named
from dqn_ref.seeds import Member

DESCRIPTION = """The DQN of the Nature paper (Mnih et al. 2015) on real Atari games.

  python -m dqn_ref train --game breakout --seed 0 --frames 10M     train, record, evaluate
  python -m dqn_ref train --game breakout pong --seed 0 1           four runs side by side
  python -m dqn_ref resume RUN_DIR                                  go on with a run that was stopped
  python -m dqn_ref extend RUN_DIR --frames 20M                     go on with a finished run to a longer budget
  python -m dqn_ref evaluate RUN_DIR --episodes 30                  play the trained network
  python -m dqn_ref record RUN_DIR                                  a video of an evaluation episode

Frames are emulator frames; an agent step is four of them. --help after a command says more."""


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


def train_command(arguments: Train) -> None:
    """Run ``train`` and show its progress."""
    check_several("game", arguments.game)
    check_several("seed", arguments.seed)
    if min(arguments.seed) < 0:
        raise UserError(f"--seed must be 0 or above, got {min(arguments.seed)}.")
    check_threads(arguments.threads)
    from dqn_ref.progress import shown_progress  # here, so that --help does not wait for torch
    from dqn_ref.run import run_population

    protocol, config = protocol_named(arguments.protocol), arguments.config
    members = [Member(game, seed) for seed in arguments.seed for game in arguments.game]
    group = arguments.out or Path("runs") / protocol.group(config.total_frames)
    folders = [group / member.name for member in members]
    if arguments.out and len(members) == 1:
        folders = [arguments.out]
    name = members[0].name if len(members) == 1 else f"{len(members)} runs"
    with shown_progress(name) as report:
        run_population(
            members,
            folders,
            protocol,
            config,
            device_name=arguments.device,
            threads=arguments.threads,
            graphs=arguments.graphs,
            halves=arguments.halves,
            evaluate_iterations=arguments.evaluate_iterations,
            report=report,
            say=partial(print, flush=True),
        )
    print_ended(folders)


def check_several(option: str, values: Sequence[object]) -> None:
    """Raise UserError: an option of several values has none, or one twice."""
    if not values:
        raise UserError(f"--{option} needs at least one value.")
    if twice := [value for number, value in enumerate(values) if value in values[:number]]:
        raise UserError(f"--{option} has {twice[0]} twice; each run is one of its own. Give it once.")


def check_threads(threads: int | None) -> None:
    """Raise UserError: so many threads cannot be had."""
    if threads is not None and threads < 1:
        raise UserError(f"--threads must be 1 or above, got {threads}.")


def resume_command(arguments: Resume) -> None:
    """Run ``resume`` and show its progress."""
    if not arguments.run_dir:
        raise UserError("resume needs the folder of a run.")
    check_threads(arguments.threads)
    if folders := [folder for folder in arguments.run_dir if not _is_finished(folder)]:
        _go_on(folders, arguments)


def extend_command(arguments: Extend) -> None:
    """Run ``extend``, and ``resume`` with what it made."""
    if not arguments.run_dir:
        raise UserError("extend needs the folder of a run.")
    check_threads(arguments.threads)
    from dqn_ref.extend import extend, withdraw
    from dqn_ref.records import RunRecord

    shorter = [RunRecord.read(folder) for folder in arguments.run_dir]
    group = Path("runs") / f"{shorter[0].protocol}-{format_frames(arguments.frames)}"
    folders = [(arguments.out or group) / record.member.name for record in shorter]
    if arguments.out and len(shorter) == 1:
        folders = [arguments.out]
    extend(arguments.run_dir, arguments.frames, folders)
    try:
        _go_on(folders, arguments)
    except UserError as error:
        withdraw(folders, shorter)  # so that the mended command finds the place free
        removed = "" if any(map(Path.exists, folders)) else ", and what was begun is removed again"
        raise UserError(f"{', '.join(map(str, arguments.run_dir))} cannot go on{removed}: {error}") from None


def _go_on(folders: Sequence[Path], arguments: Resume | Extend) -> None:
    """Go on with stopped runs, and show their progress."""
    from dqn_ref.progress import shown_progress
    from dqn_ref.resume import resume_population

    with shown_progress(folders[0].name if len(folders) == 1 else f"{len(folders)} runs") as report:
        resume_population(
            folders,
            device_name=arguments.device,
            threads=arguments.threads,
            graphs=arguments.graphs,
            halves=arguments.halves,
            report=report,
            say=partial(print, flush=True),
        )
    print_ended(folders)


def _is_finished(folder: Path) -> bool:
    from dqn_ref.records import RunRecord

    finished = RunRecord.read(folder).status == "finished"
    if finished:
        print(f"{folder} is finished; there is nothing to go on with.")
    return finished


def print_ended(folders: Sequence[Path]) -> None:
    """What the finished runs in ``folders`` scored, and where they are."""
    from dqn_ref.records import RunRecord

    for folder in folders:
        record = RunRecord.read(folder)
        for evaluation in record.evaluations:
            print_evaluation(record.member.name, evaluation)
        print(f"Recorded in {folder}")


def evaluate_command(arguments: Evaluate) -> None:
    """Run ``evaluate``."""
    from dqn_ref.evaluate_run import evaluate_folder

    evaluation = evaluate_folder(
        arguments.run_dir,
        episodes=arguments.episodes,
        epsilon=arguments.epsilon,
        max_frames=arguments.max_frames,
        weights=arguments.weights,
        device_name=arguments.device,
        say=print,
    )
    print_evaluation(arguments.run_dir.name, evaluation)


def record_command(arguments: Record) -> None:
    """Run ``record``."""
    from dqn_ref.video import record_episode

    options = {key: value for key, value in vars(arguments).items() if key not in ("run_dir", "device")}
    recording = record_episode(arguments.run_dir, **options, device_name=arguments.device, report=print)
    print(f"{arguments.run_dir.name}, {recording.words()}")
    print(f"Recorded in {recording.path}")


def print_evaluation(name: str, e: Mapping[str, Any]) -> None:
    """One line: score, spread, and the protocol that it was measured under."""
    print(
        f"{name}, {e['weights']} network: mean return {e['mean_return']:.1f} +- {e['std_return']:.1f} (s.d.) over "
        f"{e['num_episodes']} episodes of at most {e['max_frames']:,} frames, epsilon {e['epsilon']}, "
        f"after {e['training_frames']:,} frames of training"
    )


def parse(arguments: list[str]) -> Train | Resume | Extend | Evaluate | Record:
    """Typed arguments. The defaults of the hyperparameters are those of the protocol that is named."""
    protocol = NATURE
    for position, word in enumerate(arguments):
        name = word.partition("=")[2] if word.startswith("--protocol=") else None
        if word == "--protocol" and position + 1 < len(arguments):
            name = arguments[position + 1]
        protocol = PROTOCOLS.get(name or "", protocol)
    train_type = Annotated[
        Train, tyro.conf.subcommand("train", default=Train(game=tyro.MISSING, config=protocol.config))
    ]
    resume_type = Annotated[Resume, tyro.conf.subcommand("resume")]
    extend_type = Annotated[Extend, tyro.conf.subcommand("extend")]
    evaluate_type = Annotated[Evaluate, tyro.conf.subcommand("evaluate")]
    record_type = Annotated[Record, tyro.conf.subcommand("record")]
    return tyro.cli(
        train_type | resume_type | extend_type | evaluate_type | record_type,
        prog="python -m dqn_ref",
        description=DESCRIPTION,
        args=arguments,
        config=(tyro.conf.OmitSubcommandPrefixes, tyro.conf.OmitArgPrefixes),
    )


def main(arguments: list[str] | None = None) -> int:
    """Exit code: 0 done, 2 a user's mistake, 130 interrupted."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that a run that is told to end records it
    try:
        command = parse(sys.argv[1:] if arguments is None else arguments)
        if isinstance(command, Train):
            train_command(command)
        elif isinstance(command, Resume):
            resume_command(command)
        elif isinstance(command, Extend):
            extend_command(command)
        elif isinstance(command, Evaluate):
            evaluate_command(command)
        else:
            record_command(command)
    except UserError as error:
        Console(stderr=True, highlight=False, soft_wrap=True).print(f"error: {error}", style="red", markup=False)
        return 2
    except KeyboardInterrupt:
        print(
            "Interrupted; a run's record says so, and no half-written video is left. `resume` goes on with a run that "
            "has a checkpoint; the first is written after five minutes.",
            file=sys.stderr,
        )
        return 130
    except BrokenPipeError:
        reader_left()
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
