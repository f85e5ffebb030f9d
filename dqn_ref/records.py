"""What a run writes down: the one contract between the agent and the suite. See docs/records.md.

    RUN_DIR/
      run.json              member, protocol, configuration, status, provenance
      episodes.csv          a row per training episode
      progress.csv          a row per interval
      evaluation.json       episodes played by the trained network
      weights.safetensors   the network, written at every iteration
      weights-best.safetensors   the network of the iteration with the highest training returns
      tensorboard/          the progress as events
      checkpoint.safetensors, actions.bin   what a stopped run needs to go on, or a finished one to a longer budget

A failed or interrupted run is a status, never a score. Here is how a record is read; run_writer.py writes it.
"""

from __future__ import annotations

import csv
import dataclasses
import datetime
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import psutil
from safetensors import SafetensorError, safe_open

from dqn_ref.claim import claimed
from dqn_ref.config import DQNConfig, UserError, is_number
from dqn_ref.seeds import Member

SCHEMA = 1
STATUSES = ("running", "finished", "interrupted", "failed")

# Fields of the configuration that older records lack; they behaved as the defaults of these say.
ADDED_FIELDS = frozenset({
    "fire_on_reset", "life_loss_terminal", "history_padding", "target_period_updates", "floor_outside_root",
    "loss_reduction", "streams_per_member", "precision", "reward_clip", "network", "frames_per_state",
    "input_divisor", "optimizer", "constant_reward", "initial_weights", "error_scale",
})  # fmt: skip

CHECKPOINT, ACTIONS = "checkpoint.safetensors", "actions.bin"  # what a run goes on from
CHECKPOINT_VERSION = 2
# Of an iteration, the weights are the last ones until the next has ended.
WEIGHTS = {"last": "weights.safetensors", "best": "weights-best.safetensors", "iteration": "weights.safetensors"}

RECORD_FILES = ("run.json", "episodes.csv", "progress.csv", "evaluation.json", *WEIGHTS.values(), CHECKPOINT, ACTIONS)

EPISODE_COLUMNS = ("frame", "raw_return", "clipped_return", "length_frames", "end", "lives_lost")
OLD_EPISODE_COLUMNS = EPISODE_COLUMNS[:5]  # all that older records have; the rest reads as None
EPISODE_ENDS = ("game_over", "truncated", "iteration_end")
PROGRESS_COLUMNS = (
    "frames", "agent_steps", "updates", "epsilon", "loss", "q_mean", "q_max", "gradient_norm",
    "frames_per_second", "emulator_seconds", "network_seconds", "learner_seconds", "wall_seconds",
    "q_start", "start_return", "td_error_ratio", "update_ratio", "target_distance",
    "action_entropy", "top_action_share", "policy_churn",
    "dormant_conv1", "dormant_conv2", "dormant_conv3", "dormant_hidden",
    "replay_fill", "replay_age", "nonzero_reward_share", "terminal_share", "unique_state_share",
    "input_min", "input_mean", "input_max",
)  # fmt: skip
OLD_PROGRESS_COLUMNS = PROGRESS_COLUMNS[:13]  # all that older records have; the rest reads as nan
EVALUATION_FIELDS = (
    "weights", "training_frames", "epsilon", "max_frames", "num_episodes", "mean_return", "std_return",
    "agent_steps", "seconds", "episodes",
)  # fmt: skip


def now() -> str:
    """The time in UTC, ISO 8601, to the second."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write ``content`` so that a reader finds the old file or the new one, never half of one."""
    temporary = path.with_suffix(path.suffix + ".tmp")
    try:
        temporary.write_text(json.dumps(content, indent=1) + "\n")
        os.replace(temporary, path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object of our schema. Raises UserError: missing, broken, or another schema."""
    try:
        content = json.loads(path.read_text())
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}. A run folder holds run.json.") from None
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path} is broken ({error}). Move the run's folder away and run it again.") from None
    schema = content.get("schema") if isinstance(content, dict) else None
    if schema != SCHEMA:
        raise UserError(f"{path} has schema {schema!r}, this version reads {SCHEMA}. Run it again, or use its version.")
    assert isinstance(content, dict)
    return content


def read_csv(path: Path, columns: Sequence[str], old_columns: Sequence[str]) -> list[dict[str, str]]:
    """Rows of a CSV with exactly ``columns``, or ``old_columns``. Raises UserError: missing or of another form."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            names, rows = reader.fieldnames, list(reader)
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}.") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{path} is broken ({error}). Move the run's folder away and run it again.") from None
    if tuple(names or ()) not in (tuple(columns), tuple(old_columns)):
        raise UserError(
            f"{path} {f'has columns {names}' if names else 'is empty'}, expected {list(columns)}. Move the run's "
            "folder away and run it again."
        )
    if any(None in row or None in row.values() for row in rows):
        raise UserError(f"{path} is broken: a row has not {len(names or ())} fields. Move the run's folder away.")
    return rows


def _check_provenance(origin: Any) -> None:
    """Raise TypeError unless it can be put in words; what it does not say, older records among them, is not known."""
    if not isinstance(origin, dict):
        raise TypeError("provenance is no object")
    for name in ("source", "machine", "torch"):
        if not isinstance(origin.get(name, {}), dict):
            raise TypeError(f"provenance.{name} is no object")
    if not isinstance(origin.get("source", {}).get("commit"), str | None):
        raise TypeError("provenance.source.commit is no text")


def _is_evaluation(each: Any) -> bool:
    """Whether it has the fields of an evaluation, with numbers where they belong; what it cost may be unknown."""
    if not isinstance(each, dict) or not set(EVALUATION_FIELDS) <= set(each):
        return False
    numbers = ("training_frames", "epsilon", "max_frames", "num_episodes", "mean_return", "std_return")
    return all(_is_float(each[name]) for name in numbers) and _are_episodes(each["episodes"])


def _are_episodes(found: Any) -> bool:
    return isinstance(found, list) and all(isinstance(one, dict) and _is_float(one.get("raw_return")) for one in found)


def _is_float(value: Any) -> bool:
    return is_number(value) and not (isinstance(value, int) and abs(value) >= 2**63)  # of any size in JSON


@dataclass(frozen=True)
class RunRecord:
    """A run as read back from its folder."""

    folder: Path
    member: Member
    protocol: str  # with its version, e.g. nature-v1
    overrides: Mapping[str, Any]
    config: DQNConfig
    status: str
    frames_done: int
    pid: int
    run: Mapping[str, Any]  # run.json as it is
    evaluations: Sequence[Mapping[str, Any]]

    @property
    def provenances(self) -> Sequence[Mapping[str, Any]]:
        """Where the run comes from: its beginning, and each time that it went on after it was stopped."""
        return [self.run.get("provenance", {}), *(each["provenance"] for each in self.run.get("resumed", []))]

    @property
    def resumable_after(self) -> int | None:
        """Frames after which a stopped run can be resumed; None if it has no checkpoint that can be read."""
        try:
            with safe_open(self.folder / CHECKPOINT, framework="numpy") as file:
                notes = json.loads(file.metadata()["notes"])
            if notes["version"] != CHECKPOINT_VERSION:
                return None
            if any((self.folder / name).stat().st_size < length for name, length in notes["lengths"].items()):
                return None
            return int(notes["agent_step"]) * self.config.frames_per_agent_step
        except (OSError, SafetensorError, KeyError, TypeError, ValueError, AttributeError):
            return None

    @property
    def seconds(self) -> float:
        """From start to end, less the time that a stopped run lay idle. Raises UserError: it is not recorded."""
        try:
            start, end = (datetime.datetime.fromisoformat(self.run[key]) for key in ("started", "ended"))
            idle = sum(float(each["idle_seconds"]) for each in self.run.get("resumed", []))
            return (end - start).total_seconds() - idle
        except (KeyError, TypeError, ValueError) as error:
            raise UserError(f"{self.folder / 'run.json'} does not say how long the run took ({error}).") from None

    @classmethod
    def read(cls, folder: Path) -> RunRecord:
        """Read and check ``folder``. Raises UserError: missing, broken, or of another schema."""
        run = read_json(folder / "run.json")
        evaluations: Any = []
        if (folder / "evaluation.json").exists():
            evaluations = read_json(folder / "evaluation.json").get("evaluations")
        try:
            if run["status"] not in STATUSES:
                raise ValueError(f"status {run['status']!r}")
            fields = {field.name for field in dataclasses.fields(DQNConfig)}
            if wrong := (set(run["config"]) ^ fields) - (ADDED_FIELDS - set(run["config"])):
                raise ValueError(f"config fields {sorted(wrong)} are missing or unknown")
            if not isinstance(run["protocol"]["overrides"], dict):
                raise TypeError(f"protocol.overrides is {run['protocol']['overrides']!r}, expected an object")
            record = cls(
                folder=folder,
                member=Member(str(run["member"]["game"]), int(run["member"]["seed"])),
                protocol=f"{run['protocol']['name']}-v{run['protocol']['version']}",
                overrides=run["protocol"]["overrides"],
                config=DQNConfig(**run["config"]),
                status=run["status"],
                frames_done=int(run["frames_done"]),
                pid=int(run["pid"]),
                run=run,
                evaluations=evaluations,
            )
            for origin in record.provenances:
                _check_provenance(origin)
            if record.frames_done < 0:
                raise ValueError(f"frames_done {record.frames_done}")
        except (KeyError, TypeError, ValueError, OverflowError, UserError) as error:
            why = f"{error} is missing" if isinstance(error, KeyError) else str(error).rstrip(".")
            raise UserError(f"{folder / 'run.json'} is broken: {why}. Move the folder away and run again.") from None
        if not isinstance(evaluations, list) or not all(map(_is_evaluation, evaluations)):
            raise UserError(
                f"{folder / 'evaluation.json'} is broken: expected a list of evaluations, each with "
                f"{', '.join(EVALUATION_FIELDS)}, scores and settings as numbers. Move the folder away and run again."
            )
        return record

    def evaluated(self, **settings: object) -> Iterator[Mapping[str, Any]]:
        """Its evaluations of such settings, e.g. ``weights="best", epsilon=0.05``."""
        return (each for each in self.evaluations if all(each[name] == value for name, value in settings.items()))

    def is_being_written(self) -> bool:
        """Whether a process is at work on it."""
        try:
            with claimed([self.folder], only_looks=True):
                pass
        except UserError:
            return True
        try:  # the recorded one runs, and is not a younger one of the same number
            process = psutil.Process(self.pid)
            younger = process.create_time() > (self.folder / "episodes.csv").stat().st_mtime
            return self.status == "running" and process.status() != psutil.STATUS_ZOMBIE and not younger
        except (psutil.Error, OSError, ValueError):
            return False

    def episodes(self) -> list[dict[str, Any]]:
        """Rows of episodes.csv with numbers as numbers; lives_lost is None in old records. Raises UserError: broken."""

        def parse(column: str, text: str | None) -> int | str | None:
            if text is None:
                return None
            if column != "end":
                if abs(int(text)) >= 2**63:
                    raise ValueError(f"{column} {text}")
                return int(text)
            if text not in EPISODE_ENDS:
                raise ValueError(f"end {text!r}")
            return text

        return self._rows("episodes.csv", EPISODE_COLUMNS, OLD_EPISODE_COLUMNS, parse)

    def full_episodes(self) -> list[dict[str, Any]]:
        """The same without those that an iteration's end cut: their return is none of a whole game."""
        return [row for row in self.episodes() if row["end"] != "iteration_end"]

    def progress(self) -> list[dict[str, float]]:
        """Rows of progress.csv as floats, nan where old records lack a column. Raises UserError: broken."""
        return self._rows(
            "progress.csv", PROGRESS_COLUMNS, OLD_PROGRESS_COLUMNS, lambda column, text: float(text or "nan")
        )

    def _rows(
        self, name: str, columns: Sequence[str], old: Sequence[str], parse: Callable[[str, str | None], Any]
    ) -> list[dict[str, Any]]:
        path = self.folder / name
        try:
            rows = [{k: parse(k, row.get(k)) for k in columns} for row in read_csv(path, columns, old)]
            frames = [0, *(row[columns[0]] for row in rows), 2**53]
            if not all(earlier <= later for earlier, later in pairwise(frames)):
                raise ValueError(f"its column {columns[0]!r} does not ascend from 0")
            return rows
        except ValueError as error:
            raise UserError(f"{path} is broken ({error}). Move the run's folder away and run it again.") from None
