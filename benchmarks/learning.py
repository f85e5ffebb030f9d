"""Long runs that are kept, beside what was published of a DQN that is evaluated in the same way, frame by frame."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations, product
from math import isfinite, isnan
from pathlib import Path
from statistics import fmean, median

import numpy as np

from benchmarks.compare import LEVEL
from benchmarks.costs import format_seconds
from benchmarks.curves import Curves, newest_points
from benchmarks.failures.inside import goes_beyond, value_bound
from benchmarks.jobs import option_words
from benchmarks.markdown import folded, table
from benchmarks.permutation import mean_test, number_of, permutation_test, standardised_difference
from benchmarks.random_play import chance
from benchmarks.reference import human_and_random
from benchmarks.scores import protocol_evaluation
from benchmarks.sources import NNABLA, ORIGINS, published, run_curves, run_folders
from benchmarks.store import Store
from benchmarks.words import p_value, revisions
from dqn_ref.config import DQNConfig, UserError, format_frames
from dqn_ref.provenance import machine_words
from dqn_ref.records import RunRecord

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

    def evaluated(self, game: str, frames: int) -> list[float]:
        """Score of each seed's network of that moment; nothing where there is none."""
        return evaluated(self.curves, game, frames)

    def facts(self, store: Store) -> str:
        """What it was made by; and of each game how long its runs took, and its last networks beside random play."""
        config, provenance = self.config, self.records[0].provenances[0]
        facts = [
            f"{self.name}: protocol {self.records[0].protocol} in {config.precision}, stopped at "
            f"{format_frames(config.total_frames)} frames. Made on {machine_words(provenance['machine'])}, "
            f"{provenance['torch']['threads']} thread(s) a run, {revisions(self.records)}."
        ]
        for game in self.curves.games:
            records = [record for record in self.records if record.member.game == game]
            seconds = median(record.seconds for record in records)
            networks = "; ".join(
                f"seed {each.member.seed}{_over_chance(store, each)}{_beyond_bound(each)}" for each in records
            )
            facts.append(f"On {game}, {format_seconds(seconds)} a run by the clock (median): {networks}.")
        return " ".join(facts)


def read_groups(store: Store) -> list[Group]:
    """Every group, the protocol's own settings first, of equal ones the longer runs.

    Raises UserError: none, or a run not finished.
    """
    folders = [found for group in sorted((store.root / "learning").glob("*/")) if (found := run_folders(group))]
    if not folders:
        raise UserError(f"{store.root / 'learning'} holds no runs.")
    groups = [Group.read(found) for found in folders]
    return sorted(groups, key=lambda group: (len(group.records[0].overrides), -group.config.total_frames))


def common_games(groups: Sequence[Group], theirs: Curves) -> list[str]:
    """Games of any group that were published too."""
    return sorted({game for group in groups for game in group.curves.games} & set(theirs.games))


def games_followed(games: Sequence[str], groups: Sequence[Group], theirs: Curves) -> list[str]:
    """Those of ``games`` in which networks were evaluated more than once on their way."""
    return [game for game in games if len(budgets_of(game, groups, theirs)) > 1]


def markdown(store: Store) -> str:
    """The runs beside the published ones, what their values explain, and what all this stands on."""
    groups, theirs = read_groups(store), published(NNABLA)
    games = common_games(groups, theirs)
    followed = games_followed(games, groups, theirs)
    evaluation = groups[0].curves.measured
    facts = [
        *(group.facts(store) for group in groups),
        f"An evaluation is the mean of {groups[0].config.evaluation_episodes} episodes with epsilon "
        f"{evaluation.epsilon:g} of one seed's network as it then was. What is published, and what the tests below "
        "compare, is the mean of the evaluations after each million frames until then. *Above random play*: the "
        "episodes of a run's last network against random play at the agent's frame skip, by a one-sided permutation "
        "test.",
        f"{NNABLA}: {ORIGINS[NNABLA]}, the paper's settings, except for its choices, which here are "
        f"`{' '.join(option_words(CHOICES))}`, and that {DIFFERS}. Not measured alike, as far as known: "
        f"{'; '.join(evaluation.differences(theirs.measured)) or 'nothing'}.",
        *_tests([*((group.name, group.curves) for group in groups), (NNABLA, theirs)]),
    ]
    return "\n".join([
        *(_game(store, game, groups, theirs) for game in followed),
        *_games_once(store, [game for game in games if game not in followed], groups, theirs),
        "Scores of each seed's network after so many frames, and their mean until then. *Explained*: how much of the "
        "variance of their targets the values of each seed explain (median of 500k frames).\n",
        folded("How these were made and measured, and what a test shows", "".join(f"- {fact}\n" for fact in facts)),
    ])  # fmt: skip


def _game(store: Store, game: str, groups: Sequence[Group], theirs: Curves) -> str:
    """The table of a game: a row for each group that has runs of it, at the budgets that any of them reached."""
    groups, anchor = [group for group in groups if game in group.curves.games], human_and_random()[game]
    budgets = budgets_of(game, groups, theirs)
    after = [format_frames(frames) for frames in budgets]
    header = [f"after {each}" for each in after]
    header += [f"mean until {each}" for each in after[1:]]
    header += [f"explained, {each}" for each in after]
    rows = [
        (
            group.name,
            *_scores(group.curves, game, budgets),
            *(_shares(group.explained(game, each)) for each in budgets),
        )
        for group in groups
    ]
    rows.append((NNABLA, *_scores(theirs, game, budgets), *("" for _ in budgets)))
    levels = [("random play, published", anchor.random), ("human", anchor.human)]
    if played := chance(store, game):
        levels.insert(0, ("random play, tested against", played.mean))
    for name, score in levels:
        rows.append((name, *(_number(score) for _ in budgets), *("" for _ in header[len(budgets) :])))
    return table((game, *header), rows)


def _games_once(store: Store, games: Sequence[str], groups: Sequence[Group], theirs: Curves) -> Iterator[str]:
    """One table of the games in which networks were evaluated once; nothing for none."""
    rows = list[tuple[str, ...]]()
    for game in games:
        here = [group for group in groups if game in group.curves.games]
        anchor, played = human_and_random()[game], chance(store, game)
        levels = (_number(played.mean) if played else "", _number(anchor.random), _number(anchor.human))
        for frames, group in product(budgets_of(game, here, theirs), here):
            scores = [_scores(each, game, [frames])[0] for each in (group.curves, theirs)]
            explained = _shares(group.explained(game, frames))
            rows.append((game, group.name, format_frames(frames), *scores, *levels, explained))
    if rows:
        words = ("game", "runs of", "after")
        names = ("score", NNABLA, "random play, tested against", "random play, published", "human", "explained")
        yield table((*words, *names), rows, words)


def budgets_of(game: str, groups: Sequence[Group], theirs: Curves) -> list[int]:
    """Frames at which any of ``groups`` and the published runs were evaluated."""
    return [each for each in theirs.budgets([game]) if any(group.evaluated(game, each) for group in groups)]


def evaluated(curves: Curves, game: str, frames: int) -> list[float]:
    """Score of each seed's network after ``frames``, where ``curves`` has means over all evaluations until then."""
    seeds = curves.raw.get(game, {}).values()
    found = [newest_points(curves.frames, values)[curves.frames == frames] for values in seeds]
    return [float(score) for score in np.array(found).ravel() if isfinite(score)]


def _scores(curves: Curves, game: str, budgets: Sequence[int]) -> list[str]:
    """Evaluations at each budget, and at all but the first the mean until then."""
    single = [", ".join(map(_number, evaluated(curves, game, frames))) for frames in budgets]
    means = (curves.raw_at(game, frames) for frames in budgets[1:])
    return [*single, *(_number(fmean(each.tolist())) if len(each) else "" for each in means)]


def _number(score: float) -> str:
    return f"{score:,.1f}" if abs(score) < 1_000 else f"{score:,.0f}"


def _over_chance(store: Store, record: RunRecord) -> str:
    """Whether the final network's episodes show that it plays better than chance; nothing where none is stored."""
    played = chance(store, record.member.game)
    if played is None:
        return ""
    returns = np.array([each["raw_return"] for each in protocol_evaluation(record)["episodes"]], np.float64)
    p = mean_test(returns, np.array(played.returns[0], np.float64)).p_higher
    return f" above random play (p {p_value(p)})" if p < 0.05 else " not above random play"


def _beyond_bound(record: RunRecord) -> str:
    """How far values have left the range that returns can have; nothing where they never did."""
    bound, rows = value_bound(record.config), record.progress()
    if bound is None or not goes_beyond(rows, bound):
        return ""
    largest = max(row["q_max"] for row in rows if not isnan(row["q_max"]))
    reached = f"reach {largest:.2g}" if largest > bound else "overflow"
    return f", values {reached} where no return can exceed {bound:g}"


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


def _shares(shares: Sequence[float]) -> str:
    return ", ".join(f"{share:.0%}" for share in shares)
