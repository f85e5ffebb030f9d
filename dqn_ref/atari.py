"""Real Atari games as streams of 84x84 grey frames, one emulator a stream.

The engine (``ale_py.AtariVectorEnv``) repeats the action 4 times, takes the maximum of the last two
screens and shrinks by area averaging. What differs from its defaults, and why:

- ``stack_num=1``: frames are stored once; replay builds the stacks.
- ``reward_clipping=False``: the score is reported raw and clipped only where it is learnt from.
- ``episodic_life=False``: the engine's flag resets the game at a life loss. Here a life loss is a
  terminal *transition* and the game goes on: ``terminal = game over or lives fell``.
- ``noop_max=31``: its bound is exclusive.
- same-step autoreset: the row of a finished episode carries the next episode's first frame, so that
  every row is an agent step and no dead row can reach the replay;
- the frame cap is kept here, not by the engine: at its own cap it breaks off before it has read the
  last screen, and the final frame, which is bootstrapped from, would be pooled with a stale one.
"""

from __future__ import annotations

import difflib
import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import ale_py
import numpy as np
from ale_py import AtariVectorEnv, roms
from numpy.typing import DTypeLike, NDArray

from dqn_ref.config import UserError

Pixels = NDArray[np.uint8]


def check_game(game: str) -> str:
    """Return ``game`` if its ROM is there. Raises UserError that suggests near names."""
    known = roms.get_all_rom_ids()
    if game in known:
        return game
    wanted = "".join(f"_{c.lower()}" if c.isupper() else c for c in game).strip("_").replace("-", "_").replace(" ", "_")
    near = difflib.get_close_matches(wanted, known, n=3, cutoff=0.5)
    hint = f" Did you mean {' or '.join(near)}?" if near else " Names are in lower case, e.g. ms_pacman."
    raise UserError(f"No game is called {game!r}.{hint}")


def rom_md5(game: str) -> str:
    """MD5 of the game's ROM, as recorded with every run."""
    return hashlib.md5(_rom_path(game).read_bytes()).hexdigest()


def _rom_path(game: str) -> Path:
    path = roms.get_rom_path(check_game(game))
    assert path is not None
    return Path(path)


class Step(NamedTuple):
    """What C emulators answered to C actions.

    ``frame`` [C, 84, 84] u8 is what the member sees next: at the end of an episode it is the first
    frame of the next one. ``final_frame`` is what followed the action where ``truncated`` holds, and
    only such rows bootstrap from it; elsewhere it equals ``frame``.
    """

    frame: Pixels  # [C, 84, 84]
    final_frame: Pixels  # [C, 84, 84]
    reward: NDArray[np.int64]  # [C] raw, summed over the 4 frames
    terminal: NDArray[np.bool_]  # [C] game over or, if that is terminal, a life lost
    game_over: NDArray[np.bool_]  # [C]
    truncated: NDArray[np.bool_]  # [C] cut by the frame cap, the game was not over
    life_lost: NDArray[np.bool_]  # [C] game over or a life lost, whether or not that is terminal

    @property
    def episode_ended(self) -> NDArray[np.bool_]:
        """[C] rows whose ``frame`` starts a new episode."""
        return self.game_over | self.truncated


def _be_quiet() -> None:
    ale_py.ALEInterface.setLoggerMode(ale_py.LoggerMode.Error)  # no banner in every process


def _engine(
    game: str,
    num_envs: int,
    *,
    max_noops: int,
    sticky_action_probability: float,
    frames_per_agent_step: int,
    fire_on_reset: bool,
    **options: Any,
) -> AtariVectorEnv:
    """The engine as everything here wants it; ``options`` are its own."""
    _be_quiet()
    return AtariVectorEnv(
        game,
        num_envs,
        stack_num=1,
        frameskip=frames_per_agent_step,
        noop_max=max_noops + 1,
        use_fire_reset=fire_on_reset,
        episodic_life=False,
        life_loss_info=False,
        reward_clipping=False,
        repeat_action_probability=sticky_action_probability,
        **options,
    )


class AtariStreams:
    """One emulator per entry of ``games``; ``reset``, then ``send`` and ``recv`` in turn.

    Equal games share one engine, so C streams of one game cost one call. A trajectory is a function
    of (seed, actions) alone: not of the number of threads, nor of the streams beside it.

    Raises:
        UserError: a game is unknown.
        ValueError: an action is out of range (the engine itself would hang on it for ever).
    """

    def __init__(
        self,
        games: Sequence[str],
        *,
        max_episode_frames: int,
        max_noops: int = 30,
        sticky_action_probability: float = 0.0,
        frames_per_agent_step: int = 4,
        fire_on_reset: bool = False,
        life_loss_terminal: bool = True,
        num_threads: int | None = None,
    ) -> None:
        self.games = [check_game(game) for game in games]
        self._rows = {game: np.flatnonzero(np.array(self.games) == game) for game in dict.fromkeys(self.games)}
        by_engine = np.concatenate(list(self._rows.values()))
        self._sorted = bool((by_engine == np.arange(len(by_engine))).all())
        self._place = np.argsort(by_engine)  # of each stream among the engines' answers
        self._engines = {
            game: _engine(
                game,
                len(rows),
                max_noops=max_noops,
                sticky_action_probability=sticky_action_probability,
                frames_per_agent_step=frames_per_agent_step,
                fire_on_reset=fire_on_reset,
                num_threads=num_threads or len(rows),
                max_num_frames_per_episode=max_episode_frames + 10 * frames_per_agent_step,  # never reached
                autoreset_mode="SameStep",
            )
            for game, rows in self._rows.items()
        }
        per_game = {game: len(engine.ale.get_action_set()) for game, engine in self._engines.items()}
        self.num_actions = np.array([per_game[game] for game in self.games])  # [C] minimal action sets
        self._life_loss_terminal = life_loss_terminal
        self._max_episode_steps = -(-max_episode_frames // frames_per_agent_step)
        self._episode_steps = np.zeros(len(self.games), np.int64)
        self._lives = np.zeros(len(self.games), np.int64)

    def reset(self, seeds: Sequence[int]) -> Pixels:
        """Start episodes from C seeds below 2**31. Returns the first frames, [C, 84, 84] u8."""
        frame = np.empty((len(self.games), 84, 84), np.uint8)
        for game, rows in self._rows.items():
            observation, info = self._engines[game].reset(seed=np.asarray(seeds, np.int64)[rows])
            frame[rows] = observation[:, 0]
            self._lives[rows] = info["lives"]
        self._episode_steps[:] = 0
        return frame

    def send(self, actions: NDArray[np.int64]) -> None:
        """Start emulating ``actions`` [C]; returns at once."""
        if np.count_nonzero((actions < 0) | (actions >= self.num_actions)):
            raise ValueError(f"actions {actions.tolist()} do not fit action sets of {self.num_actions.tolist()}")
        for game, rows in self._rows.items():
            self._engines[game].send(actions[rows])

    def recv(self) -> Step:
        """Wait for the emulators and return what they answered."""
        answers = [engine.recv() for engine in self._engines.values()]
        frame = self._together([observation[:, 0] for observation, *_ in answers], np.uint8)
        reward = self._together([reward for _, reward, *_ in answers], np.int64)
        game_over = self._together([over for _, _, over, *_ in answers], np.bool_)
        lives = self._together([info["lives"] for *_, info in answers], np.int64)
        self._episode_steps += 1
        truncated = ~game_over & (self._episode_steps >= self._max_episode_steps)
        # In the row of a finished game ``lives`` is already the next one's, but there game_over says it all.
        life_lost = game_over | (lives < self._lives)
        terminal = life_lost if self._life_loss_terminal else game_over
        final_frame = frame
        if np.count_nonzero(truncated):  # any() takes four times as long
            frame = frame.copy()  # to be written to; final_frame keeps what followed
            self._restart(truncated, frame, lives)
        self._lives = lives
        self._episode_steps[game_over | truncated] = 0
        return Step(frame, final_frame, reward, terminal, game_over, truncated, life_lost)

    def _together(self, parts: Sequence[NDArray[Any]], dtype: DTypeLike) -> NDArray[Any]:
        """What each engine answered, as one array [C, ...]; of one engine it may be what that handed over."""
        if len(parts) == 1:
            return parts[0].astype(dtype, copy=False)
        together: NDArray[Any] = np.concatenate(parts, dtype=dtype)
        return together if self._sorted else together[self._place]

    def _restart(self, which: NDArray[np.bool_], frame: Pixels, lives: NDArray[np.int64]) -> None:
        """Begin new episodes in the rows of ``which`` [C], and write what they show first."""
        for game, rows in self._rows.items():
            mask = which[rows]
            if mask.any():
                observation, info = self._engines[game].reset(options={"reset_mask": mask})
                frame[rows[mask]] = observation[mask, 0]
                lives[rows[mask]] = info["lives"][mask]


class ColourScreen:
    """One game in colour at the emulator's own resolution, for people; played in step with a stream of AtariStreams.

    The same engine with the same options, so that equal seeds and actions make the same game. A picture is
    the maximum, colour by colour, of the last two screens of an agent step, as the agent's grey one is: much
    is drawn in every other frame only, and would be missing from each fourth frame for as long as it lives. Where
    the game is over before the last of an agent step's frames, the engine shows screens of some frames before.

    Raises:
        UserError: the game is unknown.
    """

    def __init__(
        self,
        game: str,
        *,
        max_noops: int = 30,
        sticky_action_probability: float = 0.0,
        frames_per_agent_step: int = 4,
        fire_on_reset: bool = False,
    ) -> None:
        _be_quiet()
        bare = ale_py.ALEInterface()  # whose screens are 210 to 250 lines high
        bare.loadROM(_rom_path(game))
        self.height, width = bare.getScreenDims()
        self._engine = _engine(
            game,
            1,
            max_noops=max_noops,
            sticky_action_probability=sticky_action_probability,
            frames_per_agent_step=frames_per_agent_step,
            fire_on_reset=fire_on_reset,
            num_threads=1,
            grayscale=False,
            img_height=self.height,
            img_width=width,
            max_num_frames_per_episode=2**30,  # whoever plays it knows when to stop
            autoreset_mode="NextStep",  # so that the last picture is the episode's own
        )
        self.action_names = [action.name for action in self._engine.ale.get_action_set()]

    def reset(self, seed: int) -> Pixels:
        """Start an episode. Returns its first picture, [height, 160, 3] u8, red green blue."""
        observation, _ = self._engine.reset(seed=np.array([seed], np.int64))
        picture: Pixels = observation[0, 0]
        return picture

    def step(self, action: int) -> tuple[Pixels, int, bool]:
        """Play an agent step. Returns the picture after it, its raw reward, and whether the game is over."""
        if not 0 <= action < len(self.action_names):
            raise ValueError(f"action {action} does not fit an action set of {len(self.action_names)}")
        self._engine.send(np.array([action], np.int64))
        observation, reward, game_over, _, _ = self._engine.recv()
        return observation[0, 0], int(reward[0]), bool(game_over[0])
