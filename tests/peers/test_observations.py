"""Frames, lives and resets beside the peers' Atari wrappers."""

import gymnasium
import numpy as np
import pytest
from stable_baselines3.common.atari_wrappers import AtariWrapper

from dqn_ref.atari import AtariStreams
from peers.emulators import QUIET, Emulator, FourValues, Peer, act, new_streams, pfrl_wrappers, side_by_side

pytestmark = QUIET

STEPS = 500  # agent steps of each comparison
GAMES = ("breakout", "ms_pacman", "riverraid")  # with FIRE and without; pooling matters most in the last


def test_gymnasiums_frames_are_ours(say):
    """Luminance, then maximum, then INTER_AREA, as the engine has it: every byte."""
    for game in GAMES:
        difference, _ = side_by_side(game, Peer("gymnasium", Emulator(game)), STEPS)
        assert difference.shape == (STEPS + 1, 84, 84)
        assert difference.max() == 0
    say("frames, rewards, ends", "gymnasium", f"{difference.max()} grey levels", "0: the same preprocessing")


@pytest.mark.parametrize("peer", ["sb3", "pfrl"])
def test_frames_differ_by_the_order_of_maximum_and_luminance_alone(peer, say):
    """As it is, and with the order switched off by a screen that is grey already."""
    whys = {
        False: "mean < 1: maximum of RGB, then luminance; ours the other way",
        True: "0: nothing else differs, not even rounding",
    }
    for grey, why in whys.items():
        found = np.stack([side_by_side(game, Peer(peer, Emulator(game, grey=grey)), STEPS)[0] for game in GAMES])
        say(
            "- of a grey screen" if grey else "frames",
            peer,
            f"{found.max()} grey levels, mean {found.mean():.2g}",
            why,
        )
        if grey:
            assert found.max() == 0
        else:
            assert found.max() > 1
            assert found.mean(axis=(1, 2, 3)).max() < 1  # in each game


# ---------------------------------------------------------------------- lives


@pytest.mark.parametrize(
    ("peer", "frames"),
    [("sb3", {"breakout": 12, "qbert": 12, "ms_pacman": 4}), ("pfrl", {"breakout": 4, "qbert": 4})],
)
def test_a_life_loss_ends_the_episode_where_ours_is_terminal(peer, frames, say):
    """Its reset then plays on by itself; ours leaves these steps to the agent. Equal where ours plays them, too."""
    for game, expected in frames.items():
        difference, revivals = side_by_side(game, Peer(peer, Emulator(game, grey=True), life_loss=True), STEPS)
        assert difference.max() == 0
        assert len(revivals) >= 2
        assert set(revivals) == {expected}
        fire = "no-op, FIRE, action 2" if expected == 12 else "one no-op"
        say(f"after a life loss, {game}", peer, f"{max(revivals)} frames", f"{expected}: reset plays {fire}; ours 0")


def test_stable_baselines3_fires_at_each_reset_and_cannot_be_told_not_to(say):
    env = AtariWrapper(emulator := Emulator("breakout"), noop_max=0)
    env.reset()
    say("at a new game, breakout", "sb3", f"{emulator.frame_number} frames", "8: reset plays FIRE, action 2; ours 0")
    assert emulator.frame_number == 8


def test_gymnasiums_life_loss_is_a_new_game(say):
    """It ends at the same agent step, cuts the repeat short there, and its reset does not go on with the game."""
    peer, ours = Peer("gymnasium", Emulator("breakout"), life_loss=True), new_streams("breakout")
    ale = peer.emulator.unwrapped.ale
    peer.reset()
    ours.reset([peer.emulator.emulator_seed])
    step, done = None, False
    while not done:
        before = peer.emulator.frame_number
        step, (_, _, done) = act(ours, 1), peer.step(1)
        assert done == step.terminal[0]
    frames = peer.emulator.frame_number - before
    assert not step.game_over[0]
    assert 1 <= frames <= 4
    assert ale.lives() == 4
    peer.reset()
    say("lives after a life loss", "gymnasium", f"{ale.lives()} instead of 4", "5: its reset begins a new game")
    say("frames of that agent step", "gymnasium", f"{frames} instead of 4", "1 to 4: stops there, as the Lua code")
    assert ale.lives() == 5


# ---------------------------------------------------------------------- resets


def test_peers_play_1_to_30_no_ops_and_ours_0_to_30(say):
    game, resets = "ms_pacman", 250
    ours = AtariStreams([game], max_episode_frames=108_000)  # its default no-ops
    ours.reset([1])
    engine = ours._engines[game]
    noops = {"ours": [int(engine.reset()[1]["episode_frame_number"][0]) for _ in range(resets)]}
    for name, wrap in {
        "gymnasium": gymnasium.wrappers.AtariPreprocessing,
        "sb3": AtariWrapper,
        "pfrl": lambda emulator: pfrl_wrappers.NoopResetEnv(FourValues(emulator)),
    }.items():
        env = wrap(emulator := Emulator(game))
        noops[name] = [(env.reset(), emulator.unwrapped.ale.getEpisodeFrameNumber())[1] for _ in range(resets)]
        measured = f"{min(noops[name])} to {max(noops[name])} instead of {min(noops['ours'])} to {max(noops['ours'])}"
        say(f"no-ops of {resets} resets", name, measured, "1 to 30, as the Lua code; the paper says up to 30")
        assert set(noops[name]) == set(range(1, 31))
    assert set(noops["ours"]) == set(range(31))


def test_sticky_actions_come_with_the_name_of_gymnasiums_v5_games(say):
    game = "breakout"
    for sticky, changes in ((0.25, {}), (0.0, {"repeat_action_probability": 0.0})):
        emulator = Emulator(game, identity="ALE/{}-v5", frameskip=1, **changes)
        peer, ours = Peer("gymnasium", emulator), new_streams(game)
        assert emulator.unwrapped.ale.getFloat("repeat_action_probability") == sticky
        peer.reset()
        ours.reset([emulator.emulator_seed])
        rng, differ = np.random.default_rng(0), 0
        for _ in range(60):  # no game is over by then
            action = int(rng.integers(4))
            differ += not np.array_equal(act(ours, action).frame[0], peer.step(action)[0])
        why = "> 0: the id ALE/...-v5 sets 0.25" if sticky else "0: set to 0.0 it is ours again"
        say(f"frames of ALE/Breakout-v5, {sticky}", "gymnasium", f"{differ} of 60", why)
        assert (differ > 0) == (sticky > 0)
