"""Text from elsewhere in Markdown stays text: a renderer tells, or a hand where GitHub has rules of its own."""

import html
import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from benchmarks.markdown import escaped

RENDERER = MarkdownIt("commonmark").enable(["table", "strikethrough"])


@given(st.text(st.characters(exclude_categories=["C", "Z"]) | st.sampled_from("`*_~|[]()<>&#!\\x ")))
@example("a|b <script> ![x](y) **b** `c` ~~s~~ &amp; \\| <https://e.com> _i_")
@example("__0__")
def test_a_cell_shows_what_was_given_and_nothing_more(text):
    shown = re.search("<td>(.*?)</td>", RENDERER.render(f"| a |\n|---|\n| x{escaped(text)}x |\n"), re.DOTALL)
    assert "<" not in shown[1]
    assert html.unescape(shown[1]) == f"x{' '.join(text.splitlines())}x"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("@everyone #12", "&#64;everyone &#35;12"),  # neither a mention nor a link to an issue
        ("see http://e.com", "see http&#58;//e.com"),  # GitHub makes links of bare addresses
        ("www.e.com", "www&#46;e.com"),
        ("$x$", "&#36;x&#36;"),  # nor formulas
        ("two\nlines", "two lines"),
        (
            "ms_pacman: p = .003, -0.1 (2 of 3)",
            "ms_pacman: p = .003, -0.1 (2 of 3)",
        ),  # readable raw
    ],
)
def test_what_only_github_would_make_something_of(text, expected):
    assert escaped(text) == expected
