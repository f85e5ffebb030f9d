"""The evaluation protocol: epsilon-greedy episodes of a fixed network, scored by raw return."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import asdict, dataclass
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dqn_ref.atari import AtariStreams, Pixels
from dqn_ref.replay import STACK
from dqn_ref.seeds import Member

PARALLEL_EPISODES = 8

Result = TypeVar("Result")


@dataclass(frozen=True)
class EvaluationEpisode:
    """One finished episode."""

    episode: int
    raw_return: int
    frames: int
    end: str  # game_over | truncated


@dataclass(frozen=True)
class Observed:
    """An agent step of one of the episodes, for whoever watches an evaluation."""

    episode: int
    state: NDArray[np.uint8]  # [4, 84, 84], what the network saw
    q: Tensor  # [A], what it answered, on its device
    action: int
    explored: bool  # drawn by chance, which may hit the greedy action too
    reward: int  # raw, summed over the step's frames
    end: str | None  # game_over | truncated, if this step ended the episode


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
        self.action = 0
        self.explored = False
        self.see(first)

    def act(self, greedy: int, epsilon: float) -> None:
        """Send ``greedy``, or a random action with probability ``epsilon``."""
        self.explored = bool(self.explore.random() < epsilon)
        self.action = int(self.explore.integers(self.streams.num_actions[0])) if self.explored else greedy
        self.streams.send(np.array([self.action], np.int64))

    def hear(self) -> tuple[int, str | None]:
        """Wait for the emulator. Returns the raw reward, and how the episode ended if it did."""
        step = self.streams.recv()
        reward = int(step.reward[0])
        self.raw_return += reward
        self.agent_steps += 1
        if step.episode_ended[0]:
            return reward, "game_over" if step.game_over[0] else "truncated"
        self.see(step.frame[0])
        return reward, None

    def see(self, frame: Pixels) -> None:
        """Push the newest frame [84, 84]. A life loss does not clear the history here."""
        self.stack = np.concatenate([self.stack[1:], frame[None]])


def in_turn(evaluations: Sequence[Generator[None, None, Result]]) -> list[Result]:
    """What ``evaluations`` find: while the emulators of one are at work, the networks of the others answer."""
    found, going = dict[int, Result](), dict(enumerate(evaluations))
    while going:
        for number, each in tuple(going.items()):
            try:
                next(each)
            except StopIteration as end:
                found[number] = end.value
                del going[number]
    return [found[number] for number in range(len(evaluations))]


def evaluate(values: Callable[[Tensor], Tensor], member: Member, **options: Any) -> list[EvaluationEpisode]:
    """One evaluation alone; ``options`` are those of ``evaluation``."""
    return in_turn([evaluation(values, member, **options)])[0]


def evaluation(
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
    watch: Callable[[Observed], bool] | None = None,
) -> Generator[None, None, list[EvaluationEpisode]]:
    """Play ``episodes`` full episodes, several at once; yields whenever the emulators are at work.

    Episode k has emulator and exploration seeds of its own, and the first ``episodes`` episodes
    *started* count, so that short ones are not preferred. A life loss ends nothing.

    Args:
        values: [B, 4, 84, 84] u8 -> [B, A] Q values.
        member: whose game is played; its seed names the random streams.
        max_frames: longer episodes are cut and keep the score that they had.
        watch: is shown every agent step of every episode; where it returns True the evaluation stops
            there, and returns the episodes that had ended.
    """

    def new_streams() -> AtariStreams:
        return AtariStreams(
            [member.game],
            max_episode_frames=max_frames,
            max_noops=max_noops,
            sticky_action_probability=sticky_action_probability,
            frames_per_agent_step=frames_per_agent_step,
            fire_on_reset=fire_on_reset,
        )

    at_once = range(min(episodes, PARALLEL_EPISODES))
    playing = [_Play(member, episode, new_streams(), history_padding) for episode in at_once]
    started, finished, stop = len(playing), list[EvaluationEpisode](), False
    while playing and not stop:
        q = values(torch.from_numpy(np.stack([play.stack for play in playing])).to(device))
        for play, greedy in zip(playing, q.argmax(dim=1).tolist(), strict=True):
            play.act(greedy, epsilon)
        yield
        still_playing = []
        for row, play in enumerate(playing):
            state = play.stack
            reward, end = play.hear()
            if watch is not None:
                stop |= watch(Observed(play.episode, state, q[row], play.action, play.explored, reward, end))
            if end is None:
                still_playing.append(play)
                continue
            frames = play.agent_steps * frames_per_agent_step
            finished.append(EvaluationEpisode(play.episode, play.raw_return, frames, end))
            if started < episodes:
                still_playing.append(_Play(member, started, play.streams, history_padding))
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
