"""What a DQN sees of an Atari game, written a second time: on the bare emulator, frame by frame.

Nothing here comes from dqn_ref, only the emulator and NumPy, and nothing is done for speed. All arithmetic
is that of the engine (``ale_py.AtariVectorEnv``) to the last bit, where it is built for x86-64: other
compilers may fuse OpenCV's multiplications and additions, which moves ten pixels in a million by one grey level.
"""

import functools
import math
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import ale_py
import numpy as np
from ale_py import roms

EMPTY = np.zeros((84, 84), np.uint8)


# ---------------------------------------------------------------------- a screen becomes 84x84


@functools.cache
def area_taps(size: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """The k-th pixel under each of 84 cells, [84], and the share of the cell that it covers, [84, 1] f32."""
    width = size / 84
    start = np.arange(84) * width
    taps = []
    for k in range(math.ceil(width) + 1):
        pixel = start.round(3).astype(int) + k
        overlap = np.minimum(pixel + 1, start + width) - np.maximum(pixel, start)
        share = np.where(overlap > 1e-3, overlap / width, 0).astype(np.float32)
        taps.append((np.minimum(pixel, size - 1), share[:, None]))
    return taps


def averaged(image: np.ndarray) -> np.ndarray:
    """The first axis averaged to 84 cells, pixel after pixel, because sums of float32 depend on their order."""
    return sum(share * image[pixel] for pixel, share in area_taps(len(image)))


def shrunk(screen: np.ndarray) -> np.ndarray:
    """A screen [210, 160] u8 averaged to [84, 84] u8 as by OpenCV's INTER_AREA: rows first, halves to even."""
    return averaged(averaged(screen.astype(np.float32).T).T).round().astype(np.uint8)


# ---------------------------------------------------------------------- one game


class SingleGame:
    """A game on an emulator that neither skips, pools nor resizes; ``start`` begins each episode."""

    def __init__(self, game: str, seed: int, max_noops: int = 0) -> None:
        self.ale = ale_py.ALEInterface()
        self.ale.setFloat("repeat_action_probability", 0.0)
        self.ale.setInt("random_seed", seed)
        self.ale.loadROM(roms.get_rom_path(game))
        self.actions = self.ale.getMinimalActionSet()
        self._max_noops = max_noops
        self._mersenne_twister = np.random.RandomState(seed)  # the state of C++'s std::mt19937(seed)

    def start(self) -> np.ndarray:
        """Begin an episode on the emulator as the last one left it; returns the first frame, [84, 84] u8."""
        self.ale.reset_game()
        for _ in range(self._draw_noops()):
            self.ale.act(0)
        return shrunk(self.ale.getScreenGrayscale())

    def _draw_noops(self) -> int:
        """Uniform over 0..max_noops, as std::uniform_int_distribution of GNU's library makes it of 32 bits."""
        bits = int(self._mersenne_twister.randint(2**32, dtype=np.uint32))
        return bits * (self._max_noops + 1) >> 32

    def step(self, action: int) -> tuple[np.ndarray, int]:
        """An agent step: 4 frames, the maximum of the last two screens, the summed reward."""
        reward, screens = 0, []
        for _ in range(4):
            reward += int(self.ale.act(self.actions[action]))
            screens.append(self.ale.getScreenGrayscale())
            if self.ale.game_over():
                break
        return shrunk(np.max(screens[-2:], axis=0)), reward


# ---------------------------------------------------------------------- one agent


class AgentStep(NamedTuple):
    """A decision and what came of it. States are [4, 84, 84] u8, oldest frame first; frames [84, 84] u8."""

    s_tm1: np.ndarray  # what the agent acts in
    a_tm1: int
    frame: np.ndarray  # what it sees next, of the next episode where this one has ended
    final_frame: np.ndarray  # what followed the action, unless the game is over
    reward: int  # raw
    terminal: bool
    game_over: bool
    truncated: bool
    s_t: np.ndarray  # what is bootstrapped from; in a terminal transition (discount 0) only the frame that follows


def begun(frame: np.ndarray) -> np.ndarray:
    """The state at the beginning of a history."""
    return np.stack([EMPTY, EMPTY, EMPTY, frame])


def pushed(state: np.ndarray, frame: np.ndarray) -> np.ndarray:
    """The state after ``state``."""
    return np.stack([*state[1:], frame])


def play(game: SingleGame, actions: Iterable[int], max_episode_frames: int, *, training: bool) -> Iterator[AgentStep]:
    """Play ``actions``, episode after episode. In training the history ends with a life, in evaluation it does not."""
    state, lives, frames = begun(game.start()), game.ale.lives(), 0
    for action in actions:
        followed, reward = game.step(action)
        frames += 4
        over = game.ale.game_over()
        truncated = not over and frames >= max_episode_frames
        life_lost = not over and game.ale.lives() < lives

        frame = final_frame = followed
        if over or truncated:
            frame, frames = game.start(), 0
        if over:
            final_frame = frame
        lives = game.ale.lives()

        history_ends = over or (life_lost and training)
        s_t = begun(final_frame) if history_ends else pushed(state, final_frame)
        yield AgentStep(state, action, frame, final_frame, reward, over or life_lost, over, truncated, s_t)
        state = begun(frame) if truncated else s_t
