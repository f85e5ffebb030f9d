"""A recorded run's evaluation, one episode of it as an MP4: the game in colour, score and Q values beside it.

The episode is the one that evaluation played, step by step, and not one like it. A network's answer for a
state depends, in its last bit, on the states beside it in the batch and on the number of threads, and one
bit is enough to choose another action. So the evaluation is played again as it was, by the same function and
with all episodes that it had in play at once, until the wanted one ends; and the score is compared with the one
in evaluation.json. What it did is then played on a second emulator, in colour, which must answer each action as
the first one did.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from dqn_ref.atari import ColourScreen, Pixels
from dqn_ref.build import game_options
from dqn_ref.config import UserError, format_frames
from dqn_ref.device import prepare_torch, select_device
from dqn_ref.evaluate import EvaluationEpisode, Observed, evaluate
from dqn_ref.evaluate_run import check_evaluation, finished_record, inference, load_network
from dqn_ref.mp4 import check_tools, new_file, write_video
from dqn_ref.records import WEIGHTS, RunRecord
from dqn_ref.seeds import Member

CONSOLE_FRAMES_PER_SECOND = 60
HOLD_SECONDS = 2.0  # for which the last picture stays


@dataclass(frozen=True)
class PlayedEpisode:
    """An episode of an evaluation: T agent steps with A actions to choose from."""

    q: NDArray[np.float32]  # [T, A]
    actions: NDArray[np.int64]  # [T]
    explored: NDArray[np.bool_]  # [T]
    rewards: NDArray[np.int64]  # [T] raw
    end: str  # game_over | truncated


@dataclass(frozen=True)
class Evaluation:
    """How episodes are played."""

    epsilon: float
    max_frames: int
    episodes: int


@dataclass(frozen=True)
class Recording:
    """A video, and what it is of."""

    path: Path
    member: Member
    weights: str
    training_frames: int
    epsilon: float
    episodes: int  # of the evaluation
    result: EvaluationEpisode
    recorded: EvaluationEpisode | None  # the same episode in evaluation.json, if it is there

    def words(self) -> str:
        """One line: which episode, its score, and whether the record has the same."""
        if self.recorded is None:
            said = "an evaluation that is not in evaluation.json"
        elif self.recorded == self.result:
            said = "as in evaluation.json"
        else:
            said = (
                f"but {_outcome(self.recorded)} in evaluation.json: another device, processor or version of PyTorch "
                "rounds otherwise, so this is another game"
            )
        return (
            f"{self.weights} network: episode {self.result.episode} of {self.episodes} returned "
            f"{_outcome(self.result)}, {said}"
        )


def _outcome(episode: EvaluationEpisode) -> str:
    return f"{episode.raw_return:,} after {episode.frames:,} frames ({episode.end.replace('_', ' ')})"


# ---------------------------------------------------------------------- the command


def record_episode(
    folder: Path,
    *,
    weights: str = "last",
    episode: int = 0,
    epsilon: float | None = None,
    max_frames: int | None = None,
    out: Path | None = None,
    scale: int = 4,
    fps: float = CONSOLE_FRAMES_PER_SECOND,
    device_name: str = "auto",
    report: Callable[[str], None] = lambda line: None,
) -> Recording:
    """Write a video of evaluation episode ``episode`` of the finished run in ``folder``.

    Args:
        weights: ``last`` or ``best``.
        epsilon, max_frames: of the evaluation; by default the run's own.
        out: new file, by default ``folder/video-WEIGHTS-episodeK.mp4``.
        scale: width and height in pixels of a pixel of the game.
        fps: emulator frames shown a second; an agent step is ``frames_per_agent_step`` of them and one picture.
        report: is told what is being done.

    Raises:
        UserError: a bad argument, no finished run, no weights, or a file that is there or cannot be written.
    """
    if not 2 <= scale <= 16 or not 1 <= fps <= 1_000:
        raise UserError(f"Got scale {scale} and {fps} frames/s; expected a scale of 2 to 16, and 1 to 1000 frames/s.")
    check_tools()
    record = finished_record(folder)
    evaluation, recorded = _find_evaluation(record, weights, episode, epsilon, max_frames)
    with new_file(out or folder / f"video-{weights}-episode{episode}.mp4") as (path, unfinished):
        device = select_device(device_name)
        prepare_torch(device, _threads(record, device))
        network, training_frames = load_network(folder / WEIGHTS[weights], device, record.config)
        report(f"Playing {record.member.name} ...")
        played = repeat_episode(inference(network), record, evaluation, episode, device)
        recording = Recording(
            path=path,
            member=record.member,
            weights=weights,
            training_frames=training_frames or record.frames_done,
            epsilon=evaluation.epsilon,
            episodes=evaluation.episodes,
            result=EvaluationEpisode(
                episode,
                int(played.rewards.sum()),
                len(played.actions) * record.config.frames_per_agent_step,
                played.end,
            ),
            recorded=recorded,
        )
        report(f"Drawing {len(played.actions):,} agent steps ...")
        rate = fps / record.config.frames_per_agent_step
        screen = ColourScreen(record.member.game, **game_options(record.config))
        pictures = draw(played, recording, screen, scale=scale, hold=max(1, round(HOLD_SECONDS * rate)))
        write_video(pictures, unfinished, rate)
    return recording


def _find_evaluation(
    record: RunRecord, weights: str, episode: int, epsilon: float | None, max_frames: int | None
) -> tuple[Evaluation, EvaluationEpisode | None]:
    """The evaluation to play, and the episode as evaluation.json has it in the first one alike, if it has."""
    config = record.config
    epsilon = config.evaluation_epsilon if epsilon is None else epsilon
    max_frames = config.evaluation_max_frames if max_frames is None else max_frames
    check_evaluation(config.evaluation_episodes, epsilon, max_frames, config.frames_per_agent_step)
    counts = [config.evaluation_episodes]
    for known in record.evaluated(weights=weights, epsilon=epsilon, max_frames=max_frames):
        counts.append(known["num_episodes"])
        if 0 <= episode < known["num_episodes"]:
            try:
                recorded = EvaluationEpisode(**known["episodes"][episode])
            except (IndexError, TypeError):
                raise UserError(f"{record.folder / 'evaluation.json'} is broken: no episode {episode}.") from None
            return Evaluation(epsilon, max_frames, counts[-1]), recorded
    if not 0 <= episode < max(counts):
        raise UserError(
            f"--episode must lie between 0 and {max(counts) - 1}, got {episode}. For more, play them first: python -m "
            f"dqn_ref evaluate {record.folder} --weights {weights} --epsilon {epsilon} --max-frames {max_frames} "
            "--episodes N"
        )
    return Evaluation(epsilon, max_frames, config.evaluation_episodes), None


def _threads(record: RunRecord, device: torch.device) -> int | None:
    """Those that the run had, if it too was on a CPU."""
    then = record.provenances[-1].get("torch", {})
    return then.get("threads") if then.get("device") == device.type == "cpu" else None


# ---------------------------------------------------------------------- what is shown


def repeat_episode(
    values: Callable[[torch.Tensor], torch.Tensor],
    record: RunRecord,
    evaluation: Evaluation,
    episode: int,
    device: torch.device,
) -> PlayedEpisode:
    """Play ``evaluation`` of the run until ``episode`` ends, and return that."""
    q, steps = list[NDArray[np.float32]](), list[tuple[int, bool, int]]()
    ends = list[str]()

    def watch(step: Observed) -> bool:
        if step.episode == episode:
            q.append(step.q.cpu().numpy())
            steps.append((step.action, step.explored, step.reward))
            ends.extend([step.end] if step.end else [])
        return bool(ends)

    evaluate(
        values,
        record.member,
        **asdict(evaluation),
        device=device,
        history_padding=record.config.history_padding,
        watch=watch,
        **game_options(record.config),
    )
    actions, explored, rewards = zip(*steps, strict=True)
    return PlayedEpisode(np.stack(q), np.array(actions), np.array(explored), np.array(rewards), ends[0])


def in_colour(played: PlayedEpisode, screen: ColourScreen, seed: int) -> Iterator[Pixels]:
    """The T states of ``played`` and the last screen as ``screen`` shows them, [height, 160, 3] each.

    Raises:
        RuntimeError: the emulator does not play what was played.
    """
    yield screen.reset(seed)
    last = len(played.actions) - 1
    for step, (action, reward) in enumerate(zip(played.actions.tolist(), played.rewards.tolist(), strict=True)):
        picture, *answer = screen.step(action)
        expected = [reward, step == last and played.end == "game_over"]
        if answer != expected:
            raise RuntimeError(f"agent step {step}: reward and end were {expected}, in colour they are {answer}")
        yield picture


def draw(
    played: PlayedEpisode, recording: Recording, screen: ColourScreen, *, scale: int, hold: int
) -> Iterator[Pixels]:
    """The pictures of the video: one a state, and the last one ``hold`` times. [height, width, 3] u8 each."""
    from dqn_ref.panel import Episode, Panel

    member, result, steps = recording.member, recording.result, len(played.actions)
    trained = format_frames(recording.training_frames)
    said = "" if recording.recorded is None else f"; evaluation.json: {recording.recorded.raw_return:,}"
    over = "game over" if played.end == "game_over" else f"cut at {format_frames(result.frames)} frames"
    episode = Episode(
        title=member.game.replace("_", " ").title(),
        facts=(
            f"seed {member.seed}, {recording.weights} network, {trained} training frames",
            f"evaluation episode {result.episode} of {recording.episodes}, epsilon {recording.epsilon:g}",
        ),
        action_names=screen.action_names,
        q=played.q,
        actions=played.actions,
        explored=played.explored,
        rewards=played.rewards,
        seconds_per_step=result.frames / steps / CONSOLE_FRAMES_PER_SECOND,
        ending=over + said,
    )
    panel = Panel(episode, screen.height, scale)
    seed = member.stream_seed("evaluation-emulator", result.episode)
    for step, picture in enumerate(in_colour(played, screen, seed)):
        enlarged = picture.repeat(scale, axis=0).repeat(scale, axis=1)
        frame = np.concatenate([enlarged, panel.picture(step)], axis=1)
        for _ in range(hold if step == steps else 1):
            yield frame
