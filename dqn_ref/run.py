"""One recorded run: checks, folder, loop, measurements, evaluation, status."""

from __future__ import annotations

import ctypes
import math
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
from safetensors.torch import load_file, save_file
from torch.utils.tensorboard import SummaryWriter

from dqn_ref import records
from dqn_ref.agent import Agent
from dqn_ref.atari import AtariStreams, check_game, rom_md5
from dqn_ref.config import TRANSITION_BYTES, DQNConfig, Protocol, UserError
from dqn_ref.evaluate import evaluate, summary
from dqn_ref.network import NatureNetwork
from dqn_ref.provenance import provenance
from dqn_ref.seeds import Member
from dqn_ref.train import Tick, TimeSplit, make_agent, make_streams, train

Report = Callable[["Progress"], None]

# ---------------------------------------------------------------------- device


def select_device(name: str) -> torch.device:
    """The device called auto, cpu or cuda. Raises UserError: CUDA asked for and not there."""
    if name == "cuda" and not torch.cuda.is_available():
        raise UserError("--device cuda was asked for, but PyTorch finds no CUDA device. Use --device cpu or auto.")
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    return torch.device(name)


def prepare_torch(device: torch.device, threads: int | None = None) -> dict[str, Any]:
    """Set what makes a run repeatable, and return it for the record."""
    if threads is not None:
        torch.set_num_threads(threads)
    _keep_freed_memory()
    # The running means of dead units decay into denormal numbers, which are a hundred times slower.
    torch.set_flush_denormal(True)
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.set_deterministic_debug_mode("error")  # use_deterministic_algorithms imports the compiler: 2 s
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    torch.backends.cudnn.benchmark = False
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
    gpu = torch.cuda.get_device_properties(device) if device.type == "cuda" else None
    return {
        "device": device.type,
        "gpu": gpu and {"name": gpu.name, "memory_bytes": gpu.total_memory, "cuda": torch.version.cuda},
        "driver": _driver_version() if gpu else None,
        "threads": torch.get_num_threads(),
        "deterministic_algorithms": True,
        "flush_denormal": True,
        "precision": "float32",
        "tf32": False,
    }


def _keep_freed_memory() -> None:
    """Tell glibc to keep what an update frees; the next one takes it again.

    Otherwise it returns megabytes to the system after each update and pays for them with up to 2,000
    page faults in the next: 2 to 11 ms of about 60.
    """
    if sys.platform == "linux":
        libc = ctypes.CDLL(None)
        if hasattr(libc, "mallopt"):
            trim_threshold, top_pad, mmap_threshold = -1, -2, -3  # names in malloc.h
            libc.mallopt(mmap_threshold, 32 << 20)
            libc.mallopt(trim_threshold, 1 << 30)
            libc.mallopt(top_pad, 64 << 20)


def _driver_version() -> str | None:
    path = Path("/proc/driver/nvidia/version")
    return path.read_text().splitlines()[0] if path.exists() else None


def check_memory(config: DQNConfig, num_members: int, device: torch.device) -> None:
    """Raise UserError if the replay of all members does not fit the device's free memory."""
    free = torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else psutil.virtual_memory().available
    usable = int(free * 0.95)
    needed = num_members * config.transitions_kept * TRANSITION_BYTES
    if needed > usable:
        fits = usable // (num_members * TRANSITION_BYTES)
        raise UserError(
            f"The replay needs {needed / 1e9:.1f} GB ({config.transitions_kept:,} transitions, {num_members} run(s)), "
            f"but {device.type} has {free / 1e9:.1f} GB free. It would fit with --replay-capacity {fits} "
            "(no longer the protocol), fewer --frames, or on a larger machine."
        )


# ---------------------------------------------------------------------- measuring


@dataclass(frozen=True)
class Progress:
    """Where a population stands; handed to whoever shows it."""

    frames: int
    total_frames: int
    frames_per_second: float
    seconds_left: float
    mean_return: float | None  # of the newest episodes of all members


class MemberRecorder:
    """Follows one member through training and writes its folder."""

    def __init__(self, folder: Path, run: dict[str, Any], agent: Agent, frames_per_agent_step: int) -> None:
        self.writer = records.RunWriter(folder, run)
        self.agent = agent
        self.frames_per_agent_step = frames_per_agent_step
        self.frames_done = 0
        self.returns: list[int] = []  # raw, of episodes that ran to their end
        self._events = SummaryWriter(str(folder / "tensorboard"))
        self._heldout: torch.Tensor | None = None
        self._raw = self._clipped = self._length = self._updates = 0

    def observe(self, tick: Tick, row: int) -> None:
        """Follow the episode in play by one agent step."""
        self.frames_done = tick.agent_step * self.frames_per_agent_step
        reward = int(tick.step.reward[row])
        self._raw += reward
        self._clipped += int(np.sign(reward)) if abs(reward) > 1 else reward
        self._length += self.frames_per_agent_step
        ended = "game_over" if tick.step.game_over[row] else "truncated" if tick.step.truncated[row] else None
        if ended is None and tick.iteration_ended:
            ended = "iteration_end"
        if ended is None:
            return
        self.writer.episode(
            frame=self.frames_done,
            raw_return=self._raw,
            clipped_return=self._clipped,
            length_frames=self._length,
            end=ended,
        )
        if ended != "iteration_end":
            self.returns.append(self._raw)
            self._events.add_scalar("episode/raw_return", self._raw, self.frames_done)
        self._raw = self._clipped = self._length = 0

    def hold_out(self, size: int) -> None:
        """Choose the states on which Q is followed, from what replay holds now."""
        self._heldout = self.agent.heldout_batch(size).s_tm1

    def progress(self, tick: Tick, frames_per_second: float, seconds: dict[str, float], wall_seconds: float) -> None:
        """Write a row of progress. The one place that reads from the device on purpose."""
        learner, frames = self.agent.learner, tick.agent_step * self.frames_per_agent_step
        q_mean = q_max = loss = gradient_norm = math.nan
        if self._heldout is not None:
            q = learner.values(self._heldout).amax(dim=1)
            q_mean, q_max = float(q.mean()), float(q.max())
        if tick.updates > self._updates:
            loss = float(learner.loss_sum) / (tick.updates - self._updates)
            gradient_norm = float(learner.gradient_norm())
            learner.loss_sum.zero_()
            self._updates = tick.updates
        row = {
            "frames": frames,
            "agent_steps": tick.agent_step,
            "updates": tick.updates,
            "epsilon": tick.epsilon,
            "loss": loss,
            "q_mean": q_mean,
            "q_max": q_max,
            "gradient_norm": gradient_norm,
            "frames_per_second": frames_per_second,
            **{f"{part}_seconds": value for part, value in seconds.items()},
            "wall_seconds": wall_seconds,
        }
        self.writer.progress(**row)
        for name, value in row.items():
            if name not in ("frames", "agent_steps") and math.isfinite(value):
                self._events.add_scalar(f"progress/{name}", value, frames)

    def save_weights(self) -> None:
        """Write the online network."""
        state = {name: value.contiguous() for name, value in self.agent.learner.online.state_dict().items()}
        temporary = self.writer.folder / "weights.safetensors.tmp"
        save_file(state, temporary)
        os.replace(temporary, self.writer.folder / "weights.safetensors")

    def close(self, status: str, error: str | None = None) -> None:
        """End the record with ``status``."""
        self._events.close()
        self.writer.close(status, self.frames_done, error)


# ---------------------------------------------------------------------- the run


def run_population(
    members: Sequence[Member],
    folders: Sequence[Path],
    protocol: Protocol,
    config: DQNConfig,
    *,
    device_name: str = "auto",
    threads: int | None = None,
    report: Report = lambda progress: None,
) -> None:
    """Train ``members`` side by side, evaluate them, and record each in its folder.

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
    check_memory(config, len(members), device)
    torch_state = prepare_torch(device, threads)
    streams = make_streams(config, [member.game for member in members])
    agents = [make_agent(config, m, int(n), device) for m, n in zip(members, streams.num_actions, strict=True)]
    recorders = list[MemberRecorder]()
    try:
        for member, folder, agent in zip(members, folders, agents, strict=True):
            description = _description(member, protocol, config, torch_state)
            recorders.append(MemberRecorder(folder, description, agent, config.frames_per_agent_step))
        _train_measured(config, agents, streams, recorders, report)
        for member, recorder in zip(members, recorders, strict=True):
            evaluation = play_evaluation(
                recorder.agent.learner.values,
                member,
                config,
                episodes=config.evaluation_episodes,
                epsilon=config.evaluation_epsilon,
                max_frames=config.evaluation_max_frames,
                training_frames=recorder.frames_done,
                device=device,
            )
            records.add_evaluation(recorder.writer.folder, evaluation)
    except KeyboardInterrupt:
        _close_all(recorders, "interrupted", None)
        raise
    except BaseException:
        _close_all(recorders, "failed", traceback.format_exc())
        raise
    _close_all(recorders, "finished", None)


def _train_measured(
    config: DQNConfig,
    agents: Sequence[Agent],
    streams: AtariStreams,
    recorders: Sequence[MemberRecorder],
    report: Report,
) -> None:
    """The training loop with measurements around it."""
    split = TimeSplit()
    start = last = time.perf_counter()
    last_frames = 0
    for tick in train(config, agents, streams, split):
        for row, recorder in enumerate(recorders):
            recorder.observe(tick, row)
        if tick.agent_step == config.replay_start_agent_steps:
            for recorder in recorders:
                recorder.hold_out(config.heldout_states)
        frames = tick.agent_step * config.frames_per_agent_step
        if frames % config.progress_frames == 0 or frames == config.total_frames:
            now = time.perf_counter()
            speed = (frames - last_frames) / (now - last)
            for recorder in recorders:
                recorder.progress(tick, speed, split.seconds, now - start)
            split.seconds.update(dict.fromkeys(split.seconds, 0.0))
            last, last_frames = time.perf_counter(), frames
            report(_progress(frames, config, speed, recorders))
        if tick.iteration_ended or frames == config.total_frames:
            for recorder in recorders:
                recorder.save_weights()


def _progress(frames: int, config: DQNConfig, speed: float, recorders: Sequence[MemberRecorder]) -> Progress:
    newest = [score for recorder in recorders for score in recorder.returns[-10:]]
    mean_return = float(np.mean(newest)) if newest else None
    return Progress(frames, config.total_frames, speed, (config.total_frames - frames) / speed, mean_return)


def _description(member: Member, protocol: Protocol, config: DQNConfig, torch_state: dict[str, Any]) -> dict[str, Any]:
    return {
        "member": asdict(member),
        "protocol": {"name": protocol.name, "version": protocol.version, "overrides": protocol.overrides(config)},
        "config": asdict(config),
        "provenance": provenance(rom_md5(member.game), torch_state),
        "startup_seconds": round(time.time() - psutil.Process().create_time(), 2),  # of the process, until here
    }


def play_evaluation(
    values: Callable[[torch.Tensor], torch.Tensor],
    member: Member,
    config: DQNConfig,
    *,
    episodes: int,
    epsilon: float,
    max_frames: int,
    training_frames: int,
    device: torch.device,
) -> dict[str, Any]:
    """Evaluate the final network ``values`` in the games of ``config``; returns what is recorded of it."""
    start = time.perf_counter()
    results = evaluate(
        values,
        member,
        episodes=episodes,
        epsilon=epsilon,
        max_frames=max_frames,
        device=device,
        max_noops=config.max_noops,
        sticky_action_probability=config.sticky_action_probability,
        frames_per_agent_step=config.frames_per_agent_step,
    )
    return summary(
        results,
        weights="last",
        epsilon=epsilon,
        max_frames=max_frames,
        training_frames=training_frames,
        frames_per_agent_step=config.frames_per_agent_step,
        seconds=time.perf_counter() - start,
    )


def _close_all(recorders: Sequence[MemberRecorder], status: str, error: str | None) -> None:
    for recorder in recorders:
        recorder.close(status, error)


# ---------------------------------------------------------------------- evaluating a recorded run


def evaluate_folder(
    folder: Path, *, episodes: int, epsilon: float, max_frames: int, device_name: str = "auto"
) -> dict[str, Any]:
    """Play episodes with the weights in ``folder`` and add them to its evaluation.json.

    An evaluation that is there already is returned, not repeated.

    Raises:
        UserError: no finished run or no readable weights in ``folder``.
    """
    if episodes < 1 or max_frames < 4 or not 0.0 <= epsilon <= 1.0:
        raise UserError(
            f"Got {episodes} episodes, epsilon {epsilon}, {max_frames} frames; expected at least 1 episode, an epsilon "
            "between 0 and 1, and at least 4 frames."
        )
    record = records.RunRecord.read(folder)
    if record.status != "finished":
        raise UserError(f"{folder} holds a run that is {record.status}, not finished; only finished runs have scores.")
    wanted = {"weights": "last", "epsilon": epsilon, "max_frames": max_frames, "num_episodes": episodes}
    for known in record.evaluations:
        if all(known.get(key) == value for key, value in wanted.items()):
            return dict(known)
    device = select_device(device_name)
    prepare_torch(device)
    network = load_network(folder / "weights.safetensors", device)

    @torch.inference_mode()
    def values(state: torch.Tensor) -> torch.Tensor:
        q: torch.Tensor = network(state)
        return q

    evaluation = play_evaluation(
        values,
        record.member,
        record.config,
        episodes=episodes,
        epsilon=epsilon,
        max_frames=max_frames,
        training_frames=record.frames_done,
        device=device,
    )
    records.add_evaluation(folder, evaluation)
    return evaluation


def load_network(path: Path, device: torch.device) -> NatureNetwork:
    """The network whose weights were saved at ``path``. Raises UserError: missing or broken."""
    try:
        state = load_file(path, device=str(device))
        network = NatureNetwork(len(state["head.bias"]), torch.Generator(), device)
        network.load_state_dict(state)
    except FileNotFoundError:
        raise UserError(f"{path} is missing: the folder holds a run's figures but not its weights.") from None
    except Exception as error:
        raise UserError(f"{path} holds no weights of this network: {error}") from None
    return network.requires_grad_(False)
