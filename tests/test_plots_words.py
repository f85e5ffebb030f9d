"""Text on drawings: whatever a source is called, it fits, nothing covers anything else, and it is written as it is."""

import io
import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import numpy as np
import pytest
from fake_runs import resample_little

from benchmarks.curves import Curves, Measurement
from benchmarks.plots.aggregates import intervals, profile
from benchmarks.plots.curves import efficiency, learning_curves
from benchmarks.plots.games import game_bars, improvement
from benchmarks.plots.shown import Shown
from benchmarks.plots.style import plain_number, save_figure, short_frames, styled
from benchmarks.plots.words import legible, seeds_note, shortened, width_of, wrapped
from benchmarks.suites import suite_games

IMAGES = Path(__file__).parent.parent / "docs" / "images"
SVG = "{http://www.w3.org/2000/svg}"
NAMES = {
    "plain": "a source",
    "script": "<script>alert(1)</script>&amp;\"'>",
    "formula": r"$x_1$ 100 % \frac{$",
    "unclosed": "$\\alpha^{",
    "long": "dqn-with-a-very_long-name/and-no-end-" * 9,
    "one-word": "W" * 300,
    "empty": "",
    "control": "a\x00b\nc\x1b[31m\ud800\u202edrow",
    "attribute": 'id="x" url(#y) href="#z"',
    "underscore": "_hidden",
}
GAMES = suite_games("atari10")[:4]


@pytest.fixture(autouse=True, scope="module")
def little_resampling():
    with pytest.MonkeyPatch.context() as monkeypatch:
        resample_little(monkeypatch)
        monkeypatch.setattr("benchmarks.plots.style.DPI", 50)
        yield


def curves(name, seeds=3, top=20_000.0):
    draw = np.random.default_rng(seeds)
    raw = {game: {seed: draw.uniform(-30, top, 4) for seed in range(seeds)} for game in GAMES}
    return Curves(name, Measurement(returns="training", epsilon=0.01), np.array([1, 2, 5, 10]) * 1_000_000, raw)


KINDS = ("intervals", "profile", "games", "improvement", "learning_curves", "sample_efficiency")


def figures(name, number=2, kinds=KINDS):
    """Drawings of ``number`` sources that are called ``name``, by kind."""
    draw = np.random.default_rng(number)
    rows = [Shown(name, draw.normal(k, 1, (1 + 2 * k, len(GAMES))), f"as {name}") for k in range(number)]
    sources = [curves(name, 1 + 2 * k) for k in range(number)]
    caption = [f"caption of {name}"]
    draw_by_kind = {
        "intervals": lambda: intervals(rows, caption),
        "profile": lambda: profile(rows, caption),
        "games": lambda: game_bars(rows, GAMES, caption),
        "improvement": lambda: improvement(rows[0], rows[-1], GAMES, caption),
        "learning_curves": lambda: learning_curves(sources, GAMES, caption),
        "sample_efficiency": lambda: efficiency(sources, GAMES, caption, mark=2_000_000),
    }
    return {kind: draw_by_kind[kind]() for kind in kinds}


def boxes(svg):
    """Places of all texts of an inlined drawing: text, left, top, right, bottom, in points."""
    found = []
    for element in ElementTree.fromstring(svg).iter(f"{SVG}text"):
        if not (element.text or "").strip():
            continue
        size = float(re.search(r"font-size: ([\d.]+)px", element.get("style"))[1])
        weight = "bold" if "font-weight: 700" in element.get("style") else "normal"
        width = float(element.get("textLength") or width_of(element.text, size, weight))
        anchor = re.search(r"text-anchor: (\w+)", element.get("style"))
        moved = re.search(r"translate\(([-\d.]+)[ ,]+([-\d.]+)\)", element.get("transform", ""))
        x, y = (float(moved[1]), float(moved[2])) if moved else (float(element.get("x")), float(element.get("y")))
        if "rotate(-90" in element.get("transform", ""):
            box = (x - 0.75 * size, y - width / 2, x + 0.2 * size, y + width / 2)
        else:
            x -= {"middle": width / 2, "end": width}.get(anchor[1] if anchor else "start", 0)
            box = (x, y - 0.75 * size, x + width, y + 0.2 * size)
        found.append((element.text, *box))
    return found


def assert_laid_out(svg):
    """Every text is inside the drawing, and none touches another."""
    width, height = map(float, ElementTree.fromstring(svg).get("viewBox").split()[2:])
    found = boxes(svg)
    assert len(found) > 10
    for text, left, top, right, bottom in found:
        assert left >= -0.5, text
        assert right <= width + 0.5, text
        assert top >= -0.5, text
        assert bottom <= height + 0.5, text
    for k, (text, left, top, right, bottom) in enumerate(found):
        for other, left2, top2, right2, bottom2 in found[k + 1 :]:
            apart = right <= left2 + 0.5 or right2 <= left + 0.5 or bottom <= top2 + 0.5 or bottom2 <= top + 0.5
            assert apart, (text, other)


# The labels of the matrix are slanted, and boxes of their whole length and height would cover one another.
STRAIGHT = sorted(path for path in IMAGES.glob("**/*.svg") if path.parent.name != "doctor")


@pytest.mark.parametrize("path", STRAIGHT, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_every_committed_drawing_is_laid_out(path):
    assert_laid_out(path.read_text())


# ---------------------------------------------------------------------- whatever a source is called


@styled
def svg_text(figure):
    """What ``save_figure`` writes."""
    file = io.StringIO()
    figure.savefig(file, format="svg", metadata={"Date": None})
    return file.getvalue()


@pytest.mark.parametrize("name", NAMES)
def test_any_name_fits_and_is_written_as_it_is(name):
    kinds = KINDS if name == "script" else ("intervals", "profile", "improvement")  # the others say no more
    for kind, figure in figures(NAMES[name], kinds=kinds).items():
        svg = svg_text(figure)
        assert_laid_out(svg)
        text = "".join(element.text or "" for element in ElementTree.fromstring(svg).iter(f"{SVG}text"))
        if name in ("script", "formula", "unclosed", "attribute"):
            assert f"caption of {NAMES[name]}" in text, kind
        assert "<script" not in svg


@pytest.mark.parametrize("name", ["script", "formula", "control", "long"])
def test_any_name_can_be_written_to_files(name, tmp_path):
    for path in save_figure(figures(NAMES[name], kinds=["games"])["games"], tmp_path / "games"):
        assert path.stat().st_size > 1_000
    ElementTree.parse(tmp_path / "games.svg")


@pytest.mark.parametrize(("number", "kinds"), [(1, KINDS), (4, KINDS[:4])])
def test_one_source_fits_and_so_do_four(number, kinds):
    for figure in figures("dopamine-dqn-rmsprop-2018", number, kinds).values():
        assert_laid_out(svg_text(figure))


@pytest.mark.parametrize("suite", ["atari3", "atari10", pytest.param("atari57", marks=pytest.mark.slow)])
def test_few_games_fit_and_so_do_all(suite):
    games = suite_games(suite)
    rows = [Shown("ours", np.random.default_rng(0).normal(0, 3, (2, len(games))))]
    frames = np.array([1, 100, 200]) * 1_000_000
    raw = {game: {0: np.array([-1e6, 0.5, 1e6])} for game in games}
    source = Curves("ours", Measurement(), frames, raw)
    for figure in (game_bars(rows, games, []), learning_curves([source], games, [])):
        assert_laid_out(svg_text(figure))


@pytest.mark.parametrize(
    "scores", [np.zeros((2, 4)), np.full((1, 4), -0.001), np.geomspace(1e-4, 1e3, 8).reshape(2, 4)]
)
def test_scores_of_any_size_fit(scores):
    row = Shown("ours", scores)
    for figure in (intervals([row, row], []), profile([row], []), game_bars([row], GAMES, [])):
        assert_laid_out(svg_text(figure))


# ---------------------------------------------------------------------- the pieces


def test_lines_are_no_wider_than_asked_for_and_lose_nothing_but_what_fits_no_line():
    text = "some words, a-hyphenated_name/with-parts and 1,000 more -5 words"
    lines = wrapped(text, 80, 9)
    assert len(lines) > 3
    assert all(width_of(line, 9) <= 80 for line in lines)
    assert re.sub(r"\s", "", "".join(lines)) == re.sub(r"\s", "", text)
    assert not any(line.endswith(" -") for line in lines)  # a sign stays with its number
    assert wrapped("W" * 100, 80, 9)[0].endswith("W…")
    assert wrapped(text, 80, 9, most=2)[1].endswith("…")
    assert len(wrapped(text, 80, 9, most=2)) == 2
    assert wrapped("", 80, 9) == []


@pytest.mark.parametrize("points", [3, 20, 57, 1_000])
def test_a_shortened_text_is_as_long_as_fits(points):
    text = "dopamine-dqn-rmsprop-2018"
    found = shortened(text, points, 9)
    if found == text:
        assert width_of(text, 9) <= points
    else:
        kept = found.removesuffix("…")
        assert text.startswith(kept)
        assert width_of(text[: len(kept) + 1] + "…", 9) > points
        assert width_of(found, 9) <= points or kept == ""


def test_letters_are_as_wide_as_their_font_says():
    """DejaVu Sans: an em has 2048 units, m 1995 and i 569 of them."""
    assert width_of("mmmm", 10) == pytest.approx(4 * 10 * 1995 / 2048, abs=0.3)
    assert width_of("iiii", 10) == pytest.approx(4 * 10 * 569 / 2048, abs=0.8)
    assert width_of("mm", 10, "bold") > width_of("mm", 10)


def test_characters_that_no_file_may_hold_are_replaced():
    assert legible("a\x00b\nc\ud800d") == "a\ufffdb\ufffdc\ufffdd"
    assert legible("Q*bert ε ✓") == "Q*bert ε ✓"


def test_numbers_are_plain():
    assert [plain_number(value) for value in (1500, 0.1 + 0.2, -2.0, 1e6)] == ["1,500", "0.3", "\u22122", "1,000,000"]
    assert [short_frames(value) for value in (0, 1600, 2.5e6, 2e8)] == ["0", "1.6k", "2.5M", "200M"]


def test_what_intervals_of_few_seeds_are_worth_is_said():
    assert seeds_note([10, 12]) == ""
    assert seeds_note([2, 10, 1, 2]) == "1 seed: no interval; 2 seeds: these intervals are too narrow."
