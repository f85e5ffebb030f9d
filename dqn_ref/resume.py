"""Going on with stopped runs: what they must have in common, what is said and recorded of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from dqn_ref import records
from dqn_ref.atari import rom_md5
from dqn_ref.checkpoint import Checkpoint
from dqn_ref.claim import claimed
from dqn_ref.config import UserError
from dqn_ref.group import Report, Run
from dqn_ref.provenance import changes, provenance
from dqn_ref.run import CHECKPOINT_SECONDS, prepared, train_and_evaluate


def resume_population(
    folders: Sequence[Path],
    *,
    device_name: str | None = None,
    threads: int | None = None,
    graphs: bool = True,
    halves: int | None = None,
    checkpoint_seconds: float = CHECKPOINT_SECONDS,
    report: Report = lambda progress: None,
    say: Callable[[str], None] = lambda line: None,
) -> None:
    """Go on with stopped runs, side by side, from their checkpoints, as if they had not been stopped.

    Args:
        folders: of runs of one configuration that stopped at the same step.
        device_name: by default the one that the runs had; so for ``threads``.
        say: is told what takes its time, and what keeps the runs from being bit for bit what they would have been.

    Raises:
        UserError: a run is finished, is being written, or has no checkpoint; the runs do not belong together; the
            games do not repeat. Nothing was changed then.
        KeyboardInterrupt: as from ``run_population``.
    """
    if len({folder.resolve() for folder in folders}) < len(folders):
        raise UserError(f"A folder is named twice: {', '.join(map(str, folders))}.")
    stopped = [records.RunRecord.read(folder) for folder in folders]
    for record in stopped:
        if record.status == "finished":
            raise UserError(f"{record.folder} is finished; there is nothing to go on with.")
        if record.is_being_written():
            raise UserError(f"{record.folder} is being written by another process. Wait for it, or stop it first.")
    with claimed(folders):
        saved = [Checkpoint.load(folder) for folder in folders]
        config = stopped[0].config
        before = [_until_now(record, each.agent_step) for record, each in zip(stopped, saved, strict=True)]
        recorded = before[0].get("torch", {})  # an older record may not say
        if different := [str(record.folder) for record in stopped if record.config != config]:
            raise UserError(
                f"Runs go on side by side if they have one configuration: {', '.join(different)} has another than "
                f"{folders[0]}. Name it in a command of its own."
            )
        steps = {str(folder): each.agent_step for folder, each in zip(folders, saved, strict=True)}
        if len(set(steps.values())) > 1:
            raise UserError(
                "Runs go on side by side if they stopped at the same agent step, got "
                f"{', '.join(f'{folder}: {step:,}' for folder, step in steps.items())}. Name the others in a command "
                "of their own."
            )
        device_name, threads = device_name or recorded.get("device", "auto"), threads or recorded.get("threads")
        device, torch_state = prepared(config, len(stopped), device_name, threads, graphs, halves)
        frames, runs = saved[0].agent_step * config.frames_per_agent_step, list[Run]()
        for record, each, former in zip(stopped, saved, before, strict=True):
            today = provenance(rom_md5(record.member.game), torch_state)
            if changed := changes(former, today):
                say(
                    f"warning: {record.folder} goes on with another {', '.join(changed)} than before: it may end "
                    "otherwise than if it had not been stopped."
                )
            runs.append(Run(record.member, record.folder, _resumed(record, frames, today), each))
        say(f"Going on after {frames:,} frames; the newest games are played again first, to fill the replay.")
        train_and_evaluate(runs, config, device, torch_state, checkpoint_seconds, report)


def _until_now(record: records.RunRecord, agent_step: int) -> Mapping[str, Any]:
    """The provenance under which a run came to its checkpoint; of attempts that left none, nothing is there."""
    frames = agent_step * record.config.frames_per_agent_step
    went_on = [each["provenance"] for each in record.run.get("resumed", []) if each["frames"] < frames]
    provenance: Mapping[str, Any] = [record.provenances[0], *went_on][-1]
    return provenance


def _resumed(record: records.RunRecord, frames: int, today: Mapping[str, Any]) -> dict[str, Any]:
    """What run.json says of a run that goes on after ``frames``."""
    now, progress = records.now(), record.folder / "progress.csv"
    stopped = record.run["ended"] or datetime.fromtimestamp(progress.stat().st_mtime, UTC).isoformat()
    resumption = {
        "frames": frames,
        "when": now,
        "idle_seconds": (datetime.fromisoformat(now) - datetime.fromisoformat(stopped)).total_seconds(),
        "provenance": today,
        "before": {name: record.run[name] for name in ("status", "frames_done", "error", "ended")},
    }
    return {**record.run, "frames_done": frames, "resumed": [*record.run.get("resumed", []), resumption]}
