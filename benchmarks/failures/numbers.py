"""Numbers as the tables of the failures suite print them."""

from __future__ import annotations

import math


def points(value: float) -> str:
    """Raw points, e.g. ``1,235`` or ``12.3``; ``none`` where there is no number."""
    return f"{value:,.{_decimals(value)}f}" if math.isfinite(value) else "none"


def signed(value: float) -> str:
    """With its sign."""
    return f"{value:+,.{_decimals(value)}f}" if math.isfinite(value) else "none"


def _decimals(value: float) -> int:
    return 0 if abs(value) >= 100 else 1


def p_value(value: float) -> str:
    """Three decimals, never 0; ``none`` where there is no number."""
    if math.isnan(value):
        return "none"
    return f"{value:.3f}" if value >= 0.0005 else "< 0.001"


def share(value: float) -> str:
    """Per cent with two decimals."""
    return f"{value:.2%}" if math.isfinite(value) else "not recorded"


def or_none(value: float) -> float | None:
    """The same; None where it is no finite number, which JSON has not."""
    return value if math.isfinite(value) else None
