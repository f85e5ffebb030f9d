"""Recorded runs: checks, folders, loop, measurements, evaluation, status. Those that go on: resume.py."""

from __future__ import annotations

import sys
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import torch

import dqn_ref
from dqn_ref import records
from dqn_ref.atari import check_game, rom_md5
from dqn_ref.claim import claimed
from dqn_ref.config import DQNConfig, UserError
from dqn_ref.device import check_memory, prepare_torch, select_device
from dqn_ref.evaluate_run import Trained, inference, load_network, networks_at_once, play_evaluations
from dqn_ref.group import Group, Progress, Report, Run
from dqn_ref.launch import settled
from dqn_ref.lint import warning_lines, warnings_of
from dqn_ref.protocols import Protocol
from dqn_ref.provenance import provenance
from dqn_ref.recorder import NEWEST_RETURNS, MemberRecorder
from dqn_ref.run_writer import add_evaluation, check_new_folder, make_folder
from dqn_ref.seeds import Member
from dqn_ref.time_split import TimeSplit
from dqn_ref.train import train_in_turns

CHECKPOINT_SECONDS = 300.0  # between two at least; what follows the newest is lost when a run is stopped


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
    evaluate_iterations: bool = False,
    checkpoint_seconds: float = CHECKPOINT_SECONDS,
    report: Report = lambda progress: None,
    say: Callable[[str], None] = lambda line: None,
) -> None:
    """Train ``members`` side by side, evaluate them, and record each in its folder.

    Args:
        graphs: on a GPU, launch a step's work as one graph.
        halves: groups of members that take turns; by default two where CUDA has two streams a core to serve.
        evaluate_iterations: evaluate the network after every iteration, not only after the last.
        checkpoint_seconds: between two checkpoints at least; one is written after a row of progress.
        say: is told what of a configuration that can be trained is unwise.

    Raises:
        UserError: a bad argument; nothing was written then.
        KeyboardInterrupt: passed on after the records were closed as interrupted.
    """
    if len({folder.absolute() for folder in folders}) < len(folders):
        raise UserError(f"Each run needs a folder of its own, got {', '.join(map(str, folders))}.")
    for member, folder in zip(members, folders, strict=True):
        check_game(member.game)
        check_new_folder(folder)
    device, torch_state = prepared(config, len(members), device_name, threads, graphs, halves)
    runs = [
        Run(member, folder, _description(member, protocol, config, torch_state, evaluate_iterations))
        for member, folder in zip(members, folders, strict=True)
    ]
    for line in warning_lines(config):
        say(line)
    for folder in folders:
        make_folder(folder)
    with claimed(folders):
        train_and_evaluate(runs, config, device, torch_state, checkpoint_seconds, report)


def prepared(
    config: DQNConfig, num_members: int, device_name: str, threads: int | None, graphs: bool, halves: int | None
) -> tuple[torch.device, dict[str, Any]]:
    """The device to train on, ready, and how, for the record. Raises UserError: it is not there, or too small."""
    if halves not in (None, 1, 2):  # of more, the streams of a GPU would not be their own (launch.py)
        raise UserError(f"halves must be 1 or 2, got {halves}.")
    device = select_device(device_name)
    check_memory(config.transitions_kept, num_members, device)
    torch_state = prepare_torch(device, threads) | {"precision": config.precision}
    if halves is None:
        two_a_core = num_members * config.streams_per_member >= 2 * dqn_ref.CORES
        halves = 2 if device.type == "cuda" and two_a_core else 1
    return device, torch_state | {"graphs": graphs and device.type == "cuda", "halves": min(halves, num_members)}


def train_and_evaluate(
    runs: Sequence[Run],
    config: DQNConfig,
    device: torch.device,
    torch_state: dict[str, Any],
    checkpoint_seconds: float,
    report: Report,
) -> None:
    """Train ``runs`` side by side, new ones or stopped ones, and evaluate them; whatever comes, records are closed."""
    groups = list[Group]()
    try:
        for first in range(torch_state["halves"]):
            own = runs[first :: torch_state["halves"]]
            groups.append(Group(own, config, device, bool(torch_state["graphs"]), report))
        for group in groups:
            group.record()  # a second step: what is begun gets closed
        _train_measured(config, groups, checkpoint_seconds, report)
        for few in _in_parts([recorder for group in groups for recorder in group.recorders], config, device):
            _evaluate_last_and_best(few, config, device)
            for recorder in few:
                recorder.close("finished", may_go_on=config.ends_whole)  # what is done is kept
    except KeyboardInterrupt:
        _close_all(groups, "interrupted", None)
        raise
    except BaseException:
        _close_all(groups, "failed", traceback.format_exc())
        raise


def _train_measured(config: DQNConfig, groups: Sequence[Group], checkpoint_seconds: float, report: Report) -> None:
    """The training loop with measurements around it."""
    split, start = TimeSplit(), time.perf_counter() - groups[0].wall_seconds
    last_checkpoint, saved_frames = time.perf_counter(), -1
    for group in groups:
        group.last_time = time.perf_counter()
    halves = [(group.population, group.streams) for group in groups]
    for number, tick in train_in_turns(config, halves, split, groups[0].position):
        group = groups[number]
        due, frames = group.follow(tick), group.frames
        ended = frames == config.total_frames
        if due or ended:
            speed = group.write_progress(tick, split, time.perf_counter() - start)
            if group is groups[-1]:
                report(_progress(frames, config, speed, [r for each in groups for r in each.recorders]))
        if tick.iteration_ended or ended:
            group.end_iteration()
            pause = 0.0 if ended else _evaluate_iteration(group)
            start += pause  # the clocks are of training
            for each in groups:
                each.last_time += pause
        # The first group is ahead of the others: it chooses the step, so that all can go on from the same one. The
        # end of a run that took so long is saved whenever it comes, for a longer run to go on from it.
        since = start if ended else last_checkpoint
        if (due or ended) and number == 0 and time.perf_counter() - since >= checkpoint_seconds:
            last_checkpoint, saved_frames = time.perf_counter(), frames
        if frames == saved_frames:
            group.save(tick, time.perf_counter() - start)


def _evaluate_iteration(group: Group) -> float:
    """Evaluate the networks of those runs that want it after every iteration. Returns the seconds that it took."""
    start = time.perf_counter()
    wanted = [
        recorder
        for run, recorder in zip(group.runs, group.recorders, strict=True)
        if run.description.get("evaluates_iterations")
    ]
    with settled(group.device):
        for few in _in_parts(wanted, group.config, group.device):
            _evaluate([(recorder, "iteration", recorder.frames_done) for recorder in few], group.config, group.device)
    return time.perf_counter() - start


def _in_parts(
    recorders: Sequence[MemberRecorder], config: DQNConfig, device: torch.device
) -> Iterator[Sequence[MemberRecorder]]:
    """``recorders`` in parts that are evaluated together."""
    size = networks_at_once(config.evaluation_episodes, device)
    return (recorders[first : first + size] for first in range(0, len(recorders), size))


def _evaluate(
    asked: Sequence[tuple[MemberRecorder, str, int]], config: DQNConfig, device: torch.device
) -> list[dict[str, Any]]:
    """The protocol's evaluation, recorded, of networks: who saved each, as which weights, after how many frames."""
    networks = [
        Trained(
            inference(load_network(recorder.writer.folder / records.WEIGHTS[weights], device, config)[0]),
            recorder.population.agents[recorder.number].member,
            weights,
            training_frames,
        )
        for recorder, weights, training_frames in asked
    ]
    found = play_evaluations(
        networks,
        config,
        episodes=config.evaluation_episodes,
        epsilon=config.evaluation_epsilon,
        max_frames=config.evaluation_max_frames,
        device=device,
    )
    for (recorder, _, _), evaluation in zip(asked, found, strict=True):
        add_evaluation(recorder.writer.folder, evaluation)
    return found


def _evaluate_last_and_best(recorders: Sequence[MemberRecorder], config: DQNConfig, device: torch.device) -> None:
    """The protocol's evaluation of the final networks, and of the best ones where those are others."""
    last = _evaluate([(recorder, "last", recorder.frames_done) for recorder in recorders], config, device)
    others = list[tuple[MemberRecorder, str, int]]()
    for recorder, evaluation in zip(recorders, last, strict=True):
        if recorder.best_frames is None:  # no iteration has a full episode, so none is better than the last
            recorder.save_weights("best")
        if recorder.best_frames in (None, recorder.frames_done):  # the same network, the same games
            add_evaluation(recorder.writer.folder, {**evaluation, "weights": "best"})
        else:
            others.append((recorder, "best", recorder.best_frames))
    if others:
        _evaluate(others, config, device)


def _progress(frames: int, config: DQNConfig, speed: float, recorders: Sequence[MemberRecorder]) -> Progress:
    newest = [score for recorder in recorders for score in recorder.returns[-NEWEST_RETURNS:]]
    mean_return = float(np.mean(newest)) if newest else None
    left = config.total_frames - frames
    learns = frames - config.progress_frames >= config.replay_start_agent_steps * config.frames_per_agent_step
    return Progress(frames, config.total_frames, speed, left / speed if learns or not left else None, mean_return)


def _description(
    member: Member, protocol: Protocol, config: DQNConfig, torch_state: dict[str, Any], evaluate_iterations: bool
) -> dict[str, Any]:
    return {
        "member": asdict(member),
        "protocol": {"name": protocol.name, "version": protocol.version, "overrides": protocol.overrides(config)},
        "config": asdict(config),
        "evaluates_iterations": evaluate_iterations,
        "lint": [finding.rule for finding in warnings_of(config)],
        "provenance": provenance(rom_md5(member.game), torch_state),
        # Of the process, until it makes its games and networks.
        "startup_seconds": round(time.time() - psutil.Process().create_time(), 2),
    }


def _close_all(groups: Sequence[Group], status: str, error: str | None) -> None:
    for recorder in [recorder for group in groups for recorder in group.recorders]:
        try:
            recorder.close(status, error)
        except OSError as wrong:  # the others' records are still to be closed, and the first error is the one to tell
            print(f"{recorder.writer.folder}: the record was not closed: {wrong}", file=sys.stderr)
