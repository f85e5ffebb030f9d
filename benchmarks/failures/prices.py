"""What the runs of the failures suite cost on this machine, before they are made."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from benchmarks.costs import Costs
from benchmarks.failures.matrix import FailureMatrix, Place
from benchmarks.failures.variants import Variant
from dqn_ref.provenance import machine, same_machine


@dataclass(frozen=True)
class Prices:
    """Seconds of a run while the machine is shared as it will be: measured of finished runs, else from a formula."""

    costs: Costs
    made: dict[str, float]  # by variant, mean seconds of its finished runs of this matrix

    def seconds(self, matrix: FailureMatrix, variant: Variant) -> float:
        """Of one run of ``variant``."""
        return self.made.get(variant.name) or self.costs.job_seconds(matrix.config(variant))

    def left(self, matrix: FailureMatrix, places: Sequence[Place], at_once: int) -> float:
        """Wall-clock seconds until all of ``places`` are finished."""
        work = sum(self.seconds(matrix, place.variant) for place in places if place.cell.status != "finished")
        return work / at_once * max(1.0, at_once / self.costs.at_once)


def made_seconds(places: Sequence[Place]) -> dict[str, float]:
    """Mean wall-clock seconds of the runs that were finished on such a machine as this, by variant."""
    here, found = machine(), dict[str, list[float]]()
    for place in places:
        record = place.cell.record
        if record and place.cell.status == "finished" and same_machine(record.provenances[-1].get("machine", {}), here):
            found.setdefault(place.variant.name, []).append(record.seconds)
    return {name: fmean(seconds) for name, seconds in found.items()}
