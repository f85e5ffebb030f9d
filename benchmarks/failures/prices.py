"""What the runs of the failures suite cost on this machine, before they are made."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from statistics import fmean

from benchmarks.costs import EVALUATION_EPISODE_STEPS, Costs
from benchmarks.failures.matrix import FailureMatrix, Place
from benchmarks.failures.variants import Variant
from dqn_ref.config import CI, DQNConfig

SMALLEST_UPDATE = 1 / 8  # of the reference's, however few transitions are in it: starting its kernels costs too


@dataclass(frozen=True)
class Prices:
    """Seconds of a run while the machine is shared as it will be: measured of finished runs, else from a formula."""

    costs: Costs
    made: dict[str, float]  # by variant, mean seconds of its finished runs of this matrix

    def seconds(self, matrix: FailureMatrix, variant: Variant) -> float:
        """Of one run of ``variant``."""
        return self.made.get(variant.name) or formula_seconds(self.costs, matrix.config(variant))

    def left(self, matrix: FailureMatrix, places: Sequence[Place], at_once: int) -> float:
        """Wall-clock seconds until all of ``places`` are finished."""
        work = sum(self.seconds(matrix, place.variant) for place in places if place.cell.status != "finished")
        return work / at_once * max(1.0, at_once / self.costs.at_once)


def formula_seconds(costs: Costs, config: DQNConfig) -> float:
    """Start-up, warm-up, steps that are acted, updates, and the evaluation of two networks.

    An agent step in which the network acts costs as much as one of evaluation; what a learning step of the measured
    protocol takes beyond that is its share of an update. An update of another network is priced as the reference's,
    which is more than it costs; one of a smaller batch in proportion.
    """
    acting = costs.evaluation_step
    update = max(0.0, costs.learning_step - acting) * CI.config.update_period_agent_steps
    update *= max(SMALLEST_UPDATE, config.batch_size / CI.config.batch_size)
    learning_steps = config.total_agent_steps - config.replay_start_agent_steps
    return (
        costs.startup
        + config.replay_start_agent_steps * costs.warm_up_step
        + learning_steps * (acting + update / config.update_period_agent_steps)
        + 2 * config.evaluation_episodes * EVALUATION_EPISODE_STEPS * acting
    )


def made_seconds(places: Sequence[Place]) -> dict[str, float]:
    """Mean wall-clock seconds of the finished runs, by variant."""
    found: dict[str, list[float]] = {}
    for place in places:
        if place.cell.record and place.cell.status == "finished":
            run = place.cell.record.run
            took = datetime.fromisoformat(run["ended"]) - datetime.fromisoformat(run["started"])
            found.setdefault(place.variant.name, []).append(took.total_seconds())
    return {name: fmean(seconds) for name, seconds in found.items()}
