"""What files say may be anything: made fit to be shown, as one line of text."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from typing import Any

NOT_RECORDED = "not recorded"  # for what a file does not hold at all
DEEPEST = 4  # what is nested deeper is not spelled out
UNSHOWABLE = ("Cc", "Cf", "Cs", "Co", "Cn")  # controls, marks that turn the reading direction, lone surrogates


def clean(value: Any, depth: int = 0) -> str:
    """``value`` as one line of characters that can be shown. Markup in it stays; escaping is the template's."""
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.6g}" if depth == 0 else f"{value:.3g}"
    if isinstance(value, Mapping | list | tuple) and (depth == DEEPEST or not value):
        return "..." if value else "none"
    if isinstance(value, Mapping):
        return ", ".join(f"{clean(name)} {clean(each, depth + 1)}" for name, each in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(clean(each, depth + 1) for each in value)
    return "".join("\ufffd" if unicodedata.category(c) in UNSHOWABLE else c for c in " ".join(str(value).split()))
