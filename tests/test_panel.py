"""What the panel beside a game shows, read back from its pixels."""

import dataclasses
import math

import numpy as np
import pytest

from dqn_ref import panel as module
from dqn_ref.panel import (  # fmt: skip
    BACKGROUND,
    BAR,
    GREEDY,
    PENALTY,
    RANDOM,
    REWARD,
    TEXT,
    TRACK,
    WIDTH,
    Episode,
    Panel,
    clock,
    number,
    spaced,
)

ALL_ACTIONS = [
    "NOOP", "FIRE", "UP", "RIGHT", "LEFT", "DOWN", "UPRIGHT", "UPLEFT", "DOWNRIGHT", "DOWNLEFT", "UPFIRE", "RIGHTFIRE",
    "LEFTFIRE", "DOWNFIRE", "UPRIGHTFIRE", "UPLEFTFIRE", "DOWNRIGHTFIRE", "DOWNLEFTFIRE",
]  # fmt: skip


def episode(**changes) -> Episode:
    """Two steps of a game with four actions: first NOOP, the greedy one, then LEFT, by chance."""
    return Episode(**{
        "title": "Breakout",
        "facts": ("seed 0", "episode 0"),
        "action_names": ["NOOP", "FIRE", "RIGHT", "LEFT"],
        "q": np.array([[4, 2, 1, 0], [-4, 2, 3, -1]], np.float32),
        "actions": np.array([0, 3]),
        "explored": np.array([False, True]),
        "rewards": np.array([7, 0]),
        "seconds_per_step": 4 / 60,
        "ending": "game over",
    } | changes)  # fmt: skip


def count(picture: np.ndarray, colour) -> int:
    return int((picture == colour).all(axis=-1).sum())


def bar_ends(panel: Panel, step: int, action: int, colour) -> tuple[float, float]:
    """Where the bar begins and ends, as shares of the longest possible bar, read below the middle of its row."""
    left, top, width, height = (length * panel._scale for length in panel._boxes[action])
    row = panel.picture(step)[round(top + 0.93 * height), round(left) : round(left + width)]
    filled = np.flatnonzero((row == colour).all(axis=-1))
    longest = width - panel._value_width * panel._scale
    return filled[0] / longest, (filled[-1] + 1) / longest


# ---------------------------------------------------------------------- bars


def test_bars_begin_at_zero_and_end_at_their_value_on_one_scale_for_the_episode():
    """From -4 to 4: zero is in the middle, 2 at three quarters, 1 at five eighths, -1 at three eighths."""
    panel = Panel(episode(), 210, 4)
    assert bar_ends(panel, 0, 1, BAR) == pytest.approx((0.5, 0.75), abs=0.01)
    assert bar_ends(panel, 0, 2, BAR) == pytest.approx((0.5, 0.625), abs=0.01)
    assert bar_ends(panel, 1, 0, BAR) == pytest.approx((0.0, 0.5), abs=0.01)
    assert bar_ends(panel, 1, 3, RANDOM[0]) == pytest.approx((0.375, 0.5), abs=0.01)
    assert bar_ends(panel, 0, 0, GREEDY[0]) == pytest.approx((0.5, 1.0), abs=0.01)


def test_an_action_by_chance_looks_different_and_the_greedy_one_is_outlined_then():
    panel = Panel(episode(), 210, 4)
    greedy, random, over = (panel.picture(step) for step in range(3))
    strip = count(over, GREEDY[0])
    assert count(greedy, GREEDY[0]) > strip / 2
    assert count(greedy, RANDOM[0]) == count(greedy, RANDOM[1]) == 0
    assert min(count(random, RANDOM[0]), count(random, RANDOM[1]), count(random, GREEDY[1])) > 200
    left, top, width, height = (round(4 * length) for length in panel._boxes[2])  # the highest Q then
    assert (random[top, left : left + width] == GREEDY[1]).all()
    assert not (random[top + 2 : top + height - 2, left + 2 : left + width - 2] == GREEDY[1]).all(axis=-1).any()
    assert count(over, RANDOM[0]) == count(over, RANDOM[1]) == count(over, GREEDY[1]) == 0


def test_marks_differ_in_shape_too():
    """For eyes that see no colours: what is bright left of the name."""
    panel = Panel(episode(actions=np.array([0, 0]), explored=np.array([False, True])), 210, 4)
    left, top, _, height = (round(4 * length) for length in panel._boxes[0])
    marks = []
    for step, (_, bright) in ((0, GREEDY), (1, RANDOM)):
        inside = panel.picture(step)[top + 4 : top + height - 4, left + 4 : left + 40]
        marks.append((inside == bright).all(axis=-1))
    assert min(mark.sum() for mark in marks) > 100
    assert (marks[0] != marks[1]).sum() > 50


def test_eighteen_actions_have_a_place_each_inside_the_panel():
    q = np.linspace(-100, 100, 36, dtype=np.float32).reshape(2, 18)
    for height in (210, 250):
        panel = Panel(episode(action_names=ALL_ACTIONS, q=q), height, 2)
        taken = np.zeros((height * 10, WIDTH * 10), int)
        for left, top, width, tall in panel._boxes:
            taken[round(10 * top) : round(10 * (top + tall)), round(10 * left) : round(10 * (left + width))] += 1
            assert tall > 7
        assert taken.max() == 1
        assert taken.sum() == pytest.approx(100 * sum(w * h for _, _, w, h in panel._boxes), rel=0.01)
        assert min(top for _, top, _, _ in panel._boxes) > 80
        assert max(top + tall for _, top, _, tall in panel._boxes) < panel._strip[1] - 8
        assert panel.picture(0).shape == (2 * height, 2 * WIDTH, 3)


def test_nothing_leaves_the_panel():
    """Not even a long title or a score of nine digits: margins stay empty."""
    panel = Panel(episode(title="A game " * 20, facts=("fact " * 50,) * 2, ending="over " * 30,
                          rewards=np.array([123_456_789, -1])), 210, 2)  # fmt: skip
    for step in range(3):
        picture = panel.picture(step)
        for margin in (picture[:, :12], picture[:, -12:], picture[:6], picture[-12:]):
            assert (margin == BACKGROUND).all()


@pytest.mark.parametrize("broken", [math.nan, math.inf, -math.inf, 3e38])
def test_values_of_a_network_that_diverged_can_be_shown(broken):
    q = np.array([[4, 2, 1, 0], [broken, 2, 3, -1]], np.float32)
    panel = Panel(episode(q=q), 210, 2)
    assert all(panel.picture(step).shape == (420, 384, 3) for step in range(3))
    assert Panel(episode(q=np.full((2, 4), broken, np.float32)), 210, 2).picture(0).any()


def test_equal_values_of_zero_have_no_bars():
    picture = Panel(episode(q=np.zeros((2, 4), np.float32)), 210, 2).picture(0)
    assert count(picture, BAR) == 0


# ---------------------------------------------------------------------- numbers


def test_score_and_time_are_those_before_the_step(monkeypatch):
    """What is written, in the order of writing."""
    written = []
    monkeypatch.setattr(Panel, "_text", lambda self, draw, x, y, text, *rest: written.append(text))
    panel = Panel(episode(rewards=np.array([7, -2]), seconds_per_step=60.0), 210, 2)
    said = []
    for step in range(3):
        written.clear()
        panel.picture(step)
        said.append(written[:4])
    assert said == [
        ["0", "0:00.0", "agent step 0 of 2", "greedy"],
        ["7", "1:00.0", "agent step 1 of 2", "random"],
        ["5", "2:00.0", "agent step 2 of 2", "game over"],
    ]
    assert written[4:] == ["NOOP", "-4.000", "FIRE", "2.000", "RIGHT", "3.000", "LEFT", "-1.000"]


def test_numbers_clock_and_names_by_hand():
    assert [number(value, 9.9) for value in (0.12349, -3, math.nan)] == ["0.123", "-3.000", "nan"]
    assert (number(12.344, 20.0), number(12_345.6, 20_000.0)) == ("12.34", "1.23e+04")
    assert [clock(seconds) for seconds in (0, 8.44, 59.96, 61.5, 1_800)] == [
        "0:00.0",
        "0:08.4",
        "1:00.0",
        "1:01.5",
        "30:00.0",
    ]
    assert [spaced(name) for name in ("NOOP", "UPRIGHTFIRE", "DOWNLEFT", "OTHER")] == [
        "NOOP", "UP RIGHT FIRE", "DOWN LEFT", "OTHER",
    ]  # fmt: skip


# ---------------------------------------------------------------------- the strip


def strip_of(panel: Panel, step: int) -> np.ndarray:
    left, top, width, height = (round(panel._scale * length) for length in panel._strip)
    return panel.picture(step)[top : top + height, left : left + width]


def test_the_strip_shows_what_was_and_not_what_comes():
    """Ten steps, the highest Q of each from 1 to 10, with a reward in the third and a penalty in the eighth."""
    q = np.linspace(1, 10, 10, dtype=np.float32)[:, None] - np.array([0, 1, 1, 1], np.float32)
    rewards = np.array([0, 0, 5, 0, 0, 0, 0, -5, 0, 0])
    panel = Panel(episode(q=q, actions=np.zeros(10, int), explored=np.zeros(10, bool), rewards=rewards), 210, 2)
    strip = strip_of(panel, 5)
    width = strip.shape[1]
    now = round(0.5 * (width - 1))
    assert (strip[:, now] == TEXT).all()
    assert (strip[:, now + 2 :] == TRACK).all()
    assert count(strip, REWARD) > 0
    assert count(strip, PENALTY) == 0
    over = strip_of(panel, 10)
    assert count(over, PENALTY) > 0
    heights = (over[:, :-2] == GREEDY[0]).all(axis=-1).sum(axis=0)
    tenth = width / 10
    middles = [heights[int((step + 0.5) * tenth)] for step in range(10)]
    assert np.array(middles) / middles[-1] == pytest.approx(np.linspace(0.1, 1, 10), abs=0.03)


def test_a_long_episode_has_a_column_for_every_stretch_of_it():
    steps = 5_000
    rewards = np.zeros(steps, int)
    rewards[3_212] = 1  # seen though a column is thirteen steps
    q = np.ones((steps, 4), np.float32)
    panel = Panel(episode(q=q, actions=np.zeros(steps, int), explored=np.zeros(steps, bool), rewards=rewards), 210, 2)
    columns = np.flatnonzero((strip_of(panel, steps) == REWARD).all(axis=-1).any(axis=0))
    assert columns.tolist() == [3_212 * panel._curve.width // steps]


def test_panels_are_the_same_whenever_they_are_drawn():
    first, again = Panel(episode(), 210, 3), Panel(episode(), 210, 3)
    later = first.picture(2)
    assert (first.picture(0) == again.picture(0)).all()
    assert (first.picture(2) == later).all()
    other = Panel(dataclasses.replace(episode(), title="Pong"), 210, 3)
    assert (other.picture(0) != first.picture(0)).any()
    assert module.WIDTH % 2 == 0
