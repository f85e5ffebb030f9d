"""Suites as data: which games belong together.

Atari-10, Atari-5 and Atari-3 are the subsets of Aitchison, Sweetser and Hutter (2022).
"""

from __future__ import annotations

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
