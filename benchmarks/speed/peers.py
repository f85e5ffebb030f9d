"""Training speed beside Stable-Baselines3, PFRL and Tianshou, in turn in one run: python -m benchmarks.speed.peers

All play the same game with the same network, batch, threads, epsilon and replay ratio (an update of 32
transitions every 4 agent steps), each by its own training loop with its own Atari wrappers, in an
environment of its own beside this one (tox -e bench-peers makes them). A process each time and all in
turn (A B C D A B C D), because the speed of a shared machine drifts; the clock runs after the warm-up,
and every contestant must have stored and learnt in that span exactly what it was told to.
What each does differently from ours is listed in benchmarks/speed/contestants/.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import median
from typing import Any

import torch

from benchmarks.jobs import end_when_told, end_with_parent
from benchmarks.markdown import table
from benchmarks.speed.contestants.span import Settings, as_argument
from benchmarks.store import Store
from dqn_ref.config import UserError
from dqn_ref.provenance import machine, machine_words, source_revision, source_words
from dqn_ref.records import now

ROOT = Path(__file__).resolve().parents[2]
SCHEMA = 2
ENVIRONMENTS = Path(sys.prefix).parent  # tox keeps all of them in one folder


@dataclass(frozen=True)
class Contestant:
    """A row of the table. Without ``environment`` it is one of ours, with these ``changes`` to DQNConfig."""

    name: str
    module: str  # in benchmarks/speed/contestants
    environment: str | None = None  # folder beside the project's own
    changes: dict[str, Any] = field(default_factory=dict)

    def python(self) -> Path:
        """The Python that measures it. Raises UserError: a peer that is not installed."""
        if self.environment is None:
            return Path(sys.executable)
        path = ENVIRONMENTS / self.environment / "bin" / "python"
        if not path.exists():
            raise UserError(f"{self.name} is not installed: there is no {path}. tox -e bench-peers installs it.")
        return path


CONTESTANTS = (
    Contestant("dqn-ref float32", "ours"),
    Contestant("dqn-ref bfloat16", "ours", changes={"precision": "bfloat16"}),
    Contestant("stable-baselines3", "stable_baselines3", "peer-stable-baselines3"),
    Contestant("pfrl", "pfrl", "peer-pfrl"),
    Contestant("tianshou", "tianshou", "peer-tianshou"),
)


def chosen(names: Sequence[str]) -> list[Contestant]:
    """The contestants called ``names``, or all. Raises UserError: an unknown name."""
    known = {contestant.name: contestant for contestant in CONTESTANTS}
    for name in names:
        if name not in known:
            raise UserError(f"No contestant is called {name!r}; known are: {', '.join(known)}.")
    return [contestant for contestant in CONTESTANTS if not names or contestant.name in names]


# ---------------------------------------------------------------------- measuring


def measure(contestant: Contestant, settings: Settings) -> dict[str, Any]:
    """What ``contestant`` answers: seconds of the span, updates, transitions, threads, versions.

    Raises:
        UserError: it is not installed, it failed, or it did not do what it was told.
    """
    own = replace(settings, changes=contestant.changes)
    command = [str(contestant.python()), "-m", f"benchmarks.speed.contestants.{contestant.module}", as_argument(own)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, preexec_fn=end_with_parent)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["it printed nothing"])[-1]
        raise UserError(f"Measuring {contestant.name} failed (exit code {done.returncode}): {last}")
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    expected = {
        "transitions": settings.steps,
        "updates": settings.steps // settings.steps_per_update,
        "threads": settings.threads,
    }
    for what, number in expected.items():
        if answer[what] != number:
            raise UserError(f"{contestant.name} cannot be compared: {number} {what} expected, it had {answer[what]}.")
    return answer


def compare(
    contestants: Sequence[Contestant],
    rounds: int,
    settings: Settings,
    measure: Callable[[Contestant, Settings], dict[str, Any]] = measure,
) -> dict[str, Any]:
    """Measure all in turn, ``rounds`` times; returns what is stored."""
    for contestant in contestants:
        contestant.python()  # a missing one is told before the first minute
    answers: dict[str, list[dict[str, Any]]] = {contestant.name: [] for contestant in contestants}
    for number in range(rounds):
        for contestant in contestants:
            answer = measure(contestant, settings)
            answers[contestant.name].append(answer)
            speed = settings.steps / answer["seconds"]
            print(f"round {number + 1}/{rounds}  {contestant.name:18} {speed:7.1f} agent steps/s", flush=True)
    speeds = {name: [settings.steps / answer["seconds"] for answer in given] for name, given in answers.items()}
    ours = [contestant.name for contestant in contestants if contestant.environment is None]
    peers = [contestant.name for contestant in contestants if contestant.environment is not None]
    return {
        "schema": SCHEMA,
        "game": settings.game,
        "rounds": rounds,
        "agent_steps_per_measurement": settings.steps,
        "agent_steps_per_update": settings.steps_per_update,
        "batch_size": settings.batch_size,
        "epsilon": settings.epsilon,
        "threads": settings.threads,
        "agent_steps_per_second": speeds,
        "ratios": {name: {peer: ratio(speeds[name], speeds[peer]) for peer in peers} for name in ours},
        "best_peer": max(peers, key=lambda peer: median(speeds[peer]), default=None),
        "milliseconds_per_agent_step": {name: time_split(answers[name], settings.steps) for name in ours},
        "versions": {name: given[0]["versions"] for name, given in answers.items()},
        "measured": now(),
        "machine": machine(),
        "source": source_revision(),
    }


def ratio(ours: Sequence[float], theirs: Sequence[float]) -> dict[str, Any]:
    """How many times as fast ours was, compared round by round."""
    per_round = [a / b for a, b in zip(ours, theirs, strict=True)]
    return {"per_round": per_round, "median": median(per_round), "lowest": min(per_round), "highest": max(per_round)}


def time_split(answers: Sequence[dict[str, Any]], steps: int) -> dict[str, float]:
    """Where the host's time went: milliseconds of an agent step by part, medians of the rounds."""
    parts = [
        {**answer["split"], "other": answer["seconds"] - sum(answer["split"].values())}  # storing, above all
        for answer in answers
    ]
    return {part: median(1_000 * each[part] / steps for each in parts) for part in parts[0]}


# ---------------------------------------------------------------------- showing


def markdown(result: dict[str, Any]) -> str:
    """A stored comparison as Markdown."""
    ratios = result["ratios"]
    factors = [f"times as fast: {name}" for name in ratios]
    header = ("agent steps/s while learning", "median", "lowest", "highest", *factors)
    rows = []
    for name, speeds in result["agent_steps_per_second"].items():
        row = [name, *(f"{each(speeds):.1f}" for each in (median, min, max))]
        for each in ratios.values():
            it = each.get(name)
            row.append(f"**{it['median']:.2f}** ({it['lowest']:.2f} to {it['highest']:.2f})" if it else "")
        rows.append(row)
    where, versions, source = result["machine"], result["versions"], result["source"]
    first = next(iter(versions.values()))
    libraries = [f"torch {first['torch']}"]
    libraries += [f"{name} {found[name]}" for name, found in versions.items() if name in found]
    lines = [
        table(header, rows),
        f"Ratios round by round: median (lowest to highest). Measured on {machine_words(where)}, "
        f"{result['threads']} threads, {result['rounds']} x {result['agent_steps_per_measurement']:,} agent steps "
        f"in turn; {', '.join(libraries)}. Fastest peer: {result['best_peer']}. "
        f"Source {source_words(source)}.",
    ]
    for name, split in result["milliseconds_per_agent_step"].items():
        parts = ", ".join(f"{part} {milliseconds:.2f}" for part, milliseconds in split.items())
        lines.append(f"An agent step of {name}, in ms: {parts}.")
    return "\n".join(lines) + "\n"


def main() -> int:
    """Exit code: 0 measured, 2 a measurement was not possible, 130 interrupted."""
    defaults = Settings(threads=torch.get_num_threads())
    parser = argparse.ArgumentParser(prog="python -m benchmarks.speed.peers", description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5, help="measurements of each (default 5)")
    parser.add_argument("--steps", type=int, default=defaults.steps,
                        help=f"agent steps of each measurement (default {defaults.steps})")  # fmt: skip
    parser.add_argument("--results", type=Path, help="folder to store the measurement in, e.g. results")
    parser.add_argument("--only", nargs="+", default=[], metavar="NAME", help="measure these only; is not stored")
    arguments = parser.parse_args()
    if arguments.rounds < 1 or arguments.steps < 1 or arguments.steps % defaults.steps_per_update:
        parser.error(f"--rounds must be 1 or above, --steps a multiple of {defaults.steps_per_update}")
    if arguments.only and arguments.results:
        parser.error("--results stores a comparison of all; leave out --only")
    end_when_told()
    try:
        if arguments.results:
            Store(arguments.results).check_writable()
        result = compare(chosen(arguments.only), arguments.rounds, replace(defaults, steps=arguments.steps))
        if arguments.results:  # first: the table below could break off
            print(f"Stored in {Store(arguments.results).store_speed('peers', result)}")
        print()
        print(markdown(result))
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("Interrupted. Nothing was stored.", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
