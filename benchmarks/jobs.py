"""Runs jobs as processes of this machine, several at once, through the agent's own command line.

On a CPU a job is one run. On a GPU it is a population: runs that one process trains side by side.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dqn_ref.protocols import Protocol
from dqn_ref.seeds import Member

POLL_SECONDS = 0.2


@dataclass(frozen=True)
class Job:
    """Runs to be made by one process: every game with every seed."""

    games: tuple[str, ...]
    seeds: tuple[int, ...]
    frames: int
    protocol: Protocol
    group: Path  # folder of the runs' folders
    overrides: Mapping[str, Any] = field(default_factory=dict, kw_only=True)  # hyperparameters that leave the protocol
    evaluate_iterations: bool = field(default=False, kw_only=True)
    resumes: bool = field(default=False, kw_only=True)  # the runs were stopped, at one step, and have checkpoints
    extends: tuple[Path, ...] = field(default=(), kw_only=True)  # finished runs of one smaller budget, in order
    variant: str = field(default="", kw_only=True)  # of the failures suite, for whoever reads what is made

    @property
    def folders(self) -> list[Path]:
        """Folders of the runs."""
        return [self.group / Member(game, seed).name for seed in self.seeds for game in self.games]

    @property
    def name(self) -> str:
        """The run's, or that of the first of several, with its variant."""
        others = len(self.folders) - 1
        first = f"{self.variant}/{self.folders[0].name}" if self.variant else self.folders[0].name
        return first + (f" and {others} more" if others else "")

    @property
    def log(self) -> Path:
        """Where the process' words are kept."""
        return self.group / "logs" / f"{self.folders[0].name}.log"

    def command(self, device: str, threads: int) -> list[str]:
        """What a person would type for this run."""
        if self.resumes:  # on the device and with the threads that it had
            return [sys.executable, "-m", "dqn_ref", "resume", *map(str, self.folders)]
        budget = ["--frames", str(self.frames)]
        out = ["--out", str(self.group if len(self.folders) > 1 else self.folders[0])]
        if self.extends:  # on the device and with the threads that they had
            return [sys.executable, "-m", "dqn_ref", "extend", *map(str, self.extends), *budget, *out]
        return [
            sys.executable, "-m", "dqn_ref", "train", "--protocol", self.protocol.name,
            "--game", *self.games, "--seed", *map(str, self.seeds), *budget,
            "--device", device, "--threads", str(threads), *option_words(self.overrides),
            *(["--evaluate-iterations"] if self.evaluate_iterations else []), *out,
        ]  # fmt: skip


def option_words(values: Mapping[str, Any]) -> list[str]:
    """Fields of ``DQNConfig`` as the agent's command line takes them, e.g. ``--error-clip None``."""
    words = list[str]()
    for name, value in values.items():
        option = name.replace("_", "-")
        if isinstance(value, bool):
            words.append(f"--{option}" if value else f"--no-{option}")
        else:
            words += [f"--{option}", str(value)]
    return words


@dataclass(frozen=True)
class Ended:
    """How a job ended."""

    job: Job
    exit_code: int
    seconds: float
    last_line: str  # of what it printed


def run_jobs(
    jobs: Sequence[Job], *, at_once: int, threads: int, device: str, on_end: Callable[[Ended], None]
) -> list[Ended]:
    """Run all ``jobs``, ``at_once`` side by side; a failure stops nothing but itself.

    Raises:
        KeyboardInterrupt: passed on after every running job was told to end and has recorded that.
    """
    waiting, running, ended = deque(jobs), list[tuple[Job, subprocess.Popen[bytes], float, int]](), list[Ended]()
    try:
        while waiting or running:
            while waiting and len(running) < at_once:
                job = waiting.popleft()
                running.append((job, *_start(job, device, threads)))
            for entry in list(running):
                job, process, start, log_start = entry
                if process.poll() is not None:
                    running.remove(entry)
                    seconds = time.monotonic() - start
                    ended.append(Ended(job, process.returncode, seconds, _last_line(job.log, log_start)))
                    on_end(ended[-1])
            time.sleep(POLL_SECONDS)
    finally:
        for _, process, _, _ in running:
            process.send_signal(signal.SIGTERM)
        for _, process, _, _ in running:
            process.wait()
    return ended


def _start(job: Job, device: str, threads: int) -> tuple[subprocess.Popen[bytes], float, int]:
    """The process, when it started, and where in its log it begins: earlier attempts' words are kept there."""
    job.log.parent.mkdir(parents=True, exist_ok=True)
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}
    with job.log.open("ab") as log:
        log_start = log.tell()
        process = subprocess.Popen(
            job.command(device, threads),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env=environment,
            preexec_fn=end_with_parent,
            # Ctrl-C is for this process alone, which then tells its own to end: told twice, they record nothing.
            start_new_session=True,
        )
        return process, time.monotonic(), log_start


def _last_line(log: Path, start: int) -> str:
    lines = log.read_bytes()[start:].decode(errors="replace").strip().splitlines()
    return lines[-1] if lines else "it printed nothing"


def end_when_told() -> None:
    """End as after Ctrl-C when this process is told to terminate, and with tox, which leaves its command running."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    if "TOX_ENV_NAME" in os.environ:
        end_with_parent()


def end_with_parent() -> None:
    """Ask the system to tell this process to end when its parent has died, so that none goes on unseen."""
    if sys.platform != "linux":
        return
    pr_set_pdeathsig = 1  # in linux/prctl.h
    ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGTERM)
