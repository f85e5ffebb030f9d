"""The page as HTML: one file that asks the network for nothing and works without its script.

Every value goes through the template's escaping. The script and the style sheet are allowed by their hashes alone, so
that nothing a record holds could run even if it were written into the page.
"""

from __future__ import annotations

import base64
import functools
import hashlib
from datetime import UTC, datetime
from importlib import resources

import jinja2
from markupsafe import Markup

from benchmarks.costs import format_seconds
from benchmarks.page.content import Content
from benchmarks.page.reproduce import origins_of_numbers, steps
from benchmarks.report import format_interval
from dqn_ref.config import format_frames
from dqn_ref.protocols import NATURE

MARK = '<meta name="generator" content="dqn-ref report'  # how an earlier page is known

SYMBOLS = {"pass": "✓", "fail": "✗", "inconclusive": "?", "error": "!"}


def render(content: Content) -> str:
    """The whole page. Equal content gives equal text: no clock is read."""
    css, script = _file("page.css"), _file("page.js")
    # In the order of the page; a chart's key is its place in it.
    charts = {chart.key: chart.hover for chart in (*content.charts.values(), *content.curves)}
    text = (
        _environment()
        .get_template("template.html")
        .render(
            page=content,
            matrix=content.asked.matrix,
            css=Markup(css),
            script=Markup(script),
            policy=_policy(css, script),
            charts=charts,
            steps=steps(content),
            numbers=origins_of_numbers(content),
            paper_frames=NATURE.config.total_frames,
        )
    )
    assert MARK in text
    return text


@functools.cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("benchmarks.page", "."),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.policies["json.dumps_kwargs"] = {"sort_keys": True, "allow_nan": False, "separators": (",", ":")}
    environment.filters |= {
        "raw": lambda value: "-" if value is None else f"{value:,.1f}",
        "share": lambda value: "-" if value is None else f"{value:.3f}",
        "seconds": lambda value: "not recorded" if value is None else format_seconds(value),
        "whole": lambda value: "-" if value is None else f"{value:,.0f}",
        "frames": format_frames,
        "time": _time,
        "interval": format_interval,
        "drawing": Markup,
        "symbol": SYMBOLS.__getitem__,
    }
    return environment


def _time(text: str) -> str:
    """``2026-11-22T12:07:33+00:00`` for a reader; anything else as it is."""
    try:
        return f"{datetime.fromisoformat(text).astimezone(UTC):%Y-%m-%d %H:%M} UTC"
    except ValueError:
        return text


def _policy(css: str, script: str) -> str:
    """The Content-Security-Policy: nothing but this page's own style, script and icon."""
    style_hash, script_hash = (
        base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in (css, script)
    )
    return (
        f"default-src 'none'; style-src 'sha256-{style_hash}'; script-src 'sha256-{script_hash}'; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )


def _file(name: str) -> str:
    return resources.files("benchmarks.page").joinpath(name).read_text(encoding="utf-8")
