"""Against ``ale_py.ALEInterface``: the single game, driven frame by frame, with the frame's arithmetic redone here."""

import hashlib
from pathlib import Path

import ale_py
import numpy as np
import pytest
from ale_py import roms

from dqn_ref.atari import AtariStreams, check_game, rom_md5
from dqn_ref.config import UserError

CAP = 108_000


def averaged(values: np.ndarray) -> np.ndarray:
    """Area averaging of the first axis to 84: differences of the running integral at 84 even edges."""
    integral = np.concatenate([np.zeros((1, values.shape[1])), values.cumsum(axis=0)])
    edges = np.linspace(0, len(values), 85)
    whole = np.minimum(edges.astype(int), len(values) - 1)
    at_edges = integral[whole] + (edges - whole)[:, None] * values[whole]
    return np.diff(at_edges, axis=0) * 84 / len(values)


def shrunk(screen: np.ndarray) -> np.ndarray:
    """A screen [210, 160] averaged to [84, 84], in float64."""
    return averaged(averaged(screen.astype(float)).T).T


def same_frame(frame: np.ndarray, screen: np.ndarray) -> bool:
    """Equal but for the engine's rounding to whole grey levels (at most a half, and float32's error)."""
    return bool(np.abs(frame - shrunk(screen)).max() <= 0.5 + 1e-3)


class SingleGame:
    """The emulator itself: no skipping, no pooling, no resizing."""

    def __init__(self, game: str, seed: int, noops: int = 0) -> None:
        self.ale = ale_py.ALEInterface()
        self.ale.setFloat("repeat_action_probability", 0.0)
        self.ale.setInt("random_seed", seed)
        self.ale.loadROM(roms.get_rom_path(game))
        self.actions = self.ale.getMinimalActionSet()
        self.start(noops)

    def start(self, noops: int) -> None:
        self.ale.reset_game()
        for _ in range(noops):
            self.ale.act(0)

    def step(self, action: int) -> tuple[np.ndarray, float]:
        """An agent step by hand: 4 frames, maximum of the last two screens, summed reward."""
        reward, screens = 0.0, []
        for _ in range(4):
            reward += self.ale.act(self.actions[action])
            screens.append(self.ale.getScreenGrayscale().copy())
            if self.ale.game_over():
                break
        return np.maximum(*screens[-2:]) if len(screens) > 1 else screens[0], reward


def streams(games, **changes) -> AtariStreams:
    return AtariStreams(games, **{"max_episode_frames": CAP, **changes})


def play(env: AtariStreams, actions: np.ndarray) -> list:
    steps = []
    for row in actions:
        env.send(row)
        steps.append(env.recv())
    return steps


# ---------------------------------------------------------------------- an episode, frame by frame


@pytest.mark.parametrize(("game", "seed"), [("breakout", 12), ("riverraid", 12)])
def test_an_episode_is_the_one_of_the_single_game(game, seed):
    """Skip of 4 (once), pooling of two, area averaging, raw rewards, lives, no stickiness, no FIRE at reset."""
    env, single = streams([game], max_noops=0), SingleGame(game, seed)
    assert env.num_actions.tolist() == [len(single.actions)]
    assert same_frame(env.reset([seed])[0], single.ale.getScreenGrayscale())
    rng, lives, lost, raw = np.random.default_rng(seed), single.ale.lives(), 0, []
    for _ in range(2_000):
        action = int(rng.integers(env.num_actions[0]))
        env.send(np.array([action]))
        step = env.recv()
        screen, reward = single.step(action)
        over, fell = single.ale.game_over(), single.ale.lives() < lives
        lives = single.ale.lives()
        assert step.reward[0] == reward
        assert step.game_over[0] == over
        assert step.terminal[0] == (over or fell)
        assert not step.truncated[0]
        lost += fell and not over
        raw.append(reward)
        if over:
            break
        assert same_frame(step.frame[0], screen)
    assert over, "the episode must reach its end for this to prove anything"
    assert lost >= 1, "and lose a life on the way"
    assert sum(raw) > 0
    if game != "breakout":
        assert max(raw) > 1  # not clipped


def test_an_episode_starts_with_0_to_30_no_ops():
    """River Raid's first screens all differ, so the number of no-ops can be read off the first frame."""
    single = SingleGame("riverraid", 1)
    screens = [(shrunk(single.ale.getScreenGrayscale()), single.ale.act(0))[0] for _ in range(40)]
    seeds = [9, 45, *range(1_000, 1_016)]
    first = streams(["riverraid"] * len(seeds), num_threads=2).reset(seeds)
    noops = []
    for frame in first:
        fitting = [k for k, screen in enumerate(screens) if np.abs(frame - screen).max() <= 0.501]
        assert len(fitting) == 1
        noops += fitting
    assert noops[:2] == [0, 30]  # both ends are reached
    assert max(noops) <= 30
    assert len(set(noops)) > 6


def test_after_game_over_the_row_is_the_next_episodes_first_frame_and_plays_on():
    """No dead row: the action that follows game over moves the game."""
    env = streams(["breakout"], max_noops=0)
    env.reset([5])
    rng = np.random.default_rng(5)
    over = False
    while not over:
        env.send(rng.integers(4, size=1))
        step = env.recv()
        over = bool(step.game_over[0])
    assert step.terminal[0]
    assert step.episode_ended[0]
    single = SingleGame("breakout", 5)
    assert same_frame(step.frame[0], single.ale.getScreenGrayscale())
    for action in (1, 2, 2, 2, 3, 0, 2):
        env.send(np.array([action]))
        step = env.recv()
        screen, reward = single.step(action)
        assert same_frame(step.frame[0], screen)
        assert step.reward[0] == reward
        assert not step.terminal[0]  # though the next episode began with more lives than the last one ended with


def test_a_life_loss_is_terminal_while_the_game_goes_on():
    env, single = streams(["breakout"], max_noops=0), SingleGame("breakout", 6)
    env.reset([6])
    terminal_lives = []
    for t in range(150):
        action = 1 if t % 5 == 0 else 0  # serve, then stand still: the ball is lost again and again
        env.send(np.array([action]))
        step = env.recv()
        single.step(action)
        if step.terminal[0]:
            assert not step.episode_ended[0]
            terminal_lives.append(single.ale.lives())
        if single.ale.lives() == 1:
            break
    assert terminal_lives == [4, 3, 2, 1]


# ---------------------------------------------------------------------- truncation


def test_truncation_is_not_terminal():
    env, single = streams(["riverraid"], max_noops=0, max_episode_frames=40), SingleGame("riverraid", 7)
    env.reset([7])
    for t in range(1, 31):
        env.send(np.array([2]))
        step = env.recv()
        screen, _ = single.step(2)
        assert bool(step.truncated[0]) == (t % 10 == 0)  # 40 frames are 10 agent steps
        assert bool(step.episode_ended[0]) == (t % 10 == 0)
        assert not step.terminal[0]
        assert not step.game_over[0]
        if step.truncated[0]:
            single.start(noops=0)
            assert same_frame(step.frame[0], single.ale.getScreenGrayscale())
        else:
            assert same_frame(step.frame[0], screen)


def test_a_truncated_step_hands_over_the_frame_that_followed_its_action():
    """Four whole frames of it, pooled from the last two, like that of any other step: it is bootstrapped from."""
    env, single = streams(["breakout"], max_noops=0, max_episode_frames=40), SingleGame("breakout", 7)
    env.reset([7])
    for _ in range(10):
        env.send(np.array([1]))
        step = env.recv()
        screen, reward = single.step(1)
    assert step.truncated[0]
    assert step.reward[0] == reward
    assert not same_frame(step.frame[0], screen)
    assert same_frame(step.final_frame[0], screen)


def test_no_ops_do_not_count_against_the_cap():
    env = streams(["riverraid"] * 2, max_episode_frames=40)
    env.reset([9, 45])  # 0 and 30 no-ops
    steps = play(env, np.zeros((10, 2), np.int64))
    assert [step.truncated.tolist() for step in steps] == [[False, False]] * 9 + [[True, True]]


# ---------------------------------------------------------------------- determinism


def test_sticky_actions_are_off_by_default_and_on_when_asked_for():
    actions = np.random.default_rng(0).integers(18, size=(60, 1))
    frames = {}
    for name, changes in {"default": {}, "none": {"sticky_action_probability": 0.0},
                          "sticky": {"sticky_action_probability": 0.25}}.items():  # fmt: skip
        env = streams(["riverraid"], **changes)
        env.reset([3])
        frames[name] = np.stack([step.frame for step in play(env, actions)])
    assert np.array_equal(frames["default"], frames["none"])
    assert not np.array_equal(frames["default"], frames["sticky"])


def test_a_trajectory_depends_on_neither_threads_nor_neighbours():
    games, seeds = ["riverraid", "pong", "riverraid"], [21, 22, 23]
    actions = np.random.default_rng(1).integers(6, size=(80, 3))

    def trajectory(games, seeds, actions, num_threads):
        env = streams(games, num_threads=num_threads)
        first = env.reset(seeds)
        return [first, *(step.frame for step in play(env, actions))]

    together = trajectory(games, seeds, actions, 2)
    for row, (game, seed) in enumerate(zip(games, seeds, strict=True)):
        alone = trajectory([game], [seed], actions[:, row : row + 1], 1)
        assert all(np.array_equal(a[0], b[row]) for a, b in zip(alone, together, strict=True))


def test_rows_of_mixed_games_keep_their_order():
    games = ["pong", "riverraid", "pong", "breakout"]
    env = streams(games, max_noops=0)
    assert env.num_actions.tolist() == [6, 18, 6, 4]
    first = env.reset([1, 2, 3, 4])
    for frame, game in zip(first, games, strict=True):
        assert same_frame(frame, SingleGame(game, 1).ale.getScreenGrayscale())


def test_a_seeded_reset_forgets_what_was_played_before():
    env = streams(["seaquest"])
    actions = np.random.default_rng(2).integers(18, size=(40, 1))
    env.reset([31])
    fresh = play(env, actions)
    env.reset([99])
    play(env, actions[:7])
    env.reset([31])
    again = play(env, actions)
    assert all(np.array_equal(a.frame, b.frame) for a, b in zip(fresh, again, strict=True))


def test_other_seeds_play_other_games():
    env = streams(["riverraid"] * 2)
    env.reset([9, 45])
    assert any(not np.array_equal(*step.frame) for step in play(env, np.zeros((5, 2), np.int64)))


def test_an_answer_is_not_overwritten_by_the_next():
    env = streams(["riverraid"])
    env.reset([1])
    first, *_ = steps = play(env, np.zeros((1, 1), np.int64))
    kept = first.frame.copy()
    steps += play(env, np.full((5, 1), 2))
    assert np.array_equal(first.frame, kept)
    assert not np.array_equal(steps[-1].frame, kept)


def test_frames_are_bytes_of_84_by_84():
    env = streams(["pong", "breakout"])
    frames = env.reset([1, 2])
    step = play(env, np.zeros((1, 2), np.int64))[0]
    for array in (frames, step.frame, step.final_frame):
        assert array.shape == (2, 84, 84)
        assert array.dtype == np.uint8


# ---------------------------------------------------------------------- bad input


@pytest.mark.parametrize("actions", [[4, 0], [-1, 0], [0, 6], [0, 100]])
def test_an_action_out_of_range_is_refused_before_any_emulator_gets_it(actions):
    env = streams(["breakout", "pong"])
    env.reset([1, 2])
    with pytest.raises(ValueError, match="actions"):
        env.send(np.array(actions))
    env.send(np.array([3, 5]))  # the largest of each; nothing was left half sent
    assert env.recv().frame.shape == (2, 84, 84)


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("brekout", "breakout"),
        ("MsPacman", "ms_pacman"),
        ("ms-pacman", "ms_pacman"),
        ("Space Invaders", "space_invade"),
    ],
)
def test_an_unknown_game_is_a_users_mistake_with_a_suggestion(name, near):
    with pytest.raises(UserError, match=near):
        check_game(name)
    with pytest.raises(UserError, match=near):
        streams([name])


def test_an_unknown_game_like_no_other_is_still_one_message():
    with pytest.raises(UserError, match="zzzz"):
        check_game("zzzz")


def test_rom_md5_is_that_of_the_file_and_the_one_the_emulator_knows():
    assert rom_md5("breakout") == hashlib.md5(Path(roms.get_rom_path("breakout")).read_bytes()).hexdigest()
    assert rom_md5("breakout") == "f34f08e5eb96e500e851a80be3277a56"  # ALE's own list, md5.txt
