"""What files say may be anything: made fit to be shown, as one line of text."""

from __future__ import annotations

import json
import unicodedata
from typing import Any

NOT_RECORDED = "not recorded"  # for what a file does not hold at all
UNSHOWABLE = ("Cc", "Cf", "Cs", "Co", "Cn")  # controls, marks that turn the reading direction, lone surrogates


def clean(value: Any) -> str:
    """``value`` as one line of characters that can be shown. Markup in it stays; escaping is the template's."""
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.6g}"
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, sort_keys=True, default=str)
    return "".join("\ufffd" if unicodedata.category(c) in UNSHOWABLE else c for c in " ".join(text.split()))
