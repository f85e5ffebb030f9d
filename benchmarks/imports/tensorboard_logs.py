"""Folders of TensorBoard events: which program wrote them, by the tags in them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from benchmarks.curves import Curves, Measurement
from benchmarks.imports import cleanrl, dopamine, stable_baselines3
from benchmarks.imports.declared import Declared
from benchmarks.imports.events import Log, read_log
from benchmarks.imports.naming import check_declared_runs, named
from benchmarks.imports.runs import Run, episode_scores, gridded_curves, in_frames
from benchmarks.imports.tables import shown
from dqn_ref.config import UserError

# Of each program: the tags that tell it.
TAGS: dict[str, tuple[str, ...]] = {
    "CleanRL": (cleanrl.TAG,),
    "Stable-Baselines3": (stable_baselines3.ROLLOUT, stable_baselines3.EVALUATION),
    "Dopamine": (dopamine.TRAINING, dopamine.EVALUATION),
}


def read(root: Path, paths: Sequence[Path], name: str, declared: Declared) -> Curves:
    """Curves of the event files ``paths`` below ``root``; a folder that holds some is a run.

    Raises:
        UserError: a file is damaged; a run has no tag that is known or declared; the runs are of several programs;
            or what the program's own reader refuses.
    """
    declared.check(("tag", "frames_per_step", "total_frames", "runs"), "TensorBoard logs")
    files: dict[Path, list[Path]] = {}
    for path in paths:
        folder = path.parent
        if folder.parts[-2:] == ("metrics", "tensorboard"):  # where Dopamine writes a second time
            folder = folder.parent.parent
        files.setdefault(folder, []).append(path)
    logs = _runs([read_log(folder, of_run) for folder, of_run in sorted(files.items())], declared)
    check_declared_runs(root, [log.folder for log in logs], declared)
    if declared.tag and not any(declared.tag in tags for tags in TAGS.values()):
        return gridded_curves(name, [_declared_run(root, log, declared) for log in logs], episode_scores, declared)
    programs = {_program(log, declared): log.folder for log in logs}
    if len(programs) > 1:
        where = ", ".join(f"{program} in {folder}" for program, folder in programs.items())
        raise UserError(f"{root} holds logs of several programs: {where}. Point at one of them.")
    return _READERS[next(iter(programs))](root, logs, name, declared)


def _runs(logs: Sequence[Log], declared: Declared) -> list[Log]:
    """Logs with scores. One without, within a run, is part of that run, e.g. that of add_hparams.

    Raises:
        UserError: a log has none and is no part of another.
    """
    wanted = [declared.tag] if declared.tag else [tag for tags in TAGS.values() for tag in tags]
    runs: list[Log] = []
    for log in logs:  # sorted: a folder comes before what is in it
        if not set(wanted) & set(log.scalars):
            if any(run.folder in log.folder.parents for run in runs):
                continue
            found = ", ".join(map(shown, sorted(log.scalars)[:8])) or "none at all"
            raise UserError(
                f"{log.folder} has no scalar called {' or '.join(wanted)}; it has {found}. Move it away if it never "
                f'got so far, or say in {declared.path} which one is the return: "tag": "...".'
            )
        runs.append(log)
    return runs


def _program(log: Log, declared: Declared) -> str:
    """Who wrote the log. Raises UserError: its tags are those of several."""
    wanted = {declared.tag} if declared.tag else set(log.scalars)
    programs = [program for program, tags in TAGS.items() if wanted & set(tags)]
    if len(programs) > 1:
        raise UserError(
            f"{log.folder} has tags of {' and of '.join(programs)}. Say in {declared.path} which one is the return: "
            '"tag": "...".'
        )
    return programs[0]


def _read_stable_baselines3(root: Path, logs: Sequence[Log], name: str, declared: Declared) -> Curves:
    tag = declared.tag or stable_baselines3.preferred_tag(logs)
    return stable_baselines3.read_events(root, logs, tag, name, declared)


_READERS: Mapping[str, Callable[[Path, Sequence[Log], str, Declared], Curves]] = {
    "CleanRL": cleanrl.read,
    "Stable-Baselines3": _read_stable_baselines3,
    "Dopamine": dopamine.read_events,
}


def _declared_run(root: Path, log: Log, declared: Declared) -> Run:
    """A run of a program that is not known: values of the declared tag count as returns of episodes."""
    if declared.frames_per_step is None:
        raise UserError(
            f'{declared.path}: with a "tag" of its own, "frames_per_step" must say how many emulator frames one step '
            "of the log stands for: 4 if it counts agent steps of 4 frames."
        )
    assert declared.tag
    per_step = declared.frames_per_step
    who = named(root, log.folder, declared, cleanrl.env_id(log))
    steps, values = log.scalars[declared.tag]
    frames = in_frames(steps, per_step, log.folder)
    return Run(who.game, who.seed, log.folder, frames, values, Measurement(), per_step * log.last_step)
