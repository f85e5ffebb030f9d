"""This project's own loop, on the CPU; ``changes`` of the settings go to its DQNConfig."""

from __future__ import annotations

from typing import Any

import torch

from benchmarks.speed.contestants.span import Settings, Span, run
from dqn_ref.build import make_population, make_streams
from dqn_ref.config import DQNConfig
from dqn_ref.device import prepare_torch
from dqn_ref.seeds import Member
from dqn_ref.time_split import TimeSplit
from dqn_ref.train import train


def measure(settings: Settings) -> dict[str, Any]:
    """Also answers ``split``: the host's seconds by part."""
    device = torch.device("cpu")
    prepare_torch(device, settings.threads)
    frames = settings.last * 4
    values: dict[str, Any] = {
        "total_frames": frames,
        "iteration_frames": frames,
        "replay_capacity": settings.last,
        "replay_start_agent_steps": settings.warm_up_steps,
        "batch_size": settings.batch_size,
        "update_period_agent_steps": settings.steps_per_update,
        "target_period_agent_steps": settings.steps_per_target,
        "discount": settings.discount,
        "epsilon_end": settings.epsilon,
        "epsilon_span_agent_steps": 1,
    }
    config = DQNConfig(**{**values, **settings.changes})
    streams = make_streams(config, [settings.game])
    population = make_population(config, [Member(settings.game, 0)], streams.num_actions.tolist(), device)
    span, split, before = Span(settings), TimeSplit(), {}
    for tick in train(config, population, streams, split):
        span.at(tick.agent_step, updates=tick.updates, transitions=population.replay.size)
        if tick.agent_step == settings.first:
            before = dict(split.seconds)
    return {**span.answer(), "split": {part: split.seconds[part] - before[part] for part in before}}


if __name__ == "__main__":
    run(measure, "dqn-ref")
