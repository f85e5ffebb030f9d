import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare

from dqn_ref.config import TRANSITION_BYTES
from dqn_ref.replay import Replay

CPU = torch.device("cpu")


def grey(value: int) -> np.ndarray:
    return np.full((84, 84), value, np.uint8)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def values(states: torch.Tensor) -> list[tuple[int, ...]]:
    """Grey values [B, 4] of states whose frames are of one grey each."""
    assert (states == states[:, :, :1, :1]).all()
    return [tuple(state) for state in states[:, :, 0, 0].tolist()]


def transitions(replay: Replay, draws: int = 400) -> dict[int, tuple]:
    """Everything that ``sample`` ever hands out, by action (which the tests use as a serial number)."""
    batch = replay.sample(draws, generator())
    rows = zip(values(batch.s_tm1), batch.a_tm1.tolist(), batch.r_t.tolist(), batch.discount_t.tolist(),
               values(batch.s_t), strict=True)  # fmt: skip
    held: dict[int, tuple] = {}
    for s_tm1, action, reward, discount, s_t in rows:
        assert held.setdefault(action, (s_tm1, reward, discount, s_t)) == (s_tm1, reward, discount, s_t)
    return held


# ---------------------------------------------------------------------- a trace by hand


def test_a_trace_by_hand():
    """Frames 1 2 3 | 4 (a life lost) 5, cut, then 9: stacks are oldest first and zero before their start."""
    replay = Replay(10, 2, 0.5, CPU)
    replay.begin(grey(1))
    replay.append(10, 0.0, False, grey(2))
    replay.append(11, 1.0, False, grey(3))
    replay.append(12, -1.0, True, grey(4))
    replay.append(13, 0.0, False, grey(5))
    replay.begin(grey(9))
    replay.append(14, 0.25, False, grey(8))
    assert transitions(replay) == {
        10: ((0, 0, 0, 1), 0.0, 0.5, (0, 0, 1, 2)),
        11: ((0, 0, 1, 2), 1.0, 0.5, (0, 1, 2, 3)),
        12: ((0, 1, 2, 3), -1.0, 0.0, (0, 0, 0, 4)),  # discount 0: what follows does not matter
        13: ((0, 0, 0, 4), 0.0, 0.5, (0, 0, 4, 5)),  # the cut one bootstraps
        14: ((0, 0, 0, 9), 0.25, 0.5, (0, 0, 9, 8)),
    }


def test_the_state_to_act_in_has_zeros_before_an_episodes_first_frame():
    replay = Replay(10, 10, 0.99, CPU)
    replay.begin(grey(1))
    seen = values(replay.newest_state())
    for k, terminal in enumerate([False, False, False, False, True, False], start=2):
        replay.append(0, 0.0, terminal, grey(k))
        seen += values(replay.newest_state())
    replay.begin(grey(99))
    seen += values(replay.newest_state())
    assert seen == [
        (0, 0, 0, 1), (0, 0, 1, 2), (0, 1, 2, 3), (1, 2, 3, 4), (2, 3, 4, 5),
        (0, 0, 0, 6),  # after a life loss
        (0, 0, 6, 7),
        (0, 0, 0, 99),  # after a cut
    ]  # fmt: skip


def test_terminal_transition_has_no_bootstrap():
    replay = Replay(4, 4, 0.99, CPU)
    replay.begin(grey(1))
    replay.append(0, 1.0, True, grey(2))
    assert replay.sample(5, generator()).discount_t.tolist() == [0.0] * 5


def test_truncated_transition_bootstraps_from_the_frame_that_followed():
    replay = Replay(4, 1, 0.99, CPU)
    replay.begin(grey(1))
    replay.append(0, 1.0, False, grey(2))
    replay.begin(grey(3))  # the next episode
    batch = replay.sample(1, generator())
    assert batch.discount_t.item() == pytest.approx(0.99)
    assert values(batch.s_t) == [(0, 0, 1, 2)]


# ---------------------------------------------------------------------- the ring, against a list


class NaiveReplay:
    """A Python list of whole transitions: what the ring must be indistinguishable from."""

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.held: list[tuple] = []
        self.state = (0, 0, 0, 0)

    def begin(self, frame: int) -> None:
        self.state = (0, 0, 0, frame)

    def append(self, action: int, reward: float, terminal: bool, frame: int) -> None:
        next_state = (0, 0, 0, frame) if terminal else (*self.state[1:], frame)
        self.held.append((action, (self.state, reward, 0.0 if terminal else 0.5, next_state)))
        self.held = self.held[-self.capacity :]
        self.state = next_state


@settings(max_examples=40, deadline=None)
@given(
    capacity=st.integers(1, 12),
    episode_cap=st.integers(1, 9),
    iteration=st.integers(1, 9),
    outcomes=st.lists(st.sampled_from(["on", "on", "on", "life", "over"]), min_size=1, max_size=60),
)
@example(capacity=1, episode_cap=9, iteration=9, outcomes=["on"] * 20)
@example(capacity=3, episode_cap=9, iteration=9, outcomes=["on"] * 20)  # less than a stack
@example(capacity=5, episode_cap=4, iteration=4, outcomes=["on"] * 40)  # not a slot to spare
def test_the_ring_holds_what_a_list_of_transitions_would(capacity, episode_cap, iteration, outcomes):
    """Wrap-around, life losses, truncations every ``episode_cap`` steps and iteration ends, in any mixture."""
    ring, naive = Replay(capacity, min(episode_cap, iteration), 0.5, CPU), NaiveReplay(capacity)
    serial, in_episode = iter(range(1, 250)), 0

    def begin() -> None:
        frame = next(serial)
        ring.begin(grey(frame))
        naive.begin(frame)

    begin()
    for t, outcome in enumerate(outcomes, start=1):
        assert values(ring.newest_state()) == [naive.state]
        frame, reward, terminal = next(serial), (t % 3) - 1.0, outcome != "on"
        in_episode += 1
        cut = in_episode == episode_cap and outcome != "over"
        ring.append(t, reward, terminal and not cut, grey(frame))
        naive.append(t, reward, terminal and not cut, frame)
        if outcome == "over" or cut:
            in_episode = 0
        if cut:
            begin()
        if t % iteration == 0:
            in_episode = 0
            begin()
    # 400 draws miss one of at most 12 transitions with probability 12 * (11/12)**400 < 1e-14.
    assert transitions(ring) == dict(naive.held)


def test_real_frames_come_back_pixel_by_pixel():
    """Grey values cannot show a transposed or shifted picture; random pixels do."""
    pixels = np.random.default_rng(0).integers(0, 256, (30, 84, 84), dtype=np.uint8)
    replay = Replay(12, 100, 0.99, CPU)
    replay.begin(pixels[0])
    for t in range(1, 30):
        replay.append(t - 1, 0.0, False, pixels[t])
    batch = replay.sample(100, generator())
    for k, t in enumerate(batch.a_tm1.tolist()):
        assert np.array_equal(batch.s_tm1[k].numpy(), pixels[t - 3 : t + 1])
        assert np.array_equal(batch.s_t[k].numpy(), pixels[t - 2 : t + 2])
    assert np.array_equal(replay.newest_state()[0].numpy(), pixels[26:30])


def test_a_batch_handed_out_is_not_changed_by_what_is_stored_later():
    replay = Replay(2, 2, 0.99, CPU)
    replay.begin(grey(1))
    replay.append(0, 0.0, False, grey(2))
    batch, state = replay.sample(1, generator()), replay.newest_state()
    for k in range(3, 30):
        replay.append(0, 1.0, False, grey(k))
    assert values(batch.s_t) == [(0, 0, 1, 2)]
    assert values(state) == [(0, 0, 1, 2)]
    assert batch.r_t.tolist() == [0.0]


# ---------------------------------------------------------------------- sampling


def filled(capacity: int = 20, added: int = 33) -> Replay:
    """Wrapped, with life losses and a cut in it."""
    replay = Replay(capacity, 5, 0.99, CPU)
    replay.begin(grey(0))
    for t in range(added):
        replay.append(t, 0.0, t % 7 == 6, grey(t + 1))
        if t % 11 == 10:
            replay.begin(grey(200 + t % 11))
    return replay


def drawn(replay: Replay, count: int, seed: int) -> np.ndarray:
    """Serial numbers of transitions from batches of 32."""
    draw = generator(seed)
    return np.concatenate([replay.sample(32, draw).a_tm1.numpy() for _ in range(count // 32)])


@pytest.mark.parametrize("added", [1, 9, 19, 20, 21, 33, 40])
def test_sampling_is_uniform_over_the_newest_transitions(added):
    """Partly full, full to the last row, right after the ring has wrapped, and wrapped twice."""
    held = range(max(0, added - 20), added)
    draws = drawn(filled(added=added), 8_000, seed=1)
    assert set(draws) == set(held)
    assert len(held) == 1 or chisquare(np.bincount(draws)[held.start :]).pvalue > 1e-3


def test_successive_batches_are_independent():
    """Pairs of successive draws, counted in a table of 5 by 5, are uniform too."""
    draws = drawn(filled(), 6_400, seed=3) - 13
    pairs = np.bincount(draws[:-1] // 4 * 5 + draws[1:] // 4, minlength=25)
    assert chisquare(pairs).pvalue > 1e-3


def test_the_same_generator_draws_the_same_batches_and_another_does_not():
    first = drawn(filled(), 96, seed=5)
    assert np.array_equal(first, drawn(filled(), 96, seed=5))
    assert not np.array_equal(first, drawn(filled(), 96, seed=6))
    assert not np.array_equal(first[:32], first[32:64])  # the generator moves on


def test_sampling_leaves_the_global_generator_alone():
    before = torch.get_rng_state()
    filled().sample(32, generator())
    assert torch.equal(before, torch.get_rng_state())


# ---------------------------------------------------------------------- memory


def test_a_transition_costs_one_frame_and_little_more():
    """The paper's 1M transitions, episodes of 108,000 frames at most; on "meta" nothing is allocated."""
    replay = Replay(1_000_000, 27_000, 0.99, torch.device("meta"))
    stored = sum(tensor.nbytes for tensor in vars(replay).values() if isinstance(tensor, torch.Tensor))
    assert stored / 1_000_000 <= 84 * 84 * 1.02
    assert stored <= 7.2e9
    assert stored / 1_000_000 == pytest.approx(TRANSITION_BYTES, rel=1e-3)


def test_frames_are_kept_and_handed_out_as_bytes():
    replay = filled()
    batch = replay.sample(4, generator())
    assert {replay.frames.dtype, replay.newest_state().dtype, batch.s_tm1.dtype, batch.s_t.dtype} == {torch.uint8}
    assert batch.s_tm1.shape == batch.s_t.shape == (4, 4, 84, 84)
    assert (batch.a_tm1.dtype, batch.r_t.dtype, batch.discount_t.dtype) == (torch.int64, torch.float32, torch.float32)


def test_every_action_of_the_full_set_survives_storage():
    replay = Replay(18, 18, 0.99, CPU)
    replay.begin(grey(0))
    for action in range(18):
        replay.append(action, 0.0, False, grey(action))
    assert set(replay.sample(500, generator()).a_tm1.tolist()) == set(range(18))
