"""Streams of emulators as such; what they show is compared with the bare emulator in test_pixels.py."""

import hashlib
from pathlib import Path

import numpy as np
import pytest
from ale_py import roms
from single_game import SingleGame, shrunk

from dqn_ref.atari import AtariStreams, check_game, rom_md5
from dqn_ref.config import UserError

CAP = 108_000


def streams(games, **changes) -> AtariStreams:
    return AtariStreams(games, **{"max_episode_frames": CAP, **changes})


def play(env: AtariStreams, actions: np.ndarray) -> list:
    steps = []
    for row in actions:
        env.send(row)
        steps.append(env.recv())
    return steps


# ---------------------------------------------------------------------- no-ops


@pytest.mark.fidelity(17)
def test_an_episode_starts_with_0_to_30_no_ops():
    """River Raid's first screens all differ, so the number of no-ops can be read off the first frame."""
    single = SingleGame("riverraid", 1)
    screens = [single.start()]
    for _ in range(40):
        single.ale.act(0)
        screens.append(shrunk(single.ale.getScreenGrayscale()))
    seeds = [9, 45, *range(1_000, 1_016)]
    first = streams(["riverraid"] * len(seeds), num_threads=2).reset(seeds)
    noops = []
    for frame in first:
        fitting = [k for k, screen in enumerate(screens) if np.array_equal(frame, screen)]
        assert len(fitting) == 1
        noops += fitting
    assert noops[:2] == [0, 30]  # both ends are reached
    assert max(noops) <= 30
    assert len(set(noops)) > 6


# ---------------------------------------------------------------------- determinism


@pytest.mark.fidelity(22)
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
        assert np.array_equal(frame, SingleGame(game, 1).start())


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
