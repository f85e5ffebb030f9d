"""How sure a share is that was counted."""

from __future__ import annotations


def exact_interval(hits: int, count: int) -> tuple[float, float]:
    """The 95 % interval of Clopper and Pearson (1934) for the chance of what was seen ``hits`` of ``count`` times."""
    from scipy.stats import binomtest  # a second to import

    interval = binomtest(hits, count).proportion_ci(method="exact")
    return float(interval.low), float(interval.high)
