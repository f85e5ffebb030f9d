"""Text from elsewhere inside Markdown: names in foreign files, messages of errors."""

from __future__ import annotations

import re

# Signs that mean something to GitHub's Markdown inside a line; an underscore within a word, as in ms_pacman, does not.
MEANING = re.compile(r"[&<>|\[\]`*~@#$\\]|(?<!\w)_|_(?!\w)|(?<=www)\.|:(?=//)")


def escaped(text: str) -> str:
    """``text`` as text in one line: it breaks no table, and links, mentions, shows and emphasises nothing."""
    return MEANING.sub(lambda sign: f"&#{ord(sign[0])};", " ".join(text.splitlines()))
