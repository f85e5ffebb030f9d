"""What runs cost on this machine, from a short measurement or from runs that were made here."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

import psutil

import dqn_ref
from benchmarks.jobs import Job, run_jobs
from benchmarks.scores import protocol_evaluation
from dqn_ref.config import GPU_MEMBER_BYTES, TRANSITION_BYTES, DQNConfig, UserError, is_number
from dqn_ref.protocols import CI
from dqn_ref.records import RunRecord

# An evaluation episode in agent steps. Random play of Atari-10 takes 330 (qbert) to 2,500
# (name_this_game), 1,200 on average; trained agents live longer.
EVALUATION_EPISODE_STEPS = 1_500
SMALLEST_UPDATE = 1 / 8  # of the reference's, however few transitions are in it: starting its kernels costs too
PROCESS_BYTES = 1_000_000_000  # of a run's process beside its replay
MEASURED_GAMES = ("amidar", "riverraid")
SHORT_RUN: dict[str, Any] = {
    "iteration_frames": 3_000, "progress_frames": 1_000, "replay_start_agent_steps": 250,
    "epsilon_span_agent_steps": 1, "evaluation_episodes": 1, "evaluation_max_frames": 400, "heldout_states": 10,
}  # fmt: skip


@dataclass(frozen=True)
class Costs:
    """Seconds that runs take here, measured while ``at_once`` of them shared the machine."""

    startup: float
    warm_up_step: float  # one agent step of random play
    learning_step: float  # one agent step with its share of an update
    evaluation_step: float  # one agent step of evaluation; of one run's share of the time, where one process has all
    at_once: int
    one_process: bool = False  # trains and evaluates all of them, as on CUDA: each waits for the others' evaluations

    def job_seconds(self, config: DQNConfig, at_once: int | None = None, *, evaluate_iterations: bool = False) -> float:
        """Seconds of one run with ``config`` while ``at_once`` share the machine: the formula behind every forecast.

        By default as many as measured: fewer do not run faster, more share the same cores. Two networks are evaluated,
        and with ``evaluate_iterations`` those after all iterations but the last, too.

        An agent step in which the network acts costs as much as one of evaluation; what a learning step of the
        measured protocol takes beyond that is its share of an update. An update of another network is priced as the
        reference's, which is more than it costs; one of a smaller batch in proportion.
        """
        acting, warm_up = self.evaluation_step, config.replay_start_agent_steps
        update = max(0.0, self.learning_step - acting) * CI.config.update_period_agent_steps
        update *= max(SMALLEST_UPDATE, config.batch_size / CI.config.batch_size)
        earlier = (config.total_frames - 1) // config.iteration_frames if evaluate_iterations else 0
        evaluations = (2 + earlier) * config.evaluation_episodes * EVALUATION_EPISODE_STEPS * acting
        training = warm_up * self.warm_up_step
        training += (config.total_agent_steps - warm_up) * (acting + update / config.update_period_agent_steps)
        at_once = self.at_once if at_once is None else at_once
        slowdown = max(1.0, at_once / self.at_once)
        return (self.startup + training) * slowdown + evaluations * (at_once if self.one_process else slowdown)

    def suite_seconds(
        self, config: DQNConfig, num_jobs: int, at_once: int, *, evaluate_iterations: bool = False
    ) -> float:
        """Wall-clock seconds of ``num_jobs`` runs, ``at_once`` side by side."""
        return -(-num_jobs // at_once) * self.job_seconds(config, at_once, evaluate_iterations=evaluate_iterations)


def costs_from(records: Sequence[RunRecord], at_once: int, device: str = "cpu") -> Costs | None:
    """Costs as the progress of finished runs on ``device`` tells them; None if none says what something costs."""
    warm_up, learning = list[float](), list[float]()
    for record in records:
        before, warm_up_end = 0, record.config.replay_start_agent_steps
        for row in record.progress():
            if not (0 < row["frames_per_second"] < math.inf and math.isfinite(row["agent_steps"])):
                continue
            seconds = record.config.frames_per_agent_step / row["frames_per_second"]
            if row["agent_steps"] <= warm_up_end:
                warm_up.append(seconds)
            elif before >= warm_up_end:
                learning.append(seconds)
            before = int(row["agent_steps"])
    starts = [record.run.get("startup_seconds") for record in records]
    played = [(each["seconds"], each["agent_steps"]) for each in map(protocol_evaluation, records)]
    startup = [seconds for seconds in starts if is_number(seconds)]
    evaluation = [seconds / steps for seconds, steps in played if is_number(seconds) and is_number(steps) and steps > 0]
    if not (startup and warm_up and learning and evaluation):
        return None
    return Costs(fmean(startup), fmean(warm_up), fmean(learning), fmean(evaluation), at_once, device == "cuda")


def measure(device: str, at_once: int, threads: int, options: Mapping[str, Any] | None = None) -> Costs:
    """Costs from short real runs, ``at_once`` side by side (about 20 seconds on two cores).

    Args:
        device: ``cpu`` or ``cuda``.
        options: fields of the configuration that differ from the protocol ``ci``.
    """
    overrides = {**SHORT_RUN, **(options or {})}
    seeds = tuple(range(-(-at_once // len(MEASURED_GAMES))))
    runs = [((game,), (seed,)) for seed in seeds for game in MEASURED_GAMES][:at_once]
    parts = [(MEASURED_GAMES, seeds)] if device == "cuda" else runs  # there one process trains them all
    with tempfile.TemporaryDirectory() as temporary:
        jobs = [
            Job(games, seeds, overrides["iteration_frames"], CI, Path(temporary), overrides=overrides)
            for games, seeds in parts
        ]
        ended = run_jobs(jobs, at_once=len(jobs), threads=threads, device=device, on_end=lambda end: None)
        for end in ended:
            if end.exit_code:
                raise UserError(f"The short run that measures this machine failed: {end.last_line}")
        records = [RunRecord.read(folder) for job in jobs for folder in job.folders]
        costs = costs_from(records, len(records), device)
        assert costs is not None
        return costs


def device_here(name: str) -> str:
    """``cpu`` or ``cuda``: ``auto`` is what an agent would take. Raises UserError: CUDA asked for and not there."""
    if name == "cpu":
        return name
    from dqn_ref.device import select_device  # slow to import

    return select_device(name).type


def runs_at_once(config: DQNConfig, num_jobs: int, device: str) -> int:
    """How many runs this machine bears side by side, as memory allows, at least one.

    On a CPU a process a core; with CUDA a population of two emulators a core, so that none waits for a network.
    """
    cores, replay_bytes = dqn_ref.CORES, config.transitions_kept * TRANSITION_BYTES
    if device == "cuda":
        import torch  # slow to import, and only needed here

        fit = int(torch.cuda.mem_get_info()[0] * 0.9) // (GPU_MEMBER_BYTES + replay_bytes)
        return max(1, min(2 * cores // config.streams_per_member, num_jobs, fit))
    fit = int(psutil.virtual_memory().available * 0.9) // (PROCESS_BYTES + replay_bytes)
    return max(1, min(cores, num_jobs, fit))


def format_seconds(seconds: float) -> str:
    """Rounded for a reader: ``40 s``, ``12 min``, ``5.2 h``, ``38 days``."""
    for limit, size, unit in ((90, 1, "s"), (5400, 60, "min"), (172_800, 3600, "h")):
        if seconds < limit:
            return f"{seconds / size:.0f} {unit}" if seconds / size >= 10 else f"{seconds / size:.1f} {unit}"
    return f"{seconds / 86_400:,.0f} days"
