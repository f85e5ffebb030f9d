"""Which game and which seed a run is of, from its log or its name; and what an environment's id says. Never a guess."""

from __future__ import annotations

import functools
import itertools
import os
import re
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from benchmarks.imports.declared import Declared
from benchmarks.imports.tables import shown
from benchmarks.suites import game_named
from dqn_ref.config import UserError

WRAPPER_SKIP = 4  # MaxAndSkipEnv of Stable-Baselines3 and CleanRL: an agent step is so many steps of the emulator


# ---------------------------------------------------------------------- ids of environments


@dataclass(frozen=True)
class Emulator:
    """What an id of gymnasium says of its emulator; what it leaves open is None."""

    env_id: str | None
    skip: int | None  # frames of one step of the bare environment
    sticky: float | None


def emulator(env_id: str | None) -> Emulator:
    """What ``env_id`` says. Without one, no wrapper below the usual ones is assumed to skip.

    gymnasium's registrations (ale_py/registration.py): v0 and ALE/...-v5 are sticky (0.25), v4 is not; NoFrameskip
    plays frame by frame. ALE/...-v5 skips 4 frames unless gym.make was told otherwise, which no log says, so its
    skip is left open; the other ids skip a number that varies with their age. Atari ids of other libraries (EnvPool's
    Breakout-v5) are not gymnasium's, so they say neither.
    """
    if env_id is None:
        return Emulator(None, 1, None)
    plain = re.fullmatch(r"[A-Za-z]+?(-ram)?(NoFrameskip|Deterministic)?-v([04])", env_id)
    if plain:
        return Emulator(env_id, 1 if plain[2] == "NoFrameskip" else None, 0.25 if plain[3] == "0" else 0.0)
    return Emulator(env_id, None, 0.25 if re.fullmatch(r"ALE[/-][A-Za-z]+-v5", env_id) else None)


def frames_per_step(emulator: Emulator, wrapper_skip: int, declared: Declared, place: Path) -> int:
    """Frames of a step that is ``wrapper_skip`` steps of ``emulator``. Raises UserError: unknown, and not declared."""
    if declared.frames_per_step is not None:
        return declared.frames_per_step
    if emulator.skip is None:
        what = shown(emulator.env_id or "")
        times = f", and the wrappers repeat that {wrapper_skip} times" if wrapper_skip > 1 else ""
        raise UserError(
            f"{place}: {what} may skip frames by itself (ALE/...-v5: 4 unless gym.make was given "
            f'another frameskip){times}; the log does not say. Say "frames_per_step" in {declared.path}: '
            f"{wrapper_skip} with frameskip=1, {4 * wrapper_skip} with frameskip=4."
        )
    return emulator.skip * wrapper_skip


# ---------------------------------------------------------------------- names of folders


@dataclass(frozen=True)
class Named:
    """Which run it is, and what is known of its emulator."""

    game: str
    seed: int
    emulator: Emulator


def parts_of(root: Path, place: Path) -> tuple[str, ...]:
    """Names from the source's own folder down to the run's."""
    return (Path(os.path.abspath(root)).name, *place.relative_to(root).parts)


def named(root: Path, place: Path, declared: Declared, env_id: str | None = None, seed: int | None = None) -> Named:
    """Game and seed of the run at ``place``, which lies in ``root``: as declared, else as logged, else from its name.

    Args:
        root: the source's folder.
        place: the run's folder.
        declared: its ``runs`` win over everything.
        env_id: the environment's id in the run's log.
        seed: the seed in the run's log.

    Raises:
        UserError: none of these says it, or a name says two.
    """
    parts = parts_of(root, place)
    found_id = env_id or _env_id(parts)
    said = declared.runs.get(place.relative_to(root).as_posix())
    if said:
        return Named(*said, emulator(found_id))
    try:
        game = game_named(env_id) if env_id else _game(parts)
    except UserError as error:
        raise UserError(f"{place}: {error}") from None
    if seed is None:
        seed = _seed(parts)
    if game is None or seed is None:
        missing = " and ".join(word for word, value in (("its game", game), ("its seed", seed)) if value is None)
        key = place.relative_to(root).as_posix()
        raise UserError(
            f"{place}: neither the log nor a name in {'/'.join(parts)} says {missing}. Name the folder GAME-sSEED, "
            f"e.g. breakout-s0, point at the folder above if that says it, or declare it in {declared.path}: "
            f'"runs": {{"{key}": ["breakout", 0]}}.'
        )
    return Named(game, seed, emulator(found_id))


def check_declared_runs(root: Path, places: Collection[Path], declared: Declared) -> None:
    """Raise UserError if a run is declared that is not there: a slip in its name would go unseen."""
    there = {place.relative_to(root).as_posix() for place in places}
    if absent := sorted(set(declared.runs) - there):
        raise UserError(f"{declared.path}: no run is at {', '.join(absent)}; runs are at {', '.join(sorted(there))}.")


_ENV_ID = re.compile(r"(ALE[/-])?[A-Z][A-Za-z]+(-ram)?(NoFrameskip|Deterministic)?-v[045](?![0-9])")


def _env_id(parts: tuple[str, ...]) -> str | None:
    """The innermost id of an environment among names."""
    for number in range(len(parts) - 1, -1, -1):
        found = _ENV_ID.search(parts[number])
        if found and _games_in(found[0]):
            above = "ALE/" if number and parts[number - 1] == "ALE" and not found[1] else ""
            return above + found[0]  # a "/" in an id makes two folders of it
    return None


def _game(parts: tuple[str, ...]) -> str | None:
    """The game that the innermost telling name says. Raises UserError: that name says two."""
    for part in reversed(parts):
        games = _games_in(part)
        if len(games) > 1:
            raise UserError(f"{part!r} names several games: {', '.join(sorted(games))}.")
        if games:
            return games.pop()
    return None


def _games_in(part: str) -> set[str]:
    words = [word for word in re.split(r"[^A-Za-z0-9]+", part) if word]
    spans = itertools.combinations(range(len(words) + 1), 2)
    tried = ("_".join(words[start:end]) for start, end in spans if end - start <= 5)
    return {game for game in map(_game_or_none, tried) if game}


@functools.lru_cache(maxsize=4096)
def _game_or_none(text: str) -> str | None:
    if not re.search("[A-Za-z]", text):
        return None
    try:
        return game_named(text)
    except UserError:
        return None


# Seeds in names, those that say it outright first.
_SEED = re.compile(r"(?:^|[^a-z])seed[-_=. ]?([0-9]{1,12})(?![0-9a-z])", re.IGNORECASE)
_SHORT = re.compile(r"(?:^|[^a-z])s[-_=]?([0-9]{1,12})(?![0-9a-z])", re.IGNORECASE)
_CLEANRL = re.compile(r"__([0-9]{1,12})(?=__)")  # env_id__exp_name__seed__time
_NUMBERED = re.compile(r"(?:^|[-_])([0-9]{1,3})$")  # 1, DQN_1, BreakoutNoFrameskip-v4_1: short, so that no date is one


def _seed(parts: tuple[str, ...]) -> int | None:
    """The seed that names say, the run's own before those around it. Raises UserError: one of them says two.

    Above the folder of the game an "s3" may mean anything. A mere number at the end counts only in the run's own name,
    and in the one that names the game.
    """
    with_game = [place for place, part in enumerate(parts) if _games_in(part)][-1:]
    innermost = with_game[0] if with_game else min(1, len(parts) - 1)
    inwards = list(enumerate(parts))[::-1]
    tries = [
        *((part, (_SEED, _SHORT) if place >= innermost else (_SEED,)) for place, part in inwards),
        *((part, (_CLEANRL,)) for _, part in inwards),
        *((parts[place], (_NUMBERED,)) for place in (-1, *with_game)),
    ]
    for part, patterns in tries:
        seeds = {int(each) for pattern in patterns for each in pattern.findall(part)}
        if len(seeds) > 1:
            raise UserError(f"{part!r} names several seeds: {', '.join(map(str, sorted(seeds)))}.")
        if seeds:
            return seeds.pop()
    return None
