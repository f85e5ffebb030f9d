"""Logs of other programs: TensorBoard events, CSV with a row an interval, monitor files; one run at a time."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.doctor.verdicts.log import METRICS, Episodes, Fact, Log, Series
from benchmarks.doctor.verdicts.names import CLEANRL, CLEANRL_FACTS, LENGTH, RETURN, SKIP, Names, program_of
from benchmarks.imports import cleanrl, events, stable_baselines3, tables
from benchmarks.imports.declared import declaration
from benchmarks.imports.naming import emulator, named
from benchmarks.imports.tables import MOST, Row, shown
from dqn_ref.config import UserError

Raw = tuple[NDArray[np.int64], NDArray[np.float64]]  # steps [N], values [N]
MOST_DEPTH = 10  # depth of folders looked into below the one that was named


@dataclass(frozen=True)
class _Found:
    """The files of one run."""

    folder: Path
    events: tuple[Path, ...] = ()
    tables: tuple[Path, ...] = ()
    monitors: tuple[Path, ...] = ()


def read(path: Path, names: Names | None) -> Log:
    """The log at ``path``, a file or a folder. Raises UserError: none, several, or none that is known."""
    found = _files(path)
    scalars: dict[str, Raw] = {}
    env_id, arguments = None, dict[str, str]()
    if found.events:
        log = events.read_log(found.folder, found.events)
        scalars |= log.scalars
        env_id, arguments = cleanrl.env_id(log), dict(cleanrl.hyperparameters(log))
    there = {*scalars, *(name for each in found.tables for name in _header(each))}
    program = names or program_of(there)
    if program is None and not found.monitors:
        have = ", ".join(map(shown, sorted(there)[:8])) or "none"
        raise UserError(
            f"{path} has no name known here (of CleanRL, Stable-Baselines3 or this project); its names: {have}. "
            "Say what they are with --mapping FILE; docs/diagnose.md shows one."
        )
    program = program or Names("Stable-Baselines3", {})
    for table in found.tables:
        scalars |= {name: series for name, series in _table(table, program).items() if name not in scalars}
    if found.monitors:
        episodes, monitor_id = _monitors(found)
        env_id = env_id or monitor_id
    else:
        episodes = None
    place = found.folder
    per_step, note = _frames_per_step(program, env_id, path)
    return _log(path, place, program, scalars, episodes, env_id, arguments, per_step, note)


def _log(
    path: Path,
    place: Path,
    program: Names,
    scalars: Mapping[str, Raw],
    episodes: Episodes | None,
    env_id: str | None,
    arguments: Mapping[str, str],
    per_step: int,
    note: tuple[str, ...],
) -> Log:
    series = {
        ours: _series(scalars[theirs.name], per_step, theirs.scale, place)
        for ours, theirs in program.metrics.items()
        if ours in METRICS and theirs.name in scalars
    }
    if episodes is None and (returns := program.metrics.get(RETURN)) and returns.name in scalars:
        episodes = _episodes(program, scalars, per_step, place)
    if not series and (episodes is None or not len(episodes)):
        wanted = ", ".join(each.name for each in program.metrics.values())
        raise UserError(f"{path} has none of the names of {program.program}: {wanted}. Check --mapping, or the path.")
    ends = [int(each.frames[-1]) for each in series.values() if len(each.frames)]
    ends += [int(episodes.frames[-1])] if episodes is not None and len(episodes) else []
    facts = {"frames_per_agent_step": float(SKIP), **_facts(program, arguments, per_step), **program.facts}
    return Log(
        name=os.path.basename(os.path.abspath(path)),
        program=program.program,
        game=program.game or _game(path, place, env_id),
        frames_done=max(ends, default=0),
        series=series,
        episodes=episodes,
        facts=facts,
        notes=(*program.notes, *note),
    )


# ---------------------------------------------------------------------- which files


def _files(path: Path) -> _Found:
    """The files of the run at ``path``. Raises UserError: those of none, or of several runs."""
    if path.is_file():
        if events.is_events(path):
            return _Found(path.parent, events=(path,))
        if stable_baselines3.is_monitor(path):
            return _Found(path.parent, monitors=(path,))
        return _Found(path.parent, tables=(path,))
    found: list[_Found] = []
    for folder, folders, files in os.walk(path):
        folders[:] = sorted(folders) if len(Path(folder).relative_to(path).parts) < MOST_DEPTH else []
        here = [each for each in (Path(folder) / name for name in sorted(files)) if each.is_file()]
        run = _Found(
            Path(folder),
            events=tuple(each for each in here if events.is_events(each)),
            tables=tuple(each for each in here if each.name == "progress.csv"),
            monitors=tuple(each for each in here if stable_baselines3.is_monitor(each)),
        )
        # The events of add_hparams lie within those of their run.
        within = any(above.events and above.folder in run.folder.parents for above in found)
        if (run.events or run.tables or run.monitors) and not within:
            found.append(run)
    if not found:
        raise UserError(
            f"{path} holds no log: no run.json, no TensorBoard events, no progress.csv, no monitor.csv. Point at the "
            "folder of one run, or at a CSV file."
        )
    if len(found) > 1:
        where = ", ".join(str(run.folder) for run in found[:4])
        raise UserError(f"{path} holds {len(found)} runs ({where}{' ...' if len(found) > 4 else ''}). Point at one.")
    return found[0]


def _header(path: Path) -> tuple[str, ...]:
    return tables.columns(path)


# ---------------------------------------------------------------------- numbers


def _value(text: str) -> float:
    """A number, or what a program writes for one that is none. Raises ValueError."""
    known = {"": math.nan, "nan": math.nan, "none": math.nan, "inf": math.inf, "-inf": -math.inf}
    word = text.strip().lower()
    return known[word] if word in known else tables.number(text)


def _table(path: Path, program: Names) -> dict[str, Raw]:
    """Columns of a CSV by name; a row in which a column is empty is none of that column's.

    Raises:
        UserError: no column of steps, or a field that is no number.
    """
    there = {name: name.lower() for name in program.step}
    header = _header(path)
    step = next((lower for lower in there.values() if lower in header), None)
    if step is None:
        raise UserError(
            f"{path} has no column of steps: looked for {', '.join(there)}; it has "
            f"{', '.join(map(shown, header[:8])) or 'no header'}. Name it in --mapping FILE: step."
        )
    rows = tables.rows(path, (step,))
    found: dict[str, Raw] = {}
    for theirs in {each.name for each in program.metrics.values()}:
        if theirs.lower() not in header:
            continue
        filled: list[Row] = [row for row in rows if row.fields[theirs.lower()] and row.fields[step]]
        if filled:
            steps = np.array([row.parsed(step, tables.whole) for row in filled], np.int64)
            found[theirs] = steps, np.array([row.parsed(theirs.lower(), _value) for row in filled], np.float64)
    return found


def _series(raw: Raw, per_step: int, scale: float, place: Path) -> Series:
    """In frames, ascending. Raises UserError: steps that no training has."""
    steps, values = raw
    if len(steps) and not (steps.min() >= 0 and int(steps.max()) * per_step <= MOST):
        raise UserError(f"{place}: steps from {steps.min()} to {steps.max()} are no training of an agent.")
    order = np.argsort(steps, kind="stable")
    with np.errstate(over="ignore"):  # infinity is a finding
        scaled = values * scale
    return Series(per_step * steps[order].astype(np.int64), scaled[order])


def _episodes(program: Names, scalars: Mapping[str, Raw], per_step: int, place: Path) -> Episodes:
    returns = _series(scalars[program.metrics[RETURN].name], per_step, program.metrics[RETURN].scale, place).finite()
    lengths = np.zeros(0)
    if (length := program.metrics.get(LENGTH)) and length.name in scalars:
        known = _series(scalars[length.name], per_step, length.scale, place).finite()
        if np.array_equal(known.frames, returns.frames):
            lengths = known.values
    return Episodes(returns.frames, returns.values, lengths)


def _monitors(found: _Found) -> tuple[Episodes, str | None]:
    """Episodes of the monitor files of one run, as they ended over all its environments."""
    parts = [stable_baselines3.read_monitor(path) for path in found.monitors]
    env_id = next((each for each, _ in parts if each), None)
    rows = np.concatenate([each for _, each in parts])  # [E, 3]: time, length, return
    rows = rows[np.argsort(rows[:, 0], kind="stable")]
    frames = np.cumsum(rows[:, 1]) * (emulator(env_id).skip or 1)
    if len(frames) and frames[-1] > MOST:
        raise UserError(f"{found.folder}: monitor files count {frames[-1]:,.0f} frames; that is no training.")
    return Episodes(frames.astype(np.int64), rows[:, 2], rows[:, 1]), env_id


# ---------------------------------------------------------------------- what else is known


def _frames_per_step(program: Names, env_id: str | None, path: Path) -> tuple[int, tuple[str, ...]]:
    """Frames of a step, and what was taken for granted. What is declared wins over what the program usually does."""
    given = program.frames_per_step or declaration(path).frames_per_step
    if given:
        return given, ()
    if env_id and emulator(env_id).skip == 1:
        return SKIP, ()
    return SKIP, (
        f"a step of the log is taken as an agent step of {SKIP} frames; if it is not, say frames_per_step in a mapping",
    )


def _game(path: Path, place: Path, env_id: str | None) -> str | None:
    """The game that the log or the names of its folders say; None if none does, or they say several."""
    path, place = Path(os.path.abspath(path)), Path(os.path.abspath(place))
    if path.is_file() and not events.is_events(path):
        place = path.with_suffix("")  # a table's own name may say it
    root = path if path in place.parents else place.parent  # and that of the folder above, as in GAME/DQN_1
    try:
        return named(root, place, declaration(path), env_id, seed=0).game
    except UserError:
        return None


def _facts(program: Names, arguments: Mapping[str, str], per_step: int) -> dict[str, Fact]:
    """Settings from the arguments that CleanRL writes down."""
    if program is not CLEANRL:
        return {}
    numbers: dict[str, float] = {}
    for name, text in arguments.items():
        try:
            numbers[name] = tables.number(text)
        except ValueError:
            continue
    facts: dict[str, Fact] = {ours: numbers[theirs] for theirs, ours in CLEANRL_FACTS.items() if theirs in numbers}
    if arguments.get("exp_name", "").startswith("dqn_atari"):
        facts["reward_clip"] = 1.0  # its ClipRewardEnv
    total = numbers.get("total_timesteps")
    if total and total > 0:
        facts["total_frames"] = total * per_step
        if "exploration_fraction" in numbers:
            facts["epsilon_span_agent_steps"] = total * numbers["exploration_fraction"]
    return facts
