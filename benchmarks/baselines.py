"""Stored baselines: what gates compare with. Named by suite, protocol version and budget, sealed, and never replaced
in silence.

    create   this machine's finished runs -> NAME.candidate
    promote  NAME.candidate -> NAME, with a reason; what was NAME is kept as NAME.until-TIME
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks import seals
from benchmarks.runner import Matrix
from benchmarks.scores import ScoreMatrix, score_matrix
from benchmarks.store import Store
from dqn_ref.config import UserError, format_frames
from dqn_ref.records import RunRecord


@dataclass(frozen=True)
class Baseline:
    """A stored baseline whose seal holds."""

    folder: Path
    about: dict[str, Any]  # baseline.json
    matrix: Matrix
    scores: ScoreMatrix
    records: list[RunRecord]

    @property
    def name(self) -> str:
        """Name of its folder."""
        return self.folder.name


def create(store: Store, matrix: Matrix, reason: str) -> Path:
    """Store the finished runs of ``matrix`` as a candidate.

    Raises:
        UserError: no reason, a run is missing or not finished, or was made from uncommitted source.
    """
    cells = matrix.cells(store)
    score_matrix(matrix.games, cells).matrix()  # refuses an incomplete one
    about = {
        "suite": matrix.suite,
        "protocol": matrix.protocol.name,
        "frames": matrix.frames,
        "seeds": matrix.num_seeds,
    }
    return store.create_baseline(matrix.name, [cell.record for cell in cells if cell.record], about, reason)


def find(store: Store, name: str) -> tuple[dict[str, Any], Matrix]:
    """What the baseline called ``name`` says of itself, and the matrix that it holds.

    Raises:
        UserError: unknown (with the known names), or changed by hand.
    """
    folder = store.baseline(name)
    if not folder.is_dir() or Path(name).name != name:
        known = ", ".join(path.name for path in folders(store)) or "none"
        raise UserError(f"No baseline is called {name!r} in {store.root}; known are: {known}.")
    about = seals.read_sealed(folder)
    try:
        return about, Matrix.of(about["suite"], about["protocol"], about["frames"], about["seeds"])
    except KeyError as error:
        raise UserError(f"{folder / seals.NAME} lacks {error}; make the baseline anew with this version.") from None


def read(store: Store, name: str) -> Baseline:
    """The baseline called ``name``, with its records.

    Raises:
        UserError: as ``find``, or a run is missing or of another setting.
    """
    about, matrix = find(store, name)
    folder = store.baseline(name)
    cells = matrix.cells(store, folder)
    scores = score_matrix(matrix.games, cells)
    scores.matrix()
    return Baseline(folder, about, matrix, scores, [cell.record for cell in cells if cell.record])


def last_word(about: dict[str, Any]) -> tuple[str, str]:
    """When and why the baseline was promoted, or created if it was not."""
    step = about["promoted"] or about["created"]
    return step["when"], step["reason"]


def folders(store: Store) -> Iterator[Path]:
    """Folders of all baselines, candidates and former ones included, by name."""
    yield from sorted(path.parent for path in (store.root / "baselines").glob(f"*/{seals.NAME}"))


# ---------------------------------------------------------------------- in words


def listing(store: Store) -> list[tuple[str, ...]]:
    """A row each: name, standing, seeds, budget, source, when and why; or what is wrong with it."""
    rows = list[tuple[str, ...]]()
    for folder in folders(store):
        try:
            found = read(store, folder.name)
        except UserError as error:
            rows.append((folder.name, _standing(folder.name), "", "", "", _short(error, folder)))
            continue
        sources = {origin["source"]["commit"][:10] for record in found.records for origin in record.provenances}
        when, why = last_word(found.about)
        words = f"{when[:10]}: {why}"
        frames = format_frames(found.matrix.frames)
        rows.append(
            (found.name, _standing(found.name), str(found.matrix.num_seeds), frames, ", ".join(sorted(sources)), words)
        )
    return rows


LISTING_HEADER = ("name", "standing", "seeds", "frames", "source", "why")


def _short(error: UserError, folder: Path) -> str:
    return str(error).split(". ")[0].replace(f"{folder}/", "")


def _standing(name: str) -> str:
    return "former" if ".until-" in name else "candidate" if name.endswith(".candidate") else "current"


def seed_rows(baseline: Baseline) -> list[tuple[str, ...]]:
    """A row a game: its name and the raw score of each seed."""
    raw = baseline.scores.raw
    return [(game, *(f"{score:,.1f}" for _, score in sorted(raw[game].items()))) for game in baseline.matrix.games]
