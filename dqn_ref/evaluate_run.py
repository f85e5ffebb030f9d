"""Evaluating a run: its weights, in games played as its own were; also of a run that was recorded long ago."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import load_file

import dqn_ref
from dqn_ref import records
from dqn_ref.build import game_options, networks_of
from dqn_ref.config import MAX_OF_THE_EMULATOR, DQNConfig, UserError
from dqn_ref.device import prepare_torch, select_device
from dqn_ref.evaluate import PARALLEL_EPISODES, evaluation, in_turn, summary
from dqn_ref.network import QNetwork
from dqn_ref.protocols import NATURE
from dqn_ref.run_writer import add_evaluation
from dqn_ref.seeds import Member

EMULATORS_PER_CORE = 4  # of the evaluations that a GPU's networks play at once: no core waits for a network


@dataclass(frozen=True)
class Trained:
    """A network to be evaluated."""

    values: Callable[[torch.Tensor], torch.Tensor]
    member: Member
    weights: str
    training_frames: int


def networks_at_once(episodes: int, device: torch.device) -> int:
    """Networks to evaluate at once. On a CPU one: there the networks, not the games, take the time."""
    emulators = EMULATORS_PER_CORE * dqn_ref.CORES if device.type == "cuda" else 0
    return max(1, emulators // min(episodes, PARALLEL_EPISODES))


def play_evaluations(
    networks: Sequence[Trained],
    config: DQNConfig,
    *,
    episodes: int,
    epsilon: float,
    max_frames: int,
    device: torch.device,
) -> list[dict[str, Any]]:
    """Evaluate ``networks`` side by side in the games of ``config``; returns what is recorded of each.

    Its seconds are a share of the time of all, by agent steps.
    """
    start = time.perf_counter()
    played = in_turn(
        [
            evaluation(
                network.values,
                network.member,
                episodes=episodes,
                epsilon=epsilon,
                max_frames=max_frames,
                device=device,
                history_padding=config.history_padding,
                **game_options(config),
            )
            for network in networks
        ]
    )
    frames = [sum(episode.frames for episode in results) for results in played]
    per_frame = (time.perf_counter() - start) / sum(frames)
    return [
        summary(
            results,
            weights=network.weights,
            epsilon=epsilon,
            max_frames=max_frames,
            training_frames=network.training_frames,
            frames_per_agent_step=config.frames_per_agent_step,
            seconds=per_frame * own,
        )
        for network, results, own in zip(networks, played, frames, strict=True)
    ]


def evaluate_folder(
    folder: Path,
    *,
    episodes: int,
    epsilon: float,
    max_frames: int,
    weights: str = "last",
    device_name: str = "auto",
    say: Callable[[str], None] = lambda line: None,
) -> dict[str, Any]:
    """Play episodes with the weights in ``folder``, ``last`` or ``best``, and add them to its evaluation.json.

    An evaluation that is there already is returned, not repeated, and ``say`` is told so.

    Raises:
        UserError: no finished run or no readable weights in ``folder``.
    """
    check_evaluation(episodes, epsilon, max_frames)
    record = finished_record(folder)
    check_evaluation(episodes, epsilon, max_frames, least_frames=record.config.frames_per_agent_step)
    for known in record.evaluated(weights=weights, epsilon=epsilon, max_frames=max_frames, num_episodes=episodes):
        say("Recorded before; nothing was played now.")
        return dict(known)
    device = select_device(device_name)
    prepare_torch(device)
    network, training_frames = load_network(folder / records.WEIGHTS[weights], device, record.config)
    (found,) = play_evaluations(
        [Trained(inference(network), record.member, weights, training_frames or record.frames_done)],
        record.config,
        episodes=episodes,
        epsilon=epsilon,
        max_frames=max_frames,
        device=device,
    )
    add_evaluation(folder, found)
    return found


def check_evaluation(episodes: int, epsilon: float, max_frames: int, least_frames: int = 1) -> None:
    """Raise UserError if no run can be evaluated so; ``least_frames``: those of an agent step, where they are known."""
    if episodes < 1 or not least_frames <= max_frames <= MAX_OF_THE_EMULATOR or not 0.0 <= epsilon <= 1.0:
        raise UserError(
            f"Got {episodes} episodes, epsilon {epsilon}, {max_frames} frames; expected at least 1 episode, an epsilon "
            f"between 0 and 1, and {least_frames} to {MAX_OF_THE_EMULATOR:,} frames."
        )


def finished_record(folder: Path) -> records.RunRecord:
    """The record in ``folder``. Raises UserError: no run, or one that is not finished."""
    record = records.RunRecord.read(folder)
    if record.status != "finished":
        raise UserError(f"{folder} holds a run that is {record.status}, not finished; only finished runs have scores.")
    return record


def inference(network: QNetwork) -> Callable[[torch.Tensor], torch.Tensor]:
    """``network`` without a graph, as evaluation asks for it."""

    @torch.inference_mode()
    def values(state: torch.Tensor) -> torch.Tensor:
        q: torch.Tensor = network(state)
        return q

    return values


def load_network(path: Path, device: torch.device, config: DQNConfig = NATURE.config) -> tuple[QNetwork, int | None]:
    """The network of ``config`` with the weights saved at ``path``, and the training frames that made it, if known.

    Raises:
        UserError: missing or broken.
    """
    try:
        with safe_open(path, framework="pt") as file:
            training_frames = (file.metadata() or {}).get("training_frames")
        state = load_file(path, device=str(device))
        network = networks_of(config)(len(state["head.bias"]), torch.Generator(), device)
        network.load_state_dict(state)
    except FileNotFoundError:
        raise UserError(f"{path} is missing: the folder holds a run's figures but not its weights.") from None
    except Exception as error:
        raise UserError(f"{path} holds no weights of this network: {error}") from None
    return network.requires_grad_(False), None if training_frames is None else int(training_frames)
