"""Training speed beside Stable-Baselines3's DQN, measured in turn in one run: python -m benchmarks.speed.peers

Both play the same game with the same network, batch, threads and replay ratio (an update of 32
transitions every 4 agent steps) at epsilon 0.1. A process of its own each time, ours and theirs in
turn (A B A B), because the speed of a shared machine drifts; the clock runs after the warm-up.
Differences left: Stable-Baselines3 learns by Adam and clips the gradient's norm, ours by RMSProp.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from benchmarks.store import Store
from dqn_ref.config import UserError
from dqn_ref.provenance import machine, source_revision

WARM_UP_STEPS = 400  # agent steps before the first update
SKIPPED_STEPS = 200  # agent steps of learning before the clock starts
EPSILON = 0.1
GAME = "breakout"


def ours(steps: int) -> float:
    """Agent steps a second of this project's training loop."""
    import torch

    from dqn_ref.config import DQNConfig
    from dqn_ref.device import prepare_torch
    from dqn_ref.seeds import Member
    from dqn_ref.train import TimeSplit, make_population, make_streams, train

    device = torch.device("cpu")
    prepare_torch(device)
    total = (WARM_UP_STEPS + SKIPPED_STEPS + steps) * 4
    config = DQNConfig(
        total_frames=total,
        iteration_frames=total,
        replay_start_agent_steps=WARM_UP_STEPS,
        epsilon_end=EPSILON,
        epsilon_span_agent_steps=1,
        target_period_agent_steps=1_000,
    )
    streams = make_streams(config, [GAME])
    population = make_population(config, [Member(GAME, 0)], streams.num_actions.tolist(), device)
    start = 0.0
    for tick in train(config, population, streams, TimeSplit()):
        if tick.agent_step == WARM_UP_STEPS + SKIPPED_STEPS:
            start = time.perf_counter()
    return steps / (time.perf_counter() - start)


def stable_baselines3(steps: int) -> float:
    """Agent steps a second of Stable-Baselines3's DQN with its own Atari wrappers."""
    import ale_py
    import gymnasium
    from stable_baselines3 import DQN
    from stable_baselines3.common.callbacks import BaseCallback
    from stable_baselines3.common.env_util import make_atari_env
    from stable_baselines3.common.vec_env import VecFrameStack

    gymnasium.register_envs(ale_py)
    total = WARM_UP_STEPS + SKIPPED_STEPS + steps
    environment = VecFrameStack(make_atari_env("BreakoutNoFrameskip-v4", n_envs=1, seed=0), 4)
    model = DQN(
        "CnnPolicy",
        environment,
        buffer_size=10_000,
        learning_starts=WARM_UP_STEPS,
        batch_size=32,
        train_freq=4,
        gradient_steps=1,
        target_update_interval=1_000,
        exploration_fraction=1e-6,
        exploration_final_eps=EPSILON,
        device="cpu",
    )

    class Clock(BaseCallback):  # type: ignore[misc]
        start = 0.0

        def _on_step(self) -> bool:
            if self.num_timesteps == WARM_UP_STEPS + SKIPPED_STEPS:
                self.start = time.perf_counter()
            return True

    clock = Clock()
    model.learn(total, callback=clock)
    return steps / (time.perf_counter() - clock.start)


CONTESTANTS = {"dqn-ref": ours, "stable-baselines3": stable_baselines3}


def compare(rounds: int, steps: int) -> dict[str, Any]:
    """Measure both in turn, ``rounds`` times; returns what is stored."""
    speeds: dict[str, list[float]] = {name: [] for name in CONTESTANTS}
    for number in range(rounds):
        for name in CONTESTANTS:
            command = [sys.executable, "-m", "benchmarks.speed.peers", "--only", name, "--steps", str(steps)]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode:
                raise UserError(f"Measuring {name} failed: {done.stderr.strip().splitlines()[-1:]}.")
            speeds[name].append(float(done.stdout.split()[-1]))
            print(f"round {number + 1}/{rounds}  {name:18} {speeds[name][-1]:7.1f} agent steps/s", flush=True)
    ratios = [a / b for a, b in zip(speeds["dqn-ref"], speeds["stable-baselines3"], strict=True)]
    return {
        "schema": 1,
        "game": GAME,
        "agent_steps_per_measurement": steps,
        "agent_steps_per_second": speeds,
        "ratio_per_round": ratios,
        "ratio": statistics.median(ratios),
        "precision": "float32",
        "versions": {name: importlib.metadata.version(name) for name in ("torch", "ale-py", "stable-baselines3")},
        "machine": machine(),
        "source": source_revision(),
    }


def markdown(result: dict[str, Any]) -> str:
    """A stored comparison as Markdown."""
    lines = ["| agent steps/s while learning | median | lowest | highest |", "|---|---:|---:|---:|"]
    for name, speeds in result["agent_steps_per_second"].items():
        lines.append(f"| {name} | {statistics.median(speeds):.0f} | {min(speeds):.0f} | {max(speeds):.0f} |")
    lows = f"{min(result['ratio_per_round']):.2f} to {max(result['ratio_per_round']):.2f}"
    lines.append(f"| **ratio, round by round** | **{result['ratio']:.2f}** | {lows.replace(' to ', ' | ')} |")
    where = result["machine"]
    lines += ["", f"Measured on {where['cores']} cores of {where['cpu']}, {result['precision']}, "
              f"{len(result['ratio_per_round'])} rounds in turn."]  # fmt: skip
    return "\n".join(lines) + "\n"


def main() -> int:
    """Exit code: 0 measured, 2 a measurement was not possible."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.speed.peers", description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5, help="measurements of each (default 5)")
    parser.add_argument("--steps", type=int, default=2_000, help="agent steps of each measurement (default 2000)")
    parser.add_argument("--results", type=Path, help="folder to store the measurement in, e.g. results")
    parser.add_argument("--only", choices=CONTESTANTS, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.rounds < 1 or arguments.steps < 1:
        parser.error("--rounds and --steps must be 1 or above")
    if arguments.only:
        print(CONTESTANTS[arguments.only](arguments.steps))
        return 0
    try:
        result = compare(arguments.rounds, arguments.steps)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print()
    print(markdown(result))
    if arguments.results:
        print(f"Stored in {Store(arguments.results).store_speed('peers', result)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
