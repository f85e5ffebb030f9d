"""How often the doctor is right: counts over the runs that nothing was set on, with exact intervals."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from benchmarks.doctor.confusion.runs import NOTHING, RIGHT, DiagnosedRun
from benchmarks.doctor.verdicts.causes import BY_ID
from benchmarks.failures.variants import VARIANTS
from benchmarks.shares import exact_interval


@dataclass(frozen=True)
class Rate:
    """So many of so many runs."""

    hits: int
    runs: int

    @classmethod
    def of(cls, runs: Collection[DiagnosedRun], holds: Callable[[DiagnosedRun], bool]) -> Rate:
        """Of how many of ``runs`` something ``holds``."""
        return cls(sum(map(holds, runs)), len(runs))

    @property
    def interval(self) -> tuple[float, float] | None:
        """Clopper and Pearson's exact 95 % interval of the share; None of no run."""
        return exact_interval(self.hits, self.runs) if self.runs else None

    def words(self) -> str:
        """``3 of 10 (30 %, 95 % interval 7 % to 65 %)``."""
        if self.interval is None:
            return "0 of 0"
        low, high = (f"{100 * bound:.0f} %" for bound in self.interval)
        return f"{self.hits} of {self.runs} ({100 * self.hits / self.runs:.0f} %, 95 % interval {low} to {high})"


@dataclass(frozen=True)
class ConfusionMatrix:
    """Faults down, the first-named cause across, counts of runs."""

    rows: tuple[str, ...]  # variants, in the order of VARIANTS
    columns: tuple[str, ...]  # causes that occur, in the order of the verdicts' table, and NOTHING
    counts: tuple[tuple[int, ...], ...]  # [rows][columns]


@dataclass(frozen=True)
class Rates:
    """All rates of verdicts, over runs."""

    healthy_fault: Rate  # false alarms: a fault named in a run that has none
    healthy_symptom: Rate  # false alarms too: only symptoms named
    healthy_lint: Rate  # an error or warning
    right_first: Rate  # of runs with a fault that a cause stands for
    right_named: Rate
    wrong_alone: Rate  # something named, none of it right
    passed: Rate  # nothing named
    unknown_fault: Rate  # of runs with a fault that no cause stands for: a fault named, so a wrong one
    unknown_symptom: Rate  # only symptoms


def held_out(looked: Sequence[DiagnosedRun]) -> list[DiagnosedRun]:
    """Those that the bars of the verdicts were not set on, of games that give rewards to learn from."""
    return [each for each in looked if not each.tuned and not each.sparse]


def answers(variant: str) -> tuple[str, ...]:
    """What may rightly be named first: NOTHING without a fault; no answer where no cause stands for the fault."""
    return RIGHT[variant].log if variant in RIGHT else (NOTHING,)


def first_right(each: DiagnosedRun) -> bool:
    """Whether the first-named cause is right; without a fault, whether there is none."""
    return each.first in answers(each.variant)


def named_right(each: DiagnosedRun) -> bool:
    """Whether a right cause is among those named; without a fault, whether none is named."""
    return bool({*(each.causes or (NOTHING,))} & set(answers(each.variant)))


def confusion_matrix(looked: Sequence[DiagnosedRun]) -> ConfusionMatrix:
    """Of the held-out runs in ``looked``."""
    runs = held_out(looked)
    counts = Counter((each.variant, each.first) for each in runs)
    rows = tuple(name for name in VARIANTS if any(each.variant == name for each in runs))
    columns = tuple(name for name in (*BY_ID, NOTHING) if name == NOTHING or any(each.first == name for each in runs))
    return ConfusionMatrix(rows, columns, tuple(tuple(counts[row, column] for column in columns) for row in rows))


def rates(looked: Sequence[DiagnosedRun]) -> Rates:
    """Of the held-out runs in ``looked``."""
    runs = held_out(looked)
    healthy = [each for each in runs if each.healthy]
    known = [each for each in runs if not each.healthy and RIGHT[each.variant].log]
    unknown = [each for each in runs if not each.healthy and not RIGHT[each.variant].log]
    return Rates(
        healthy_fault=Rate.of(healthy, lambda each: each.names_fault),
        healthy_symptom=Rate.of(healthy, lambda each: each.names_symptom_alone),
        healthy_lint=Rate.of(healthy, lambda each: bool(each.lint)),
        right_first=Rate.of(known, first_right),
        right_named=Rate.of(known, named_right),
        wrong_alone=Rate.of(known, lambda each: bool(each.causes) and not named_right(each)),
        passed=Rate.of(known, lambda each: not each.causes),
        unknown_fault=Rate.of(unknown, lambda each: each.names_fault),
        unknown_symptom=Rate.of(unknown, lambda each: each.names_symptom_alone),
    )


def lint_finds(looked: Sequence[DiagnosedRun]) -> dict[str, tuple[str, ...]]:
    """Which faults lint names by a right rule: ``warned`` of, ``hinted`` at only, or ``missed``.

    Of all runs: its rules look at no log, and were set on none. The faults of several groups are so only if in all.
    """
    answer: dict[str, tuple[str, ...]] = {"warned": (), "hinted": (), "missed": ()}
    for name, names in RIGHT.items():
        own = [each for each in looked if each.variant == name]
        if not own:
            continue
        warned = all(set(each.lint) & set(names.lint) for each in own)
        hinted = all({*each.lint, *each.hints} & set(names.lint) for each in own)
        answer["warned" if warned else "hinted" if hinted else "missed"] += (name,)
    return answer
