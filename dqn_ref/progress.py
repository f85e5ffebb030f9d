"""What is shown while a run trains: a bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import datetime
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

if TYPE_CHECKING:
    from dqn_ref.group import Progress as RunProgress

PLAIN_LINE_SECONDS = 10.0


def reader_left() -> None:
    """Write no more to who reads what is printed and has left, as ``| head`` does."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


@contextmanager
def shown_progress(name: str) -> Iterator[Callable[[RunProgress], None]]:
    """A function to call with each progress of the run called ``name``."""
    console = Console()
    if not console.is_terminal:
        yield _plain_lines(name)
        return
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[state]}"))
    with Progress(*columns, console=console) as bar:
        task = bar.add_task(name, total=None, state="starting")
        yield lambda progress: bar.update(
            task, total=progress.total_frames, completed=progress.frames, state=_state(progress)
        )


def _plain_lines(name: str) -> Callable[[RunProgress], None]:
    last_shown = -PLAIN_LINE_SECONDS

    def show(progress: RunProgress) -> None:
        nonlocal last_shown
        if time.monotonic() - last_shown >= PLAIN_LINE_SECONDS or progress.frames == progress.total_frames:
            try:
                print(f"{name}  {_state(progress)}", flush=True)
            except BrokenPipeError:  # nobody reads any more; training goes on
                reader_left()
            last_shown = time.monotonic()

    return show


def _state(progress: RunProgress) -> str:
    score = "-" if progress.mean_return is None else f"{progress.mean_return:.1f}"
    seconds = progress.seconds_left
    left = "warming up" if seconds is None else f"{datetime.timedelta(seconds=round(seconds))} left"
    return (
        f"{progress.frames:,}/{progress.total_frames:,} frames, {progress.frames_per_second:,.0f} frames/s, "
        f"score so far {score}, {left}"
    )
