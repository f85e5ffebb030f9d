"""Suites as data: which games belong together.

Atari-10, Atari-5 and Atari-3 are the subsets of Aitchison, Sweetser and Hutter (2022).
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection

from benchmarks.reference import human_and_random
from dqn_ref.config import UserError

SUITES: dict[str, tuple[str, ...]] = {
    "atari10": (
        "amidar", "battle_zone", "bowling", "double_dunk", "frostbite",
        "kung_fu_master", "name_this_game", "phoenix", "qbert", "riverraid",
    ),
    "atari5": ("battle_zone", "double_dunk", "name_this_game", "phoenix", "qbert"),
    "atari3": ("battle_zone", "name_this_game", "phoenix"),
    "atari57": tuple(human_and_random()),
}  # fmt: skip


def suite_games(name: str) -> tuple[str, ...]:
    """Games of the suite called ``name``. Raises UserError with the known names."""
    if name not in SUITES:
        raise UserError(f"No suite is called {name!r}; known are: {', '.join(SUITES)}.")
    return SUITES[name]


def suite_of(games: Collection[str]) -> str | None:
    """Name of the suite whose games these are, all of them and no other; None if there is none."""
    return next((name for name, known in SUITES.items() if set(known) == set(games)), None)


# ---------------------------------------------------------------------- names of games


def game_named(name: str) -> str:
    """The game that ``name`` means, in any spelling: ``ALE/Breakout-v5``, ``BreakoutNoFrameskip-v4``, ``Q*Bert``.

    Raises:
        UserError: it is none of the 57.
    """
    plain = re.sub(r"(?i)^ale/|[-_ ]v\d+$", "", name.strip())
    plain = re.sub(r"(?i)(-?ram)?[-_ ]?(no_?frameskip|deterministic)?$", "", plain)
    games = {_letters(game): game for game in human_and_random()}
    if _letters(plain) in games:
        return games[_letters(plain)]
    near = difflib.get_close_matches(_letters(plain), games, n=3)
    meant = f" Did you mean {' or '.join(games[each] for each in near)}?" if near else ""
    raise UserError(f"{name!r} is none of the 57 Atari games.{meant}")


def _letters(text: str) -> str:
    """All that spellings of a game agree on."""
    return re.sub(r"[^a-z0-9]", "", text.lower())
