"""One recorded run: checks, folder, loop, measurements, evaluation, status."""

from __future__ import annotations

import os
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import torch

from dqn_ref import records
from dqn_ref.atari import check_game, rom_md5
from dqn_ref.config import DQNConfig, Protocol, UserError
from dqn_ref.device import check_memory, prepare_torch, select_device
from dqn_ref.evaluate_run import inference, load_network, play_evaluation
from dqn_ref.in_play import InPlay
from dqn_ref.launch import settled
from dqn_ref.lint import warnings_of
from dqn_ref.provenance import provenance
from dqn_ref.recorder import MemberRecorder
from dqn_ref.seeds import Member
from dqn_ref.train import TimeSplit, make_population, make_streams, train_in_turns

Report = Callable[["Progress"], None]


@dataclass(frozen=True)
class Progress:
    """Where a population stands; handed to whoever shows it."""

    frames: int
    total_frames: int
    frames_per_second: float
    seconds_left: float
    mean_return: float | None  # of the newest episodes of all members


# ---------------------------------------------------------------------- the run


def run_population(
    members: Sequence[Member],
    folders: Sequence[Path],
    protocol: Protocol,
    config: DQNConfig,
    *,
    device_name: str = "auto",
    threads: int | None = None,
    graphs: bool = True,
    halves: int | None = None,
    report: Report = lambda progress: None,
) -> None:
    """Train ``members`` side by side, evaluate them, and record each in its folder.

    Args:
        graphs: on a GPU, launch a step's work as one graph.
        halves: groups of members that take turns; by default two where CUDA has two streams a core to serve.

    Raises:
        UserError: a bad argument; nothing was written then.
        KeyboardInterrupt: passed on after the records were closed as interrupted.
    """
    if len({folder.absolute() for folder in folders}) < len(folders):
        raise UserError(f"Each run needs a folder of its own, got {', '.join(map(str, folders))}.")
    for member, folder in zip(members, folders, strict=True):
        check_game(member.game)
        records.check_new_folder(folder)
    device = select_device(device_name)
    check_memory(config.transitions_kept, len(members), device)
    torch_state = prepare_torch(device, threads, config.precision)
    if halves is None:
        two_a_core = len(members) * config.streams_per_member >= 2 * (os.cpu_count() or 1)
        halves = 2 if device.type == "cuda" and two_a_core else 1
    halves = min(halves, len(members))
    torch_state |= {"graphs": graphs and device.type == "cuda", "halves": halves}
    groups = list[_Group]()
    try:
        for first in range(halves):
            own = list(zip(members, folders, strict=True))[first::halves]
            groups.append(_Group([member for member, _ in own], config, device, bool(torch_state["graphs"])))
            groups[-1].record(own, protocol, config, torch_state)  # a second step: what is begun gets closed
        _train_measured(config, groups, report)
        for group in groups:
            for recorder in group.recorders:
                _evaluate_last_and_best(recorder, config, device)
                recorder.close("finished")  # one by one: what is done is kept
    except KeyboardInterrupt:
        _close_all(groups, "interrupted", None)
        raise
    except BaseException:
        _close_all(groups, "failed", traceback.format_exc())
        raise


class _Group:
    """Members that step together, what they play on, and their records."""

    def __init__(self, members: Sequence[Member], config: DQNConfig, device: torch.device, capture: bool) -> None:
        self.streams = make_streams(config, [member.game for member in members])
        num_actions = self.streams.num_actions[:: config.streams_per_member].tolist()
        self.device = device
        self.population = make_population(config, members, num_actions, device, capture=capture)
        self.recorders = list[MemberRecorder]()
        self.in_play = InPlay(self.population, len(self.streams.num_actions), config.frames_per_agent_step)
        self.held_out = False
        self.last_frames = 0
        self.last_time = time.perf_counter()
        self.last_seconds = dict[str, float]()

    def record(
        self,
        runs: Sequence[tuple[Member, Path]],
        protocol: Protocol,
        config: DQNConfig,
        torch_state: dict[str, Any],
    ) -> None:
        """Begin the members' records."""
        for number, (member, folder) in enumerate(runs):
            description = _description(member, protocol, config, torch_state)
            self.recorders.append(
                MemberRecorder(folder, description, self.population, number, config.frames_per_agent_step)
            )


def _train_measured(config: DQNConfig, groups: Sequence[_Group], report: Report) -> None:
    """The training loop with measurements around it."""
    split, start = TimeSplit(), time.perf_counter()
    for group in groups:
        group.last_time, group.last_seconds = start, dict(split.seconds)
    for number, tick in train_in_turns(config, [(group.population, group.streams) for group in groups], split):
        group = groups[number]
        frames = tick.agent_step * config.frames_per_agent_step
        for recorder in group.recorders:
            recorder.frames_done = frames
        for episode in group.in_play.follow(tick):
            group.recorders[episode.stream // config.streams_per_member].end_episode(episode)
        if not group.held_out and tick.agent_step >= config.replay_start_agent_steps:
            group.held_out = True
            with settled(group.device):
                for recorder in group.recorders:
                    recorder.hold_out(config.heldout_states)
        due = frames // config.progress_frames > group.last_frames // config.progress_frames
        if due or frames == config.total_frames:
            now = time.perf_counter()
            speed = (frames - group.last_frames) / (now - group.last_time)
            seconds = {part: value - group.last_seconds[part] for part, value in split.seconds.items()}
            with settled(group.device):
                for recorder in group.recorders:
                    recorder.progress(tick, speed, seconds, now - start)
            group.last_frames, group.last_seconds, group.last_time = frames, dict(split.seconds), time.perf_counter()
            if group is groups[-1]:
                report(_progress(frames, config, speed, [r for each in groups for r in each.recorders]))
        if tick.iteration_ended or frames == config.total_frames:
            with settled(group.device):
                for recorder in group.recorders:
                    recorder.end_iteration()


def _evaluate_last_and_best(recorder: MemberRecorder, config: DQNConfig, device: torch.device) -> None:
    """The protocol's evaluation of the final network, and of the best one where that is another."""
    member = recorder.population.agents[recorder.number].member
    folder, evaluations = recorder.writer.folder, dict[str, dict[str, Any]]()
    if recorder.best_frames is None:  # no iteration has a full episode, so none is better than the last
        recorder.save_weights("best")
    best_frames = recorder.best_frames or recorder.frames_done
    for weights, training_frames in (("last", recorder.frames_done), ("best", best_frames)):
        if weights == "best" and best_frames == recorder.frames_done:
            evaluations["best"] = {**evaluations["last"], "weights": "best"}  # the same network, the same games
            continue
        evaluations[weights] = play_evaluation(
            inference(load_network(folder / records.WEIGHTS[weights], device, config)[0]),
            member,
            config,
            weights=weights,
            episodes=config.evaluation_episodes,
            epsilon=config.evaluation_epsilon,
            max_frames=config.evaluation_max_frames,
            training_frames=training_frames,
            device=device,
        )
    for evaluation in evaluations.values():
        records.add_evaluation(folder, evaluation)


def _progress(frames: int, config: DQNConfig, speed: float, recorders: Sequence[MemberRecorder]) -> Progress:
    newest = [score for recorder in recorders for score in recorder.returns[-10:]]
    mean_return = float(np.mean(newest)) if newest else None
    return Progress(frames, config.total_frames, speed, (config.total_frames - frames) / speed, mean_return)


def _description(member: Member, protocol: Protocol, config: DQNConfig, torch_state: dict[str, Any]) -> dict[str, Any]:
    return {
        "member": asdict(member),
        "protocol": {"name": protocol.name, "version": protocol.version, "overrides": protocol.overrides(config)},
        "config": asdict(config),
        "lint": [finding.rule for finding in warnings_of(config)],
        "provenance": provenance(rom_md5(member.game), torch_state),
        "startup_seconds": round(time.time() - psutil.Process().create_time(), 2),  # of the process, until here
    }


def _close_all(groups: Sequence[_Group], status: str, error: str | None) -> None:
    for recorder in [recorder for group in groups for recorder in group.recorders]:
        try:
            recorder.close(status, error)
        except OSError as wrong:  # the others' records are still to be closed, and the first error is the one to tell
            print(f"{recorder.writer.folder}: the record was not closed: {wrong}", file=sys.stderr)
