"""Going on with finished runs to a longer budget, as if they had had it from the start."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from dqn_ref import records
from dqn_ref.claim import claimed
from dqn_ref.config import DQNConfig, UserError
from dqn_ref.lint import warnings_of
from dqn_ref.records import RunRecord
from dqn_ref.run_writer import check_new_folder, make_folder

COPIED = ("episodes.csv", "progress.csv", records.ACTIONS, records.CHECKPOINT, *dict.fromkeys(records.WEIGHTS.values()))


def extend(folders: Sequence[Path], total_frames: int, out: Sequence[Path]) -> None:
    """Copy the finished runs in ``folders`` to ``out``, each as a run of ``total_frames`` that was stopped on its way.

    ``resume_population`` then goes on with them. What is in ``folders`` stays as it is.

    Raises:
        UserError: a run cannot go on to so many frames, or a folder is taken. Nothing is left in ``out`` then.
    """
    if len({folder.resolve() for folder in out}) < len(folders):
        raise UserError(f"Each longer run needs a folder of its own, got {', '.join(map(str, out))}.")
    finished = [RunRecord.read(folder) for folder in folders]
    for record, folder in zip(finished, out, strict=True):
        if why := obstacle(record, total_frames):
            raise UserError(f"{record.folder} cannot go on to {total_frames:,} frames: {why}")
        check_new_folder(folder)
        if inside := [str(shorter) for shorter in folders if shorter.resolve() in folder.resolve().parents]:
            raise UserError(f"{folder} lies within {inside[0]}, which stays as it is. Choose another --out.")
        if record.config != finished[0].config:
            raise UserError(
                f"Runs go on side by side if they have one configuration: {record.folder} has another than "
                f"{folders[0]}. Name it in a command of its own."
            )
    made = list[Path]()
    try:
        for record, folder in zip(finished, out, strict=True):
            _copy(record, longer(record.config, total_frames), folder)
            made.append(folder)
    except BaseException:  # Ctrl-C too
        withdraw(made, finished)
        raise


def withdraw(folders: Sequence[Path], shorter: Sequence[RunRecord]) -> None:
    """Remove those of the longer runs in ``folders`` that have not gone on, and that nobody else is at work on."""
    for folder, before in zip(folders, shorter, strict=False):
        with suppress(UserError), claimed([folder]):
            run = RunRecord.read(folder).run
            gone_on = len(run.get("resumed", [])) > len(before.run.get("resumed", []))
            if run["status"] == "interrupted" and not gone_on:
                _remove(folder)


def obstacle(record: RunRecord, total_frames: int) -> str | None:
    """Why a run cannot go on to ``total_frames`` as if it had had them from the start; None if it can."""
    config = record.config
    if record.status != "finished":
        return f"it is {record.status}, not finished. Resume it first."
    if total_frames <= config.total_frames:
        return f"it has {config.total_frames:,} already. Ask for more --frames."
    if not config.ends_whole:
        return (
            f"it ended within an iteration of {config.iteration_frames:,} frames or a row of progress of "
            f"{config.progress_frames:,}, and a longer run does not stop there. Run it again with more --frames."
        )
    if not (record.folder / records.CHECKPOINT).exists():
        return (
            f"it keeps no checkpoint of its end ({records.CHECKPOINT}, {records.ACTIONS}); a run of less than five "
            "minutes writes none. Run it again with more --frames."
        )
    try:
        if record.resumable_after != config.total_frames:
            from dqn_ref.checkpoint import Checkpoint  # which imports PyTorch

            Checkpoint.load(record.folder)  # says what is wrong
            return f"its checkpoint is not of its end, {config.total_frames:,} frames. Run it again with more --frames."
        longer(config, total_frames)
    except UserError as error:
        return str(error)
    return None


def longer(config: DQNConfig, total_frames: int) -> DQNConfig:
    """``config`` with another budget. Raises UserError: it is an impossible one."""
    return replace(config, total_frames=total_frames)


def _copy(record: RunRecord, config: DQNConfig, out: Path) -> None:
    """All that a run of ``config`` would have written by now; run.json comes last, and nothing stays without it."""
    make_folder(out)
    with claimed([out]):
        check_new_folder(out)  # once more: nobody else can begin now
        try:
            for name in COPIED:
                shutil.copyfile(record.folder / name, out / name)
            if (record.folder / "tensorboard").is_dir():
                shutil.copytree(record.folder / "tensorboard", out / "tensorboard")
            if evaluations := _of_iterations(record):
                records.write_json(out / "evaluation.json", {"schema": records.SCHEMA, "evaluations": evaluations})
            changed = {
                "config": {**record.run["config"], "total_frames": config.total_frames},
                "lint": [finding.rule for finding in warnings_of(config)],
                "status": "interrupted",
                "extended": [*record.run.get("extended", []), record.frames_done],
            }
            records.write_json(out / "run.json", {**record.run, **changed})
        except (OSError, shutil.Error) as error:
            _remove(out)
            raise UserError(f"{record.folder} cannot be copied to {out}: {error}.") from None
        except BaseException:
            _remove(out)
            raise


def _remove(folder: Path) -> None:
    shutil.rmtree(folder.resolve() if folder.is_symlink() else folder, ignore_errors=True)


def _of_iterations(record: RunRecord) -> list[Mapping[str, Any]]:
    """Evaluations of a run that evaluates its iterations: of a longer one, that of the end is one of them."""
    if not record.run.get("evaluates_iterations"):
        return []
    config = record.config
    at_the_end = record.evaluated(
        weights="last",
        epsilon=config.evaluation_epsilon,
        max_frames=config.evaluation_max_frames,
        num_episodes=config.evaluation_episodes,
    )
    last = next(at_the_end, None)
    return [*record.evaluated(weights="iteration"), *([{**last, "weights": "iteration"}] if last else [])]
