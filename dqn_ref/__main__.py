"""python -m dqn_ref train | resume | extend | evaluate | record"""

from __future__ import annotations

import signal
import sys
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import tyro
from rich.console import Console

from dqn_ref.arguments import Evaluate, Extend, Record, Resume, Train
from dqn_ref.config import UserError, format_frames
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
