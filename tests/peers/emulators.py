"""Our streams and a peer's wrappers around one and the same game: same seed, same actions."""

import ale_py
import cv2
import gym
import gymnasium
import numpy as np
import pytest
from pfrl.wrappers import atari_wrappers as pfrl_wrappers
from stable_baselines3.common.atari_wrappers import AtariWrapper

from dqn_ref.atari import AtariStreams

gymnasium.register_envs(ale_py)

# PFRL was written for an older PyTorch, gym and NumPy; what it asks of these still works.
QUIET = [
    pytest.mark.filterwarnings("ignore:This overload of add:UserWarning"),
    pytest.mark.filterwarnings("ignore:.*old step API:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy:DeprecationWarning"),
]


class Emulator(gymnasium.Wrapper):
    """What lies below every peer: frame by frame, seeded at its first reset, later ones go on from there.

    With ``grey`` it hands out luminance in all three channels, so that the order in which a peer takes
    maximum and luminance no longer matters.
    """

    def __init__(self, game: str, *, grey: bool = False, identity: str = "{}NoFrameskip-v4", **changes) -> None:
        name = "".join(part.title() for part in game.split("_"))
        super().__init__(gymnasium.make(identity.format(name), **changes))
        self.grey = grey
        self.emulator_seed = None  # gymnasium hashes its seed for the emulator; ours takes the result

    @property
    def frame_number(self) -> int:
        return self.unwrapped.ale.getFrameNumber()

    def reset(self, **_):
        first = self.emulator_seed is None
        screen, info = self.env.reset(seed=1 if first else None)
        if first:
            self.emulator_seed = int(info["seeds"][1])
        return self._shown(screen), info

    def step(self, action):
        screen, *rest = self.env.step(action)
        return self._shown(screen), *rest

    def _shown(self, screen):
        if not self.grey:
            return screen
        return np.repeat(cv2.cvtColor(screen, cv2.COLOR_RGB2GRAY)[:, :, None], 3, axis=2)


class FourValues(gym.Env):
    """PFRL's wrappers know gym's old interface only: a step of four values, a reset of one."""

    def __init__(self, env: Emulator) -> None:
        self.env, self.ale = env, env.unwrapped.ale
        self.observation_space = gym.spaces.Box(0, 255, env.observation_space.shape, np.uint8)
        self.action_space = gym.spaces.Discrete(env.action_space.n)
        self.np_random = np.random.default_rng(1)

    def get_action_meanings(self):
        return self.env.unwrapped.get_action_meanings()

    def reset(self):
        return self.env.reset()[0]

    def step(self, action):
        screen, reward, terminated, truncated, info = self.env.step(action)
        return screen, reward, terminated or truncated, info


class Peer:
    """A peer's own wrappers, without no-ops: ``reset`` to a frame [84, 84], ``step`` to frame, reward, done.

    ``opening`` and ``revival`` are the agent steps that its reset plays by itself, at a new game and after
    a lost life.
    """

    opening: tuple[int, ...] = ()
    revival: tuple[int, ...] = ()

    def __init__(self, name: str, emulator: Emulator, *, life_loss: bool = False) -> None:
        self.emulator, self.life_loss = emulator, life_loss
        self.clipped = name != "gymnasium"
        if name == "gymnasium":
            self.env = gymnasium.wrappers.AtariPreprocessing(emulator, noop_max=0, terminal_on_life_loss=life_loss)
        elif name == "sb3":
            self.env = AtariWrapper(emulator, noop_max=0, terminal_on_life_loss=life_loss)
            self.opening = (1, 2) if "FIRE" in emulator.unwrapped.get_action_meanings() else ()
            self.revival = (0, *self.opening)
        else:
            skipping = pfrl_wrappers.MaxAndSkipEnv(FourValues(emulator), skip=4)
            self.env = pfrl_wrappers.wrap_deepmind(skipping, episode_life=life_loss, frame_stack=False)
            self.revival = (0,)

    def reset(self):
        answer = self.env.reset()
        return (answer[0] if isinstance(answer, tuple) else answer).reshape(84, 84)

    def step(self, action):
        frame, reward, done, *_ = self.env.step(action)
        return frame.reshape(84, 84), reward, done


def new_streams(game: str) -> AtariStreams:
    return AtariStreams([game], max_episode_frames=108_000, max_noops=0)


def act(streams: AtariStreams, *actions: int):
    for action in actions:
        streams.send(np.array([action]))
        step = streams.recv()
    return step


def side_by_side(game: str, peer: Peer, steps: int) -> tuple[np.ndarray, list[int]]:
    """Play ``steps`` equal actions. Returns |ours - theirs| of all frames, and the frames spent in each revival.

    Rewards and ends must agree all the way. The peer's picture of a finished game is not compared: ours
    shows the next game's first.
    """
    ours, theirs = new_streams(game), peer.reset()
    frame = ours.reset([peer.emulator.emulator_seed])[0]
    if peer.opening:
        frame = act(ours, *peer.opening).frame[0]
    rng, differences, revivals = np.random.default_rng(0), [frame.astype(int) - theirs], []
    for _ in range(steps):
        action = int(rng.integers(ours.num_actions[0]))
        step, (theirs, reward, done) = act(ours, action), peer.step(action)
        assert reward == (np.clip(step.reward[0], -1, 1) if peer.clipped else step.reward[0])
        assert done == (step.terminal[0] if peer.life_loss else step.game_over[0])
        if done:
            before, theirs = peer.emulator.frame_number, peer.reset()
            between = peer.opening if step.game_over[0] else peer.revival
            if not step.game_over[0]:
                revivals.append(peer.emulator.frame_number - before)
            step = act(ours, *between) if between else step
        differences.append(step.frame[0].astype(int) - theirs)
    return np.abs(differences), revivals
