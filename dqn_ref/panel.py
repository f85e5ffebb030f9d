"""The panel beside a recorded game: score, time, and a bar for the Q value of each action.

    Breakout                           title
    last network, ...                  facts
    SCORE            TIME
    12               0:08.4
    Q VALUES         greedy | random
    [> FIRE        1.234 ]             a bar from zero for each action, on one scale for the whole episode
    HIGHEST Q        REWARD            the highest bar over the episode, with a mark where there was a reward

What was done by chance differs from what was greedy by colour (of Okabe and Ito's palette, which colour-blind
people tell apart), by its mark, and by a word.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

Colour = tuple[int, int, int]

WIDTH = 192  # in units of one game pixel, as all lengths here
MARGIN = 8
ROWS_IN_COLUMN = 9  # 18 actions stand in two columns

BACKGROUND: Colour = (13, 17, 23)
TRACK: Colour = (24, 31, 40)
BAR: Colour = (58, 72, 90)
TEXT: Colour = (238, 242, 246)
PLAIN: Colour = (204, 212, 220)
FAINT: Colour = (150, 162, 176)
GREEDY: tuple[Colour, Colour] = (0, 94, 148), (86, 180, 233)  # fill, outline
RANDOM: tuple[Colour, Colour] = (150, 76, 0), (230, 159, 0)
REWARD: Colour = (240, 228, 66)
PENALTY: Colour = (204, 121, 167)


@dataclass(frozen=True)
class Episode:
    """What the panel shows of an episode of T agent steps with A actions."""

    title: str
    facts: Sequence[str]  # a line each, two at most
    action_names: Sequence[str]  # A, as the emulator calls them
    q: NDArray[np.float32]  # [T, A]
    actions: NDArray[np.int64]  # [T]
    explored: NDArray[np.bool_]  # [T]
    rewards: NDArray[np.int64]  # [T] raw
    seconds_per_step: float  # of the game
    ending: str  # shown when it is over


def spaced(action_name: str) -> str:
    """``UPRIGHTFIRE`` as ``UP RIGHT FIRE``."""
    return " ".join(re.findall(r"UP|DOWN|LEFT|RIGHT|FIRE|NOOP", action_name)) or action_name


def number(value: float, largest: float) -> str:
    """A Q value with as many digits as its neighbours need, the largest of which is ``largest`` in size."""
    if not np.isfinite(value):
        return str(value)
    return f"{value:.3f}" if largest < 10 else f"{value:.2f}" if largest < 1_000 else f"{value:.3g}"


def clock(seconds: float) -> str:
    """``0:08.4``."""
    tenths = round(seconds * 10)
    return f"{tenths // 600}:{tenths // 10 % 60:02d}.{tenths % 10}"


@cache
def _font(size: float) -> ImageFont.FreeTypeFont:
    font = ImageFont.load_default(size)
    assert isinstance(font, ImageFont.FreeTypeFont)
    return font


class Panel:
    """Draws ``episode`` as pictures [height, WIDTH] times ``scale``, one a state: T in play and the one at the end."""

    def __init__(self, episode: Episode, height: int, scale: int) -> None:
        self.episode = episode
        self._scale = scale
        self._size = WIDTH * scale, height * scale
        q = np.nan_to_num(episode.q.astype(np.float64), nan=0.0, posinf=0.0, neginf=0.0)  # of a network that diverged
        self._low, self._high = min(0.0, float(q.min())), max(0.0, float(q.max()))
        self._largest = max(-self._low, self._high)
        self._shares = (q - self._low) / ((self._high - self._low) or 1.0)  # [T, A] of a bar's length
        self._zero = -self._low / ((self._high - self._low) or 1.0)
        self._scores = np.concatenate([[0], np.cumsum(episode.rewards)])
        self._strip = MARGIN, height - 36, WIDTH - 2 * MARGIN, 28  # left, top, width, height
        self._boxes = self._row_boxes(top=82.5, bottom=height - 47)
        self._letters = min(8.0, 0.72 * self._boxes[0][3])
        texts = [number(limit, self._largest) for limit in (self._low, self._high)]
        longest = max(_font(self._letters * scale).getlength(text) for text in texts)
        self._value_width = longest / scale + 6  # no bar reaches under the values
        self._still, self._curve = self._draw_still(), self._draw_curve()

    # ------------------------------------------------------------------ lengths

    def _row_boxes(self, top: float, bottom: float) -> list[tuple[float, float, float, float]]:
        """Left, top, width and height of the bar of each action."""
        count, gap = len(self.episode.action_names), 4
        columns = -(-count // ROWS_IN_COLUMN)
        rows = -(-count // columns)
        pitch = min(17.0, (bottom - top) / rows)
        width = (WIDTH - 2 * MARGIN - gap * (columns - 1)) / columns
        return [
            (MARGIN + (width + gap) * (action // rows), top + pitch * (action % rows), width, pitch - 1.5)
            for action in range(count)
        ]

    def _pixels(self, *lengths: float) -> list[int]:
        return [round(length * self._scale) for length in lengths]

    # ------------------------------------------------------------------ strokes

    def _text(
        self, draw: ImageDraw.ImageDraw, x: float, y: float, text: str, size: float, colour: Colour, anchor: str = "ls"
    ) -> None:
        """``text`` with its baseline at ``y``; shrunk where it would leave the panel."""
        room = (WIDTH - MARGIN - x if anchor[0] == "l" else x - MARGIN) * self._scale
        while (width := _font(size * self._scale).getlength(text)) > room:
            size *= min(0.97, room / width)
        draw.text((round(x * self._scale), round(y * self._scale)), text, colour, _font(size * self._scale), anchor)

    def _rectangle(
        self, draw: ImageDraw.ImageDraw, x: float, y: float, width: float, height: float, fill: Colour | None,
        outline: Colour | None = None,
    ) -> None:  # fmt: skip
        left, top, right, bottom = self._pixels(x, y, x + width, y + height)
        if right > left:
            draw.rectangle((left, top, right - 1, bottom - 1), fill, outline, max(1, self._scale // 2))

    # ------------------------------------------------------------------ what stays

    def _draw_still(self) -> Image.Image:
        still = Image.new("RGB", self._size, BACKGROUND)
        draw = ImageDraw.Draw(still)
        self._text(draw, MARGIN, 19, self.episode.title, 15, TEXT)
        for line, text in enumerate(self.episode.facts):
            self._text(draw, MARGIN, 30 + 8.5 * line, text, 7, FAINT)
        self._text(draw, MARGIN, 50, "SCORE", 5.5, FAINT)
        self._text(draw, WIDTH - MARGIN, 50, "TIME", 5.5, FAINT, "rs")
        self._text(draw, MARGIN, 79, "Q VALUES", 5.5, FAINT)
        for box in self._boxes:
            self._rectangle(draw, *box, TRACK)
        left, top, width, height = self._strip
        self._rectangle(draw, left, top, width, height, TRACK)
        self._text(draw, left, top - 2.5, "HIGHEST Q", 5.5, FAINT)
        if (self.episode.rewards > 0).any():
            self._text(draw, left + width, top - 2.5, "REWARD", 5.5, REWARD, "rs")
        if (self.episode.rewards < 0).any():
            self._text(draw, left + width - 30, top - 2.5, "PENALTY", 5.5, PENALTY, "rs")
        return still

    def _draw_curve(self) -> Image.Image:
        """The strip as it looks when the episode is over."""
        width, height = self._pixels(*self._strip[2:])
        strip = Image.new("RGB", (width, height), TRACK)
        draw = ImageDraw.Draw(strip)
        marks, thin = 4 * self._scale, max(1, self._scale // 2)  # rewards stand above the curve
        levels = height - (np.column_stack([self._shares.max(axis=1), np.full(len(self._shares), self._zero)]) * (
            height - marks - thin
        )).round().astype(int)  # fmt: skip
        steps = len(levels)
        for x in range(width):
            first = x * steps // width
            here = slice(first, max(first + 1, (x + 1) * steps // width))
            draw.line((x, levels[here].min(), x, levels[here].max()), GREEDY[0])
            rewards = self.episode.rewards[here]
            for some, colour in (((rewards > 0).any(), REWARD), ((rewards < 0).any(), PENALTY)):
                if some:
                    draw.line((x, 0, x, marks - thin), colour, thin)
        return strip

    # ------------------------------------------------------------------ what moves

    def picture(self, step: int) -> NDArray[np.uint8]:
        """The panel [height, WIDTH, 3] u8, times scale, as ``step`` steps were done; with T of them it is over."""
        image = self._still.copy()
        draw = ImageDraw.Draw(image)
        steps = len(self.episode.actions)
        self._text(draw, MARGIN, 67, f"{self._scores[step]:,}", 20, TEXT)
        self._text(draw, WIDTH - MARGIN, 61, clock(step * self.episode.seconds_per_step), 10, TEXT, "rs")
        self._text(draw, WIDTH - MARGIN, 69, f"agent step {step:,} of {steps:,}", 5.5, FAINT, "rs")
        over = step == steps
        last = min(step, steps - 1)
        explored = bool(self.episode.explored[last])
        word, colour = ("random", RANDOM[1]) if explored else ("greedy", GREEDY[1])
        if over:
            word, colour = self.episode.ending, TEXT
        self._text(draw, WIDTH - MARGIN, 79, word, 6.5, colour, "rs")
        greedy = int(self.episode.q[last].argmax())
        for action in range(len(self._boxes)):
            chosen = not over and action == self.episode.actions[last]
            self._draw_bar(draw, last, action, chosen=chosen, explored=explored, best=not over and action == greedy)
        self._draw_strip(image, draw, step / steps)
        return np.asarray(image)

    def _draw_bar(
        self, draw: ImageDraw.ImageDraw, step: int, action: int, *, chosen: bool, explored: bool, best: bool
    ) -> None:
        left, top, width, height = self._boxes[action]
        fill, bright = (RANDOM if explored else GREEDY) if chosen else (BAR, GREEDY[1])
        size, longest = self._letters, width - self._value_width
        ends = sorted((self._zero, float(self._shares[step, action])))
        self._rectangle(draw, left + ends[0] * longest, top, (ends[1] - ends[0]) * longest, height, fill)
        if chosen or best:
            self._rectangle(draw, left, top, width, height, None, bright)
        middle = top + height / 2
        if chosen:
            half = size * 0.36
            x = left + 3
            points = [(x, middle - half), (x + 1.7 * half, middle), (x, middle + half)]
            if explored:
                points = [(x + half, middle - half), (x + 2 * half, middle), (x + half, middle + half), (x, middle)]
            draw.polygon([tuple(self._pixels(*point)) for point in points], bright)
        colour = TEXT if chosen else PLAIN
        self._text(draw, left + 10, middle, spaced(self.episode.action_names[action]), size, colour, "lm")
        value = number(float(self.episode.q[step, action]), self._largest)
        self._text(draw, left + width - 3, middle, value, size, colour, "rm")

    def _draw_strip(self, image: Image.Image, draw: ImageDraw.ImageDraw, done: float) -> None:
        left, top, _, _ = self._pixels(*self._strip)
        width, height = self._curve.size
        x = round(done * (width - 1))
        image.paste(self._curve.crop((0, 0, x, height)), (left, top))
        draw.line((left + x, top, left + x, top + height - 1), TEXT, max(1, self._scale // 2))
