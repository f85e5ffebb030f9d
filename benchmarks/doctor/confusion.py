"""Does the doctor name the fault? Runs into which a fault was put, beside what lint and verdicts say of them.

Lint sees the configuration alone; verdicts are given the log alone, without a setting, so that neither helps the
other. The bars of the verdicts were set on the runs of TUNED_ON; no other run was looked at before they were set.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from benchmarks.doctor.verdicts import diagnose, read_log
from benchmarks.doctor.verdicts.diagnosis import Diagnosis
from benchmarks.failures.variants import REFERENCE, VARIANTS
from benchmarks.store import Store
from dqn_ref.config import UserError
from dqn_ref.lint import warnings_of
from dqn_ref.records import RunRecord

TUNED_ON = frozenset({("ms_pacman", 0)})  # (game, seed) of the development runs
NOTHING = "nothing"


@dataclass(frozen=True)
class Names:
    """What would be a right answer to a fault: any of these."""

    lint: tuple[str, ...]  # rules
    log: tuple[str, ...]  # causes; none where a log of scalars cannot show the fault


RIGHT: Mapping[str, Names] = MappingProxyType({
    "flat-mlp": Names(("network",), ()),
    "half-width": Names(("network",), ()),
    "single-frame": Names(("frames-seen",), ()),
    "no-target-network": Names(("target-not-behind",), ("no-target-lag",)),
    "no-replay": Names(("replay-tiny", "warm-up-above-replay"), ("correlated-batches",)),
    "tiny-replay": Names(("replay-tiny", "warm-up-above-replay"), ("correlated-batches",)),
    "fast-epsilon": Names(("exploration-ends-early",), ("exploration-too-short",)),
    "slow-epsilon": Names(("exploration-outlasts-run",), ("exploration-too-long",)),
    "no-exploration": Names(("exploration-none",), ("no-exploration",)),
    "gamma-0.9": Names(("horizon-short",), ("horizon-too-short",)),
    "gamma-0.5": Names(("horizon-short",), ("horizon-too-short",)),
    "gamma-0.999": Names(("horizon-long",), ()),
    "lr-x10": Names(("learning-rate",), ("learning-rate-too-high",)),
    "lr-div10": Names(("learning-rate",), ("learning-rate-too-low",)),
    "mse-unclipped": Names(("errors-not-clipped",), ("unclipped-errors",)),
    "rmsprop-eps-outside": Names(("floor-outside-root",), ("learning-rate-too-high",)),
    "no-reward-clip": Names(("rewards-not-clipped",), ("reward-scale",)),
    "life-loss-not-terminal": Names(("life-loss",), ("terminals-odd",)),
    "article-bare": Names(
        ("replay-tiny", "exploration-none", "target-not-behind", "frames-seen", "network"),
        ("correlated-batches", "no-exploration", "no-target-lag", "learning-rate-too-high"),
    ),
    "article-replay-target": Names(
        ("target-not-behind", "replay-tiny", "update-rate", "learning-rate"),
        ("no-target-lag", "correlated-batches", "learning-rate-too-high"),
    ),
    "article-epsilon": Names(("exploration-outlasts-run", "exploration-ends-early"), ("exploration-too-long",)),
    "article-epsilon-default": Names(("exploration-ends-early", "exploration-end"), ("exploration-too-short",)),
    "unscaled-input": Names(("input-scale",), ("unscaled-input",)),
})  # fmt: skip


@dataclass(frozen=True)
class Looked:
    """What the doctor says of one run."""

    variant: str
    game: str
    seed: int
    lint: tuple[str, ...]  # rules that warn, the gravest first
    causes: tuple[str, ...]  # that the log shows with confidence, likeliest first

    @property
    def tuned(self) -> bool:
        """Whether the bars were set on this run."""
        return (self.game, self.seed) in TUNED_ON

    @property
    def first(self) -> str:
        """The cause that the log is said to show first."""
        return self.causes[0] if self.causes else NOTHING


def look(store: Store) -> list[Looked]:
    """Every finished run of the failures suite, looked at by lint and by the verdicts. Raises UserError: none."""
    found = list[Looked]()
    for path in sorted((store.root / "failures").glob("*/*/*/run.json")):
        variant = path.parts[-3]
        record = RunRecord.read(path.parent)
        if variant in VARIANTS and record.status == "finished":
            rules = tuple(finding.rule for finding in warnings_of(record.config))
            causes = confident(diagnose(read_log(path.parent).without_settings()))
            found.append(Looked(variant, record.member.game, record.member.seed, rules, causes))
    if not found:
        raise UserError(f"{store.root / 'failures'} holds no run; make some: python -m benchmarks failures run.")
    return found


def confident(diagnosis: Diagnosis) -> tuple[str, ...]:
    """The causes that are more than weakly shown, and that no other of them explains."""
    return tuple(each.cause.id for each in diagnosis.at_least("moderate") if not each.explained_by)


# ---------------------------------------------------------------------- tables


def markdown(looked: Sequence[Looked]) -> str:
    """Faults put in by faults diagnosed, on the runs that the bars were not set on."""
    runs = [each for each in looked if not each.tuned]
    lines = ["| put in | runs | lint warns of | first in the log (runs) | right cause first | right cause named |",
             "|---|---:|---|---|---:|---:|"]  # fmt: skip
    for name in VARIANTS:
        own = [each for each in runs if each.variant == name]
        if not own:
            continue
        first = Counter(each.first for each in own)
        shown = ", ".join(f"{cause} ({count})" for cause, count in first.most_common())
        lines.append(
            f"| {name} | {len(own)} | {', '.join(own[0].lint) or NOTHING} | {shown} | "
            f"{_of(own, first_right)} | {_of(own, named_right)} |"
        )
    return "\n".join(lines) + "\n"


def first_right(each: Looked) -> bool:
    """Whether the log's first cause is right; of the reference, whether there is none."""
    return each.first == NOTHING if each.variant == REFERENCE.name else each.first in RIGHT[each.variant].log


def named_right(each: Looked) -> bool:
    """Whether the right cause is among those named."""
    if each.variant == REFERENCE.name:
        return not each.causes
    return bool(set(each.causes) & set(RIGHT[each.variant].log))


def _of(runs: Sequence[Looked], right: object) -> str:
    assert callable(right)
    if runs[0].variant != REFERENCE.name and not RIGHT[runs[0].variant].log:
        return "a log cannot show it"
    return f"{sum(map(right, runs))} of {len(runs)}"


def summary(looked: Sequence[Looked]) -> str:
    """The rates in sentences."""
    runs = [each for each in looked if not each.tuned]
    healthy = [each for each in runs if each.variant == REFERENCE.name]
    faulty = [each for each in runs if each.variant != REFERENCE.name]
    visible = [each for each in faulty if RIGHT[each.variant].log]
    variants = {each.variant for each in faulty}
    warned = [name for name in variants if set(_rules(faulty, name)) & set(RIGHT[name].lint)]
    games = ", ".join(sorted({each.game for each in runs}))
    tuned = ", ".join(f"{game} seed {seed}" for game, seed in sorted(TUNED_ON))
    return (
        f"{len(runs)} runs on {games}; the bars were set on {tuned} alone, which is not counted.\n\n"
        f"- **False alarms:** of {len(healthy)} healthy runs, {sum(bool(each.causes) for each in healthy)} were said "
        f"to have something wrong by their log, {sum(bool(each.lint) for each in healthy)} by lint.\n"
        f"- **Lint** warns of {len(warned)} of the {len(variants)} faults by the right rule.\n"
        f"- **Verdicts**, from the log alone: of {len(visible)} runs with a fault that a log can show, the right cause "
        f"is first in {sum(map(first_right, visible))} and named in {sum(map(named_right, visible))}; "
        f"{sum(not each.causes for each in visible)} pass as healthy.\n"
        f"- A log cannot show {len({e.variant for e in faulty} - {e.variant for e in visible})} of the faults "
        "(the network's form, what it is shown, a long horizon): lint and probes can.\n"
    )


def _rules(runs: Sequence[Looked], variant: str) -> tuple[str, ...]:
    return next(each.lint for each in runs if each.variant == variant)
