"""The matrix of the failures suite: variant by game by seed, in the order in which it is made."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.failures.variants import CLAIMS, CONTROL, REFERENCE, VARIANTS, Variant, variants_named
from benchmarks.runner import check_setting
from benchmarks.store import Cell, Store
from benchmarks.suites import game_named
from dqn_ref.config import DQNConfig, UserError
from dqn_ref.protocols import Protocol, protocol_named
from dqn_ref.seeds import Member


@dataclass(frozen=True)
class Settings:
    """What a matrix has where nothing else is asked for."""

    protocol: str
    frames: int | None  # None: the protocol's
    games: tuple[str, ...]
    reference_games: tuple[str, ...]  # with the reference and its control only
    variants: tuple[str, ...]  # names or claims
    seeds: int
    reference_seeds: int


# Two cores, 25 minutes: 12 runs of 3.4 minutes and 3 of about one, which hardly update, two at once. 3 seeds against
# 6 can decide whether the reference has learnt (1/64 against random, 1/84 against the control), and then two variants
# (2/84); and, whether it has or not, whether the values of either exceed their bound where the reference's do not.
SMALL = Settings("early", None, ("ms_pacman",), (), ("no-target-network", "article-replay-target"), 3, 6)

# A GPU: games on which published DQNs are above the human score at 10M frames (benchmarks/data), all variants, and
# the reference and its control on a sparse game and a very sparse one.
WHOLE = Settings(
    "nature", 10_000_000, ("road_runner", "krull", "assault", "crazy_climber", "breakout"),
    ("freeway", "montezuma_revenge"), ("all",), 5, 10,
)  # fmt: skip


@dataclass(frozen=True)
class Place:
    """One run of the matrix and what is there of it."""

    variant: Variant
    cell: Cell

    @property
    def name(self) -> str:
        """Readable id within the group, e.g. ``no-replay/pong-s0``."""
        return f"{self.variant.name}/{self.cell.name}"


@dataclass(frozen=True)
class FailureMatrix:
    """Variants, the reference and its control first, by games by seeds, under a protocol at a budget."""

    protocol: Protocol
    frames: int
    games: tuple[str, ...]
    reference_games: tuple[str, ...]
    variants: tuple[Variant, ...]
    seeds: int  # of a variant, and of the control
    reference_seeds: int

    @classmethod
    def of(
        cls,
        settings: Settings = SMALL,
        *,
        protocol: str | None = None,
        frames: int | None = None,
        games: Sequence[str] = (),
        reference_games: Sequence[str] = (),
        variants: Sequence[str] = (),
        seeds: int | None = None,
        reference_seeds: int | None = None,
    ) -> FailureMatrix:
        """The matrix that was asked for; what was not is from ``settings``. Raises UserError: unknown, impossible."""
        seeds = settings.seeds if seeds is None else seeds
        if reference_seeds is None:
            reference_seeds = max(seeds, settings.reference_seeds)
        if min(seeds, reference_seeds) < 1 or reference_seeds < seeds:
            raise UserError(
                f"Got --seeds {seeds} and --reference-seeds {reference_seeds}; expected at least 1, and as many seeds "
                "of the reference as of a variant: everything is compared with it."
            )
        known = protocol_named(protocol or settings.protocol)
        budget = frames or (settings.frames if protocol in (None, settings.protocol) else None)
        asked = _games(games or settings.games)
        alone = reference_games or (() if games else settings.reference_games)
        matrix = cls(
            protocol=known,
            frames=budget or known.config.total_frames,
            games=asked,
            reference_games=tuple(game for game in _games(alone) if game not in asked),
            variants=variants_named(expand(variants or settings.variants)),
            seeds=seeds,
            reference_seeds=reference_seeds,
        )
        for variant in matrix.variants:
            matrix.config(variant)  # checks the budget
        return matrix

    @property
    def group(self) -> str:
        """Name of the folder that holds the runs."""
        return self.protocol.group(self.frames)

    def config(self, variant: Variant = REFERENCE) -> DQNConfig:
        """Configuration of the runs of ``variant``. Raises UserError: it is impossible at this budget."""
        try:
            return variant.of(dataclasses.replace(self.protocol.config, total_frames=self.frames))
        except UserError as error:
            raise UserError(f"{variant.name} at {self.frames:,} frames: {error}") from None

    def runs(self) -> list[tuple[Variant, Member]]:
        """Every run in the order in which it is made: cut short anywhere, what is there tells most.

        Seed by seed, and within a seed the reference first, then its control, then the variants in the order of the
        claims. The reference's further seeds are spread over these rounds, so that each compares with more of them.
        """
        further = self.reference_seeds - self.seeds
        every_game = (*self.games, *self.reference_games)
        found, next_further = list[tuple[Variant, Member]](), self.seeds
        for seed in range(self.seeds):
            until = self.seeds + -(-further * (seed + 1) // self.seeds)
            for own in (seed, *range(next_further, until)):
                found += [(REFERENCE, Member(game, own)) for game in every_game]
            next_further = until
            for variant in self.variants:
                if variant is not REFERENCE:
                    games = every_game if variant is CONTROL else self.games
                    found += [(variant, Member(game, seed)) for game in games]
        return found

    @property
    def comparisons(self) -> int:
        """Variants to be compared with the reference, a game each; the control is none."""
        return len(self.games) * sum(variant not in (REFERENCE, CONTROL) for variant in self.variants)

    def places(self, store: Store) -> list[Place]:
        """What is there of every run. Raises UserError: a record that is broken or of another setting."""
        found = list[Place]()
        for variant, member in self.runs():
            cell = store.cell(store.failures(self.group) / variant.name, member)
            if cell.record:
                check_setting(cell.record, self.protocol, self.config(variant), f"{self.group}/{variant.name}")
            found.append(Place(variant, cell))
        return found


def _games(names: Sequence[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(map(game_named, names)))


def expand(names: Sequence[str]) -> list[str]:
    """``all`` and claims, e.g. ``C3``, as the variants that they stand for."""
    found = list[str]()
    for name in names:
        if name == "all":
            found += VARIANTS
        elif name in CLAIMS:
            found += [variant.name for variant in VARIANTS.values() if variant.claim == name]
        else:
            found.append(name)
    return found
