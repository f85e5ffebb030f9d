"""The evaluation protocol: epsilon-greedy episodes of a fixed network, scored by raw return."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from dqn_ref.atari import AtariStreams, Frames
from dqn_ref.replay import STACK
from dqn_ref.seeds import Member

PARALLEL_EPISODES = 8


@dataclass(frozen=True)
class EvaluationEpisode:
    """One finished episode."""

    episode: int
    raw_return: int
    frames: int
    end: str  # game_over | truncated


class _Play:
    """An episode being played, on an emulator of its own."""

    def __init__(self, member: Member, episode: int, streams: AtariStreams, history_padding: str) -> None:
        self.episode = episode
        self.streams = streams
        self.raw_return = 0
        self.agent_steps = 0
        self.explore = member.numpy_stream("evaluation-explore", episode)
        first = streams.reset([member.stream_seed("evaluation-emulator", episode)])[0]
        self.stack = np.tile(first if history_padding == "first_frame" else np.zeros_like(first), (STACK, 1, 1))
        self.see(first)

    def see(self, frame: Frames) -> None:
        """Push the newest frame [84, 84]. A life loss does not clear the history here."""
        self.stack = np.concatenate([self.stack[1:], frame[None]])


def evaluate(
    values: Callable[[Tensor], Tensor],
    member: Member,
    *,
    episodes: int,
    epsilon: float,
    max_frames: int,
    device: torch.device,
    max_noops: int = 30,
    sticky_action_probability: float = 0.0,
    frames_per_agent_step: int = 4,
    fire_on_reset: bool = False,
    history_padding: str = "zeros",
) -> list[EvaluationEpisode]:
    """Play ``episodes`` full episodes, several at once.

    Episode k has emulator and exploration seeds of its own, and the first ``episodes`` episodes
    *started* count, so that short ones are not preferred. A life loss ends nothing.

    Args:
        values: [B, 4, 84, 84] u8 -> [B, A] Q values.
        member: whose game is played; its seed names the random streams.
        max_frames: longer episodes are cut and keep the score that they had.
    """

    def new_play(episode: int, streams: AtariStreams | None = None) -> _Play:
        return _Play(
            member,
            episode,
            streams
            or AtariStreams(
                [member.game],
                max_episode_frames=max_frames,
                max_noops=max_noops,
                sticky_action_probability=sticky_action_probability,
                frames_per_agent_step=frames_per_agent_step,
                fire_on_reset=fire_on_reset,
            ),
            history_padding,
        )

    playing = [new_play(episode) for episode in range(min(episodes, PARALLEL_EPISODES))]
    started, finished = len(playing), list[EvaluationEpisode]()
    while playing:
        state = torch.from_numpy(np.stack([play.stack for play in playing])).to(device)
        greedy = values(state).argmax(dim=1).cpu().numpy()
        for play, action in zip(playing, greedy, strict=True):
            if play.explore.random() < epsilon:
                action = play.explore.integers(play.streams.num_actions[0])
            play.streams.send(np.array([action], np.int64))
        still_playing = []
        for play in playing:
            step = play.streams.recv()
            play.raw_return += int(step.reward[0])
            play.agent_steps += 1
            if not step.episode_ended[0]:
                play.see(step.frame[0])
                still_playing.append(play)
                continue
            end = "game_over" if step.game_over[0] else "truncated"
            frames = play.agent_steps * frames_per_agent_step
            finished.append(EvaluationEpisode(play.episode, play.raw_return, frames, end))
            if started < episodes:
                still_playing.append(new_play(started, play.streams))
                started += 1
        playing = still_playing
    return sorted(finished, key=lambda episode: episode.episode)


def summary(
    results: list[EvaluationEpisode],
    *,
    weights: str,
    epsilon: float,
    max_frames: int,
    training_frames: int,
    frames_per_agent_step: int,
    seconds: float,
) -> dict[str, Any]:
    """An evaluation as it is written to evaluation.json."""
    returns = np.array([episode.raw_return for episode in results], float)
    return {
        "weights": weights,
        "training_frames": training_frames,
        "epsilon": epsilon,
        "max_frames": max_frames,
        "num_episodes": len(results),
        "mean_return": float(returns.mean()),
        "std_return": float(returns.std(ddof=1)) if len(returns) > 1 else 0.0,
        "agent_steps": sum(episode.frames for episode in results) // frames_per_agent_step,
        "seconds": round(seconds, 3),
        "episodes": [asdict(episode) for episode in results],
    }
