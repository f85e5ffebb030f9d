"""Is it learning at all? Returns against the random policy, and late against early ones."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from benchmarks.doctor.verdicts.bars import (
    BARS,
    FEWEST_EPISODES,
    FRAMES_TO_TELL,
    LEARNING_P,
    SHORT_FRAMES_TO_TELL,
    SHORT_SCHEDULES,
)
from benchmarks.doctor.verdicts.log import Log
from benchmarks.doctor.verdicts.quantities import setting
from benchmarks.reference import human_and_random
from dqn_ref.protocols import NATURE

Status = Literal["learning", "rising", "scoring", "not learning", "unknown"]


@dataclass(frozen=True)
class Learning:
    """What the returns say."""

    status: Status
    words: str
    late_mean: float | None = None  # raw return of the last quarter of the frames
    first_mean: float | None = None  # and of the first
    random: float | None = None
    normalised: float | None = None  # late, 0 is random and 1 human
    p_above_random: float | None = None
    p_rising: float | None = None

    @property
    def shown(self) -> bool:
        """Whether learning is shown, by level or by trend."""
        return self.status in ("learning", "rising")


def learning(log: Log) -> Learning:
    """What the returns of ``log`` say: one-sided tests at LEARNING_P, of late returns against random, and of trend."""
    anchors = human_and_random().get(log.game or "")
    frames, returns, independent = _returns(log)
    if not len(returns):
        return Learning("unknown", "Cannot tell whether it learns: the log has no returns of episodes.")
    start, end = log.frames_done / 4, 3 * log.frames_done / 4
    first, late = returns[frames <= start], returns[frames > end]
    means = {
        "late_mean": float(np.mean(late)) if len(late) else None,
        "first_mean": float(np.mean(first)) if len(first) else None,
        "random": anchors.random if anchors else None,
        "normalised": anchors.normalise(float(np.mean(late))) if anchors and len(late) else None,
    }
    if len(late) < FEWEST_EPISODES:
        words = f"Cannot tell whether it learns: {len(late)} returns in the last quarter, {FEWEST_EPISODES} are needed."
        return Learning("unknown", words, **means)
    if not independent:
        return _of_means(first, late, anchors.random if anchors else None, means)
    above = _p_above(late, anchors.random) if anchors else None
    rising = _p_rising(first, late) if len(first) >= FEWEST_EPISODES else None
    return _explained(log, _tested(log, len(late), above, rising, means))


def _explained(log: Log, found: Learning) -> Learning:
    """``found``, unless its values explain next to nothing: then a score above random play is no sign of learning.

    Early in training one action is greedy nearly everywhere, and which one it is changes with the updates. To hold an
    action for a while earns more than to jitter, in some games twice as much, whatever the rewards are.
    """
    series = log.series.get("td_error_ratio")
    late = series.after(2 * log.frames_done // 3).finite().values if series else np.zeros(0)
    if not found.shown or not len(late) or not (ratio := float(np.median(late))) > BARS["unexplained"].at:
        return found
    why = (
        f"But its values explain {max(0.0, 1 - ratio):.0%} of the variance of their targets, so this need not be "
        "learning: a greedy action that is held for a while, whichever it is, can score as much."
    )
    said = found.words.replace("It is learning:", "Returns are above random play:")
    return replace(found, status="scoring", words=f"{said} {why}")


def _returns(log: Log) -> tuple[NDArray[np.int64], NDArray[np.float64], bool]:
    """Frames, returns, and whether each is that of one episode."""
    if log.episodes is not None and len(log.episodes):
        return log.episodes.frames, log.episodes.returns, True
    if "mean_return" in log.series:
        means = log.series["mean_return"].finite()
        return means.frames, means.values, False
    return np.zeros(0, np.int64), np.zeros(0), True


def _tested(
    log: Log, episodes: int, above: float | None, rising: float | None, means: dict[str, float | None]
) -> Learning:
    late, random, score = means["late_mean"], means["random"], means["normalised"]
    against = "the game is not known, so there is no random policy to compare with; give --game"
    if above is not None and random is not None and score is not None:
        against = f"random play has {random:,.1f} (one-sided p {above:.2g}; human-normalised {score:.3f})"
    trend = (
        "too few early episodes for a trend"
        if rising is None
        else (f"the first quarter has {means['first_mean']:,.1f} (one-sided p of a rise {rising:.2g})")
    )
    figures = f"mean return {late:,.1f} over {episodes} episodes of the last quarter; {against}; {trend}"
    p = {"p_above_random": above, "p_rising": rising}
    if above is not None and above < LEARNING_P:
        return Learning("learning", f"It is learning: {figures}.", **means, **p)
    if rising is not None and rising < LEARNING_P:
        level = " though not shown to be above random play" if above is not None else ""
        return Learning("rising", f"Returns are rising{level}: {figures}.", **means, **p)
    if above is None and rising is None:
        return Learning("unknown", f"Cannot tell whether it learns: {figures}.", **means, **p)
    below = ""
    if late is not None and random is not None and late < random:
        below = " Early DQNs are often below random play: they repeat one action." if early(log) else ""
    return Learning("not learning", f"No learning is shown: {figures}.{below}", **means, **p)


def _of_means(
    first: NDArray[np.float64], late: NDArray[np.float64], random: float | None, means: dict[str, float | None]
) -> Learning:
    """From running means, which are not independent: no test, so a plain comparison that says what it is."""
    words = f"running means of returns only, so no test; last quarter {np.mean(late):,.1f}"
    rises = len(first) > 0 and float(np.min(late)) > float(np.max(first))
    if len(first):
        words += f", first {np.mean(first):,.1f}"
    if random is None:
        words += "; the game is not known, give --game"
    else:
        words += f"; random play has {random:,.1f}"
    if rises and (random is None or float(np.min(late)) > random):
        status: Status = "rising" if random is None else "learning"
        return Learning(status, f"It seems to learn ({words}).", **means)
    if random is None and not len(first):
        return Learning("unknown", f"Cannot tell whether it learns ({words}).", **means)
    return Learning("not learning", f"No learning is shown ({words}).", **means)


def _p_above(values: NDArray[np.float64], level: float) -> float:
    """One-sided p of the mean of ``values`` being no higher than ``level``: t test, exact where all are equal."""
    if np.ptp(values) == 0:
        return 0.0 if values[0] > level else 1.0
    from scipy.stats import ttest_1samp

    return float(ttest_1samp(values, level, alternative="greater").pvalue)


def _p_rising(first: NDArray[np.float64], late: NDArray[np.float64]) -> float:
    """One-sided p of late returns being no higher than first ones: Mann-Whitney."""
    if np.ptp(np.concatenate([first, late])) == 0:
        return 1.0
    from scipy.stats import mannwhitneyu

    return float(mannwhitneyu(late, first, alternative="greater").pvalue)


# ---------------------------------------------------------------------- is it too early?


def frames_to_tell(log: Log) -> int:
    """Frames from which a score tells failure from an early stage."""
    span, start = setting(log, "epsilon_span_agent_steps"), setting(log, "replay_start_agent_steps")
    if np.isnan(span) or span >= NATURE.config.epsilon_span_agent_steps:
        return FRAMES_TO_TELL
    per_step = setting(log, "frames_per_agent_step")
    rest = (span + (0 if np.isnan(start) else start)) * (4 if np.isnan(per_step) else per_step)
    return int(min(FRAMES_TO_TELL, max(SHORT_FRAMES_TO_TELL, SHORT_SCHEDULES * rest)))


def early(log: Log) -> bool:
    """Whether ``log`` ends before a score could tell."""
    return log.frames_done < frames_to_tell(log)
