"""Run folders without training: written by the agent's own writer, with scores given as data."""

import functools
import importlib
import json
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path

from safetensors.numpy import save_file

from dqn_ref.config import DQNConfig
from dqn_ref.protocols import CI, Protocol
from dqn_ref.records import CHECKPOINT_VERSION, PROGRESS_COLUMNS
from dqn_ref.run_writer import RunWriter, add_evaluation
from dqn_ref.seeds import Member

STARTUP_SECONDS = 2.0
WARM_UP_FRAMES_PER_SECOND = 2_000.0  # 2 ms an agent step of 4 frames
LEARNING_FRAMES_PER_SECOND = 100.0  # 40 ms
EVALUATION_STEPS, EVALUATION_SECONDS = 1_000, 5.0  # 5 ms
COMMIT = "0123456789abcdef0123456789abcdef01234567"


def evaluation(config: DQNConfig, score: float, **changes) -> dict:
    """The protocol's own evaluation, with every episode at ``score``."""
    episodes = [
        {"episode": k, "raw_return": score, "frames": 400, "end": "game_over"}
        for k in range(config.evaluation_episodes)
    ]
    return {
        "weights": "last",
        "training_frames": config.total_frames,
        "epsilon": config.evaluation_epsilon,
        "max_frames": config.evaluation_max_frames,
        "num_episodes": config.evaluation_episodes,
        "mean_return": score,
        "std_return": 0.0,
        "agent_steps": EVALUATION_STEPS,
        "seconds": EVALUATION_SECONDS,
        "episodes": episodes,
    } | changes


def description(member: Member, protocol: Protocol, config: DQNConfig, **provenance) -> dict:
    """What a run says of itself before it starts."""
    return {
        "member": asdict(member),
        "protocol": {"name": protocol.name, "version": protocol.version, "overrides": protocol.overrides(config)},
        "config": asdict(config),
        "provenance": {
            "source": {"commit": COMMIT, "dirty": False},
            "lock_sha256": None,
            "versions": {},
            "rom_md5": "0" * 32,
            "machine": {"cpu": "a processor", "cores": 2, "memory_bytes": 8_000_000_000, "system": "Linux x86_64"},
            "torch": {"device": "cpu", "threads": 1},
            "command": "python -m dqn_ref train",
        }
        | provenance,
        "evaluates_iterations": False,
        "startup_seconds": STARTUP_SECONDS,
        "lint": [],
    }


def progress_row(agent_steps: int, frames_per_second: float, config: DQNConfig) -> dict:
    """A row of progress.csv of which only the clock matters."""
    zeros = dict.fromkeys(PROGRESS_COLUMNS, 0.0)
    frames = agent_steps * config.frames_per_agent_step
    return zeros | {"frames": frames, "agent_steps": agent_steps, "updates": 0, "frames_per_second": frames_per_second}


def write_run(
    folder: Path,
    game: str,
    seed: int,
    *,
    score: float | None = None,
    frames: int | None = None,
    config: DQNConfig | None = None,
    protocol: Protocol = CI,
    status: str = "finished",
    episodes: list[tuple[int, int, str]] | None = None,
    provenance: dict | None = None,
    error: str | None = None,
    resumable_after: int | None = None,
) -> Path:
    """Write the run of (game, seed) in ``folder``; a finished one is evaluated at ``score``.

    ``episodes`` are (frame, raw return, end). The status "running" leaves the record open. It may have a
    checkpoint, which holds nothing.
    """
    config = config or replace(protocol.config, total_frames=frames or protocol.config.total_frames)
    writer = RunWriter(folder, description(Member(game, seed), protocol, config, **(provenance or {})))
    if episodes is None:
        episodes = [(config.total_frames * k // 5, (score or 0) + k, "game_over") for k in range(1, 5)]
    for frame, raw_return, end in episodes:
        writer.episode(
            frame=frame, raw_return=int(raw_return), clipped_return=0, length_frames=400, end=end, lives_lost=0
        )
    per_step = config.frames_per_agent_step
    for row_frames in range(config.progress_frames, config.total_frames + 1, config.progress_frames):
        warm = row_frames // per_step <= config.replay_start_agent_steps
        speed = WARM_UP_FRAMES_PER_SECOND if warm else LEARNING_FRAMES_PER_SECOND
        writer.progress(**progress_row(row_frames // per_step, speed, config))
    if resumable_after is not None:
        notes = {
            "version": CHECKPOINT_VERSION,
            "agent_step": resumable_after // per_step,
            "lengths": {"episodes.csv": 1},
        }
        save_file({}, folder / "checkpoint.safetensors", metadata={"notes": json.dumps(notes)})
        for name in ("actions.bin", "weights.safetensors", "weights-best.safetensors"):
            (folder / name).touch()
    if status == "finished":
        if score is not None:
            add_evaluation(folder, evaluation(config, score))
        writer.close("finished", config.total_frames)
    elif status != "running":
        writer.close(status, config.total_frames // 2, error)
    return folder


def write_matrix(folder: Path, games, seeds: int, score=lambda game, seed: 10.0 * seed, **rest) -> None:
    """A finished run of every (game, seed) in ``folder``, scored by ``score(game, seed)``."""
    for seed in range(seeds):
        for game in games:
            write_run(folder / f"{game}-s{seed}", game, seed, score=score(game, seed), **rest)


def edit_json(path: Path, **changes) -> None:
    """Change fields of a JSON file, as an accident or an older version would."""
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def stand_in(job, device: str, threads: int) -> list[str]:
    """In place of ``Job.command``: a process that brings the job's run without training, and says so on a tape."""
    (folder,) = job.folders
    staged = job.group / "staged" / folder.name
    write_run(staged, job.games[0], job.seeds[0], frames=job.frames, score=100.0 + job.seeds[0])
    tape = job.group / "tape"
    program = f"""
import os
with open({str(tape)!r}, "a") as tape:
    tape.write({folder.name!r} + "\\n")
os.rename({str(staged)!r}, {str(folder)!r})
"""
    return [sys.executable, "-S", "-c", program]


def dead_pid() -> int:
    """The number of a process that has ended and was reaped."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def resample_little(monkeypatch) -> None:
    """Where tables and drawings are tested and not the width of their intervals."""
    for name in (
        "benchmarks.report.aggregates",
        "benchmarks.plots.aggregates.aggregates",
        "benchmarks.plots.aggregates.performance_profile",
        "benchmarks.plots.curves.sample_efficiency",
        "benchmarks.plots.games.probability_of_improvement",
    ):
        module, _, function = name.rpartition(".")
        full = getattr(importlib.import_module(module), function)
        monkeypatch.setattr(name, functools.partial(full, repetitions=100))
