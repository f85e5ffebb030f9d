"""What lint and verdicts say of every finished run of the failures suite, and what would be right.

Lint sees the configuration alone. Verdicts see the log and, of the settings, only those that no variant changes: with
the discount among them a sign would read gamma-0.5 off its setting, and a reward clip gives itself away alike. What is
lost without the two is every bound made of them, so the cause values-diverge and a second sign of overestimation and of
reward-scale cannot be looked at.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from benchmarks.doctor.verdicts import diagnose, read_log
from benchmarks.doctor.verdicts.causes import BY_ID
from benchmarks.doctor.verdicts.diagnosis import Confidence, Diagnosis
from benchmarks.failures.variants import VARIANTS
from benchmarks.store import Store
from dqn_ref.config import UserError
from dqn_ref.lint import Setup, lint
from dqn_ref.provenance import machine_words, source_words
from dqn_ref.records import RunRecord

KEPT_SETTINGS = ("frames_per_agent_step", "total_frames")
CONFIDENCE: Confidence = "moderate"  # a cause that is shown less surely is not counted as named
NOTHING = "nothing"

# (variant, game, seed) of the runs that the bars of the verdicts were set on; no other was looked at before.
TUNED_GROUP = "early-v1-100k"
TUNED_ON = frozenset({
    ("reference", "ms_pacman", 0), ("reference", "ms_pacman", 3), ("flat-mlp", "ms_pacman", 0),
    ("no-target-network", "ms_pacman", 0), ("no-replay", "ms_pacman", 0), ("tiny-replay", "ms_pacman", 0),
    ("single-frame", "ms_pacman", 0), ("slow-epsilon", "ms_pacman", 0),
})  # fmt: skip
TUNED_GAMES = frozenset(game for _, game, _ in TUNED_ON)

# Bellemare et al. 2016, Unifying Count-Based Exploration and Intrinsic Motivation, Table 1: hard exploration, sparse
# reward. There a sound agent lacks rewards, and to be told so is right: such runs are told of apart.
SPARSE_GAMES = frozenset({
    "freeway", "gravitar", "montezuma_revenge", "pitfall", "private_eye", "solaris", "venture"
})  # fmt: skip


@dataclass(frozen=True)
class RightNames:
    """What would be a right answer to a fault: any of these."""

    lint: tuple[str, ...]  # rules
    log: tuple[str, ...]  # causes; none where no cause that verdicts know stands for the fault


RIGHT: Mapping[str, RightNames] = MappingProxyType({
    # Its log holds a reward in every transition; no cause looks for that, which a game may have too.
    "constant-reward": RightNames(("rewards-constant",), ()),
    "flat-mlp": RightNames(("network",), ()),
    "half-width": RightNames(("network",), ()),
    "single-frame": RightNames(("frames-seen",), ()),
    "no-target-network": RightNames(("target-not-behind",), ("no-target-lag",)),
    "no-replay": RightNames(("replay-tiny", "warm-up-above-replay"), ("correlated-batches",)),
    "tiny-replay": RightNames(("replay-tiny", "warm-up-above-replay"), ("correlated-batches",)),
    "fast-epsilon": RightNames(("exploration-ends-early",), ("exploration-too-short",)),
    "slow-epsilon": RightNames(("exploration-outlasts-run",), ("exploration-too-long",)),
    "no-exploration": RightNames(("exploration-none",), ("no-exploration",)),
    "gamma-0.9": RightNames(("horizon-short",), ("horizon-too-short",)),
    "gamma-0.5": RightNames(("horizon-short",), ("horizon-too-short",)),
    "gamma-0.999": RightNames(("horizon-long",), ()),
    "lr-x10": RightNames(("learning-rate",), ("learning-rate-too-high",)),
    "lr-div10": RightNames(("learning-rate",), ("learning-rate-too-low",)),
    "mse-unclipped": RightNames(("errors-not-clipped",), ("unclipped-errors",)),
    "rmsprop-eps-outside": RightNames(("floor-outside-root",), ("learning-rate-too-high",)),
    "no-reward-clip": RightNames(("rewards-not-clipped",), ("reward-scale",)),
    "life-loss-not-terminal": RightNames(("life-loss",), ("terminals-odd",)),
    "article-bare": RightNames(
        ("replay-tiny", "exploration-none", "target-not-behind", "frames-seen", "network"),
        ("correlated-batches", "no-exploration", "no-target-lag", "learning-rate-too-high"),
    ),
    "article-replay-target": RightNames(
        ("target-not-behind", "replay-tiny", "update-rate", "learning-rate"),
        ("no-target-lag", "correlated-batches", "learning-rate-too-high"),
    ),
    "article-epsilon": RightNames(("exploration-outlasts-run", "exploration-ends-early"), ("exploration-too-long",)),
    "article-epsilon-default": RightNames(("exploration-ends-early", "exploration-end"), ("exploration-too-short",)),
    "unscaled-input": RightNames(("input-scale",), ("unscaled-input",)),
})  # fmt: skip


@dataclass(frozen=True)
class DiagnosedRun:
    """What the doctor says of one run."""

    group: str
    variant: str
    game: str
    seed: int
    lint: tuple[str, ...]  # rules that give errors and warnings, the gravest first
    hints: tuple[str, ...]  # rules that give hints
    causes: tuple[str, ...]  # named with CONFIDENCE and not explained by others that are, likeliest first
    origin: tuple[str, str] = ("", "")  # machine and source revision, in words

    @property
    def tuned(self) -> bool:
        """Whether the bars were set on this run."""
        return self.group == TUNED_GROUP and (self.variant, self.game, self.seed) in TUNED_ON

    @property
    def sparse(self) -> bool:
        """Whether its game hardly ever gives a reward."""
        return self.game in SPARSE_GAMES

    @property
    def healthy(self) -> bool:
        """Whether no fault was put in: the reference, or what others choose otherwise."""
        return self.variant not in RIGHT

    @property
    def first(self) -> str:
        """The cause that is named first, or NOTHING."""
        return self.causes[0] if self.causes else NOTHING

    @property
    def names_fault(self) -> bool:
        """Whether a cause is named that is more than a symptom."""
        return any(BY_ID[cause].kind != "symptom" for cause in self.causes)

    @property
    def names_symptom_alone(self) -> bool:
        """Whether nothing but symptoms is named."""
        return bool(self.causes) and not self.names_fault


def look(store: Store) -> list[DiagnosedRun]:
    """Every finished run of the failures suite, by group, variant and place.

    Raises:
        UserError: there is none, or a record is broken.
    """
    found = finished(store)
    if not found:
        raise UserError(
            f"{store.root / 'failures'} holds no finished run. Make some: python -m benchmarks failures run."
        )
    return found


def finished(store: Store) -> list[DiagnosedRun]:
    """The same, and empty if there is none. Raises UserError: a record is broken."""
    found = list[DiagnosedRun]()
    for path in sorted((store.root / "failures").glob("*/*/*-s*/run.json")):
        group, variant = path.parts[-4:-2]
        if variant not in VARIANTS:
            continue  # of an older version
        record = RunRecord.read(path.parent)
        if record.status == "finished":
            found.append(_looked(group, variant, record))
    order = {name: place for place, name in enumerate(VARIANTS)}
    return sorted(found, key=lambda each: (each.group, order[each.variant], each.game, each.seed))


def _looked(group: str, variant: str, record: RunRecord) -> DiagnosedRun:
    findings = lint(Setup.of(record.config)).findings
    provenance = record.provenances[0]
    return DiagnosedRun(
        group=group,
        variant=variant,
        game=record.member.game,
        seed=record.member.seed,
        lint=tuple(each.rule for each in findings if each.severity != "hint"),
        hints=tuple(each.rule for each in findings if each.severity == "hint"),
        causes=confident(diagnose(read_log(record.folder).without_settings(*KEPT_SETTINGS))),
        origin=(machine_words(provenance.get("machine", {})), source_words(provenance.get("source", {}))),
    )


def confident(diagnosis: Diagnosis) -> tuple[str, ...]:
    """The causes that are named: shown with CONFIDENCE or more, and not explained by another that is."""
    return tuple(each.cause.id for each in diagnosis.at_least(CONFIDENCE) if not each.explained_by)
