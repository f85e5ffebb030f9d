import numpy as np
from scipy.stats import kstest

from dqn_ref.seeds import Member


def test_stream_seed_is_the_documented_hash():
    """sha256sum of "breakout/0/replay" and of "pong/7/emulator/3": first 8 bytes, modulo 2**31."""
    assert Member("breakout", 0).stream_seed("replay") == 0xF2D731DE285EEF42 % 2**31
    assert Member("pong", 7).stream_seed("emulator", 3) == 0x77D3BA7AE60B13E9 % 2**31


def test_game_seed_stream_and_index_each_change_the_seed():
    seeds = {
        Member(game, seed).stream_seed(stream, *index)
        for game in ("breakout", "pong")
        for seed in range(20)
        for stream in ("init", "explore", "replay")
        for index in ((), (0,), (1,), (0, 1))
    }
    assert len(seeds) == 2 * 20 * 3 * 4


def test_seeds_fill_what_the_emulator_takes():
    seeds = [Member("breakout", seed).stream_seed("emulator", 0) for seed in range(2_000)]
    assert min(seeds) >= 0
    assert max(seeds) < 2**31
    assert kstest(np.array(seeds) / 2**31, "uniform").pvalue > 1e-3


def test_neighbouring_run_seeds_share_no_emulator_seed():
    """The engine gives environment i the seed s + i, so seeds 0 and 1 would overlap if they were passed on."""
    seeds = sorted(Member("breakout", seed).stream_seed("emulator", i) for seed in range(10) for i in range(57))
    assert np.diff(seeds).min() > 64


def test_numpy_stream_is_a_function_of_its_name():
    member = Member("breakout", 3)
    first, again, other = (member.numpy_stream(name).random(5) for name in ("explore", "explore", "evaluation"))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_streams_draw_apart_from_one_another():
    member = Member("breakout", 3)
    expected = member.numpy_stream("explore").random(5)
    explore, beside = member.numpy_stream("explore"), member.numpy_stream("replay")
    drawn = [(beside.random(), explore.random())[1] for _ in range(5)]
    assert drawn == expected.tolist()
