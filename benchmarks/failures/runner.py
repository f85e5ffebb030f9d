"""Makes the missing runs of the failures suite. A finished run is never made again, whatever happens meanwhile."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from benchmarks.costs import runs_at_once
from benchmarks.failures.matrix import FailureMatrix, Place
from benchmarks.failures.variants import Variant
from benchmarks.jobs import Job
from benchmarks.runner import by_checkpoint, clear_missing, make, populations
from benchmarks.store import Store


def run_failures(matrix: FailureMatrix, store: Store, device: str, say: Callable[[str], None]) -> bool:
    """Make the missing runs of ``matrix``. Returns whether all of them are finished now.

    On a CPU in the order of the matrix, a thread and a core each. On a GPU variant by variant: a process trains runs
    of one configuration side by side.

    Raises:
        UserError: another runner is at work, or a record in a run's place is broken or of another setting.
    """
    with store.exclusive(store.failures(matrix.group)):
        places = matrix.places(store)
        missing = _missing(places, store, say)
        if not missing:
            say(f"Nothing is missing: all {len(places)} runs of {matrix.group} are finished.")
            return True
        at_once = side_by_side(matrix, device)
        done = len(places) - len(missing)
        say(f"{done} of {len(places)} runs are finished; making {len(missing)}, {at_once} at once.")
        jobs = plan_jobs(matrix, missing, store, at_once if device == "cuda" else 1)
        make(jobs, 1 if device == "cuda" else at_once, 1, device, say)
        return all(place.cell.status == "finished" for place in matrix.places(store))


def _missing(places: Sequence[Place], store: Store, say: Callable[[str], None]) -> list[Place]:
    cleared = {cell.folder for cell in clear_missing([place.cell for place in places], store, say)}
    return [place for place in places if place.cell.folder in cleared]


def side_by_side(matrix: FailureMatrix, device: str) -> int:
    """Runs at once, by cores and memory."""
    return runs_at_once(matrix.config(), len(matrix.runs()), device)


def plan_jobs(matrix: FailureMatrix, missing: Sequence[Place], store: Store, size: int) -> list[Job]:
    """``missing`` as jobs of at most ``size`` runs of one variant each; of one run each, the order is kept."""
    parts: list[tuple[Variant, bool, tuple[str, ...], tuple[int, ...]]]
    if size == 1:
        parts = [
            (p.variant, bool(p.cell.resumable_after), (p.cell.member.game,), (p.cell.member.seed,)) for p in missing
        ]
    else:
        parts = [
            (variant, after is not None, games, seeds)
            for variant in matrix.variants
            for after, cells in by_checkpoint([place.cell for place in missing if place.variant is variant])
            for games, seeds in populations([cell.member for cell in cells], size)
        ]
    return [
        Job(
            games,
            seeds,
            matrix.frames,
            matrix.protocol,
            store.failures(matrix.group) / variant.name,
            overrides=variant.values(matrix.config()),
            resumes=resumes,
            variant=variant.name,
        )
        for variant, resumes, games, seeds in parts
    ]
