"""What every contestant is told, and what it answers."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from importlib.metadata import PackageNotFoundError, version
from typing import Any

PACKAGES = ("torch", "numpy", "ale-py", "gymnasium", "gym", "opencv-python-headless")


@dataclass(frozen=True)
class Settings:
    """What is equal for all. Times are in agent steps of four frames."""

    steps: int = 400
    """Length of the measured span."""
    threads: int = 2
    """Of PyTorch, in one process."""
    warm_up_steps: int = 400
    """Play before the first update."""
    skipped_steps: int = 100
    """Learning before the clock starts: the first updates allocate memory."""
    batch_size: int = 32
    steps_per_update: int = 4
    steps_per_target: int = 1_000
    epsilon: float = 0.1
    discount: float = 0.99
    game: str = "breakout"
    changes: dict[str, Any] = field(default_factory=dict)
    """Fields of our DQNConfig that a row of ours changes."""

    @property
    def first(self) -> int:
        """Agent step at which the clock starts."""
        return self.warm_up_steps + self.skipped_steps

    @property
    def last(self) -> int:
        """Agent step at which the clock stops; the whole run fits into replay."""
        return self.first + self.steps

    def gym_id(self) -> str:
        """The game's name where a wrapper of four frames is to follow."""
        return f"{''.join(part.title() for part in self.game.split('_'))}NoFrameskip-v4"


class Span:
    """The clock: started at agent step ``settings.first``, stopped at ``settings.last``."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.marks: dict[int, tuple[float, int, int]] = {}

    def at(self, agent_step: int, *, updates: int, transitions: int) -> None:
        """Told at the same place of the loop after every agent step: how many there were of each so far."""
        if agent_step in (self.settings.first, self.settings.last):
            self.marks[agent_step] = (time.perf_counter(), updates, transitions)

    def answer(self) -> dict[str, Any]:
        """Seconds, updates and stored transitions between the two marks."""
        before, after = self.marks[self.settings.first], self.marks[self.settings.last]
        seconds, updates, transitions = (b - a for a, b in zip(before, after, strict=True))
        return {"seconds": seconds, "updates": updates, "transitions": transitions}


def count_updates() -> Callable[[], int]:
    """From now on count the steps of every PyTorch optimizer, whatever its owner says."""
    from torch.optim.optimizer import register_optimizer_step_post_hook

    steps = 0

    def count(*_: object) -> None:
        nonlocal steps
        steps += 1

    register_optimizer_step_post_hook(count)
    return lambda: steps


def run(measure: Callable[[Settings], dict[str, Any]], *packages: str) -> None:
    """Measure with the settings of the command line; the answer is the last line printed."""
    import torch

    settings = Settings(**json.loads(sys.argv[1]))
    torch.set_num_threads(settings.threads)
    answer = measure(settings)
    versions = {name: found for name in (*packages, *PACKAGES) if (found := _version(name))}
    print(json.dumps({**answer, "threads": torch.get_num_threads(), "versions": versions}))


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def as_argument(settings: Settings) -> str:
    """Settings as the one argument of a contestant."""
    return json.dumps(asdict(settings))
