"""Long runs that are kept, beside what was published of a DQN that is evaluated in the same way, frame by frame."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from math import isfinite, isnan
from pathlib import Path
from statistics import fmean, median

import numpy as np
from numpy.typing import NDArray

from benchmarks.compare import LEVEL
from benchmarks.costs import format_seconds
from benchmarks.curves import Curves
from benchmarks.failures.inside import goes_beyond, value_bound
from benchmarks.markdown import folded, table
from benchmarks.permutation import mean_test, number_of, permutation_test, standardised_difference
from benchmarks.random_play import chance
from benchmarks.reference import human_and_random
from benchmarks.scores import iteration_scores, protocol_evaluation
from benchmarks.sources import ORIGINS, published, run_curves, run_folders
from benchmarks.store import Store
from benchmarks.words import count, p_value, revisions
from dqn_ref.config import DQNConfig, UserError, format_frames
from dqn_ref.provenance import machine_words
from dqn_ref.records import RunRecord

PUBLISHED = "nnabla-rl-dqn"
# What of it is neither the paper's nor ours, and an option here; and what is none. Seen in its dqn_reproduction.py, and
# in what that calls, at the revision published.
CHOICES = {"history_padding": "first_frame", "initial_weights": "he_normal", "error_scale": 2.0}
DIFFERS = "its epsilon falls during the warm-up too, and an evaluation lasts 125,000 agent steps"
OURS, LIKE_THEIRS = "this DQN", "this DQN, with nnabla-rl's choices"


@dataclass(frozen=True)
class Group:
    """Finished runs of one setting; a folder in results/learning."""

    records: Sequence[RunRecord]
    curves: Curves  # of their evaluations

    @classmethod
    def read(cls, folders: Sequence[Path]) -> Group:
        """Raises UserError: a run is not finished, or of another setting."""
        records = [RunRecord.read(folder) for folder in folders]
        return cls(records, run_curves(OURS, records, iterations=True)[0])

    @property
    def config(self) -> DQNConfig:
        """Of every run."""
        return self.records[0].config

    @property
    def name(self) -> str:
        """``this DQN``, and what of it is not the protocol's."""
        changes = self.records[0].overrides
        like_theirs = changes.items() >= CHOICES.items()
        own = [f"`{field} = {value}`" for field, value in changes.items() if not (like_theirs and field in CHOICES)]
        return ", ".join([LIKE_THEIRS if like_theirs else OURS, *own])

    def explained(self, game: str, frames: int) -> list[float]:
        """Share of their targets' variance that the values of each run explain: the median of the 500k frames before.

        Of runs whose records have it.
        """
        shares = list[float]()
        for record in self.records:
            rows = record.progress() if record.member.game == game else []
            ratios = [row["td_error_ratio"] for row in rows if frames - 500_000 < row["frames"] <= frames]
            if ratios := [ratio for ratio in ratios if isfinite(ratio)]:
                shares.append(max(0.0, 1.0 - median(ratios)))
        return shares

    def facts(self, store: Store) -> list[str]:
        """What it was made by, and each run's evaluations, the last beside random play."""
        config, provenance = self.config, self.records[0].provenances[0]
        seconds = median(record.seconds for record in self.records)
        return [
            f"{self.name}: protocol {self.records[0].protocol} in {config.precision}, stopped at "
            f"{format_frames(config.total_frames)} frames. Made on {machine_words(provenance['machine'])}, "
            f"{provenance['torch']['threads']} thread(s) a run, {format_seconds(seconds)} a run by the clock (median), "
            f"{revisions(self.records)}.",
            *(
                f"{self.name}, the evaluations of {record.folder.name}: {_evaluations(record)}"
                f"{_over_chance(store, record)}{_beyond_bound(record)}."
                for record in self.records
            ),
        ]


def read_groups(store: Store) -> list[Group]:
    """Every group; those of the protocol's own settings come first. Raises UserError: none, or a run not finished."""
    folders = [found for group in sorted((store.root / "learning").glob("*/")) if (found := run_folders(group))]
    if not folders:
        raise UserError(f"{store.root / 'learning'} holds no runs.")
    groups = [Group.read(found) for found in folders]
    return sorted(groups, key=lambda group: len(group.records[0].overrides))


def common_games(groups: Sequence[Group], theirs: Curves) -> list[str]:
    """Games of any group that were published too."""
    return sorted({game for group in groups for game in group.curves.games} & set(theirs.games))


def markdown(store: Store) -> str:
    """The runs beside the published ones, what their values explain, and what all this stands on."""
    groups, theirs = read_groups(store), published(PUBLISHED)
    games = common_games(groups, theirs)
    evaluation = groups[0].curves.measured
    facts = [
        *(line for group in groups for line in group.facts(store)),
        "A score is the mean of the evaluations after each million frames until then, of the last five at most, each "
        f"of {groups[0].config.evaluation_episodes} episodes with epsilon {evaluation.epsilon:g}; in brackets the "
        'lowest and highest seed. "Above random play" refers to the final network: its episodes\' mean against that of '
        "random play at the agent's frame skip, which is ours, by a one-sided permutation test.",
        f"{PUBLISHED}: {ORIGINS[PUBLISHED]}, the paper's settings, except for its choices, which here are "
        f"`{options(CHOICES)}`, and that {DIFFERS}. Not measured alike, as far as known: "
        f"{'; '.join(evaluation.differences(theirs.measured)) or 'nothing'}.",
        *_tests([*((group.name, group.curves) for group in groups), (PUBLISHED, theirs)]),
    ]
    return "\n".join([
        *(_game(game, groups, theirs) for game in games),
        "*Explained*: how much of the variance of their targets the values explain (of each seed; median of 500k "
        "frames).\n",
        folded("How these were made and measured, and each evaluation", "".join(f"- {fact}\n" for fact in facts)),
    ])  # fmt: skip


def _game(game: str, groups: Sequence[Group], theirs: Curves) -> str:
    """The table of a game: a row for each group that has runs of it, at the budgets that any of them reached."""
    groups, anchor = [group for group in groups if game in group.curves.games], human_and_random()[game]
    budgets = [each for each in theirs.budgets([game]) if any(len(group.curves.raw_at(game, each)) for group in groups)]
    after = [format_frames(frames) for frames in budgets]
    rows = [
        (group.name, *_scores(group.curves, game, budgets), *(_shares(group.explained(game, each)) for each in budgets))
        for group in groups
    ]
    rows.append((PUBLISHED, *_scores(theirs, game, budgets), *("" for _ in budgets)))
    for name, score in (("random play", anchor.random), ("human", anchor.human)):
        rows.append((name, *(f"{score:,.1f}" for _ in budgets), *("" for _ in budgets)))
    return table((game, *(f"after {each}" for each in after), *(f"explained, {each}" for each in after)), rows)


def _scores(curves: Curves, game: str, budgets: Sequence[int]) -> list[str]:
    return [_words(curves.raw_at(game, frames)) for frames in budgets]


def options(changes: Mapping[str, object]) -> str:
    """What makes such a run, for the command line of ``python -m dqn_ref train``."""
    values = {name: f"{value:g}" if isinstance(value, float) else str(value) for name, value in changes.items()}
    return " ".join(f"--{name.replace('_', '-')} {value}" for name, value in values.items())


def _evaluations(record: RunRecord) -> str:
    scores = sorted(iteration_scores(record).items())
    return ", ".join(f"{score:,.1f} after {format_frames(frames)}" for frames, score in scores)


def _over_chance(store: Store, record: RunRecord) -> str:
    """Whether the final network's episodes show that it plays better than chance; nothing where none is stored."""
    played = chance(store, record.member.game)
    if played is None:
        return ""
    returns = np.array([each["raw_return"] for each in protocol_evaluation(record)["episodes"]], np.float64)
    p = mean_test(returns, np.array(played.returns[0], np.float64)).p_higher
    return f" ({f'above random play, p {p_value(p)}' if p < 0.05 else 'not above random play'})"


def _beyond_bound(record: RunRecord) -> str:
    """How far values have left the range that returns can have; nothing where they never did."""
    bound, rows = value_bound(record.config), record.progress()
    if bound is None or not goes_beyond(rows, bound):
        return ""
    largest = max(row["q_max"] for row in rows if not isnan(row["q_max"]))
    reached = f"reach {largest:.2g}" if largest > bound else "overflow"
    return f"; values {reached}, and no return can exceed {bound:g}"


def _tests(rows: Sequence[tuple[str, Curves]]) -> Iterator[str]:
    """Every two rows, over the games that both have, at their last common budget, where a test can show anything.

    Raises UserError: a row has not the same seeds of each of these games.
    """
    untold = list[float]()  # the smallest p of each that can show nothing
    count = 0
    for (name, one), (other_name, other) in combinations(rows, 2):
        games = [game for game in one.games if game in other.games]
        if not (budgets := set(one.budgets(games)) & set(other.budgets(games)) if games else set()):
            continue
        sides = [curves.at(max(budgets), games) for curves in (one, other)]
        least = 2 / number_of(len(sides[0]), len(sides[1]), len(games))
        if least >= LEVEL:
            untold.append(least)
            continue
        count += 1
        test = permutation_test(*sides, statistic=standardised_difference)
        yield (
            f"{name} against {other_name}, over {len(games)} games after {format_frames(max(budgets))} frames: "
            f"difference of means, in units of each game's spread, {test.difference:+.2f}, p = {test.p_two_sided:.2g} "
            f"(two-sided permutation test within games; {least:.2g} is the smallest p that it could give)."
        )
    if untold:
        yield (
            f"No {'other ' if count else ''}two of these rows can show a difference, whatever they score: the "
            f"smallest p that a permutation test of any could give is {min(untold):.2g}."
        )


def _words(scores: NDArray[np.float64]) -> str:
    if not len(scores):
        return ""
    seeds = count(len(scores), "seed")
    return f"{fmean(scores.tolist()):,.1f} ({seeds}, {scores.min():,.1f} to {scores.max():,.1f})"


def _shares(shares: Sequence[float]) -> str:
    return ", ".join(f"{share:.0%}" for share in shares)
