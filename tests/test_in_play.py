import numpy as np
import pytest

from dqn_ref.atari import Step
from dqn_ref.in_play import InPlay
from dqn_ref.train import Tick

DISCOUNT = 0.5


def tick(number, reward, over=(), cut=(), lost=(), *, iteration_ended=False) -> Tick:
    """A step in which each stream gets its ``reward``; the others name streams. Frames hold number and stream."""
    streams = np.arange(len(reward))
    game_over, truncated, life_lost = (np.isin(streams, which) for which in (over, cut, lost))
    frame = (10 * number + streams).astype(np.uint8)[:, None, None]
    step = Step(frame, frame, np.array(reward), game_over | life_lost, game_over, truncated, life_lost)
    return Tick(number, 0, 1.0, streams, step, np.clip(reward, -1.0, 1.0).astype(np.float32), iteration_ended)


def test_a_trace_by_hand():
    """Two streams; discount 1/2. Stream 1 loses a life, which ends what its start is worth, and later the game."""
    in_play = InPlay(2, 4, DISCOUNT)
    assert in_play.follow(tick(1, [7, 0])) == ()
    first, second = in_play.follow(tick(2, [1, -9], over=[1], cut=[0]))
    assert (first.stream, first.end, first.raw_return, first.clipped_return) == (0, "truncated", 8, 2)
    assert (second.stream, second.end, second.raw_return, second.clipped_return) == (1, "game_over", -9, -1)
    assert first.start is second.start is None  # what was before the first step was not seen
    assert (first.length_frames, first.lives_lost) == (8, 0)
    in_play.follow(tick(3, [0, 5]))
    in_play.follow(tick(4, [0, 3], lost=[1]))
    in_play.follow(tick(5, [0, 50]))
    (third,) = in_play.follow(tick(6, [0, 1], over=[1], lost=[1]))
    assert (third.raw_return, third.clipped_return, third.length_frames, third.lives_lost) == (59, 4, 16, 2)
    assert third.start.item() == 21  # frame of step 2, with which the game began
    assert third.start_return == 1 + 0.5  # rewards of steps 3 and 4; the lost life is terminal
    cut = in_play.follow(tick(7, [2, 0], iteration_ended=True))
    assert [(each.stream, each.end, each.raw_return, each.length_frames) for each in cut] == [
        (0, "iteration_end", 2, 20), (1, "iteration_end", 0, 4),
    ]  # fmt: skip
    after = in_play.follow(tick(8, [1, 1], over=[0, 1]))
    assert [each.start for each in after] == [None, None]  # a new iteration's first frame is not that of the step


@pytest.mark.parametrize("seed", range(3))
def test_streams_followed_together_are_those_followed_alone(seed):
    """300 random steps of five streams against each stream by itself."""
    random, streams = np.random.default_rng(seed), 5
    together, alone = InPlay(streams, 4, DISCOUNT), [InPlay(1, 4, DISCOUNT) for _ in range(streams)]
    seen = 0
    for number in range(1, 301):
        over, cut, lost = (np.flatnonzero(random.random(streams) < chance) for chance in (0.05, 0.03, 0.2))
        reward, iteration_ended = random.integers(-3, 4, streams), bool(random.random() < 0.02)
        ended = {
            each.stream: each
            for each in together.follow(tick(number % 20, reward, over, cut, lost, iteration_ended=iteration_ended))
        }
        for stream in range(streams):
            own = [np.zeros(int(stream in which), int) for which in (over, cut, lost)]
            expected = alone[stream].follow(
                tick(number % 20, reward[stream : stream + 1], *own, iteration_ended=iteration_ended)
            )
            found = ended.get(stream)
            assert (found is None) == (not expected)
            if found is not None:
                seen += 1
                same = ("end", "raw_return", "clipped_return", "length_frames", "lives_lost", "start_return")
                assert [getattr(found, name) for name in same] == [getattr(expected[0], name) for name in same]
                if found.start is not None:
                    assert found.start.item() - expected[0].start.item() == stream
    assert seen > 50
