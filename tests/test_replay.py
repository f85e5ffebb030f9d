import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from one_stream import OneStream

from dqn_ref.config import TRANSITION_BYTES
from dqn_ref.replay import Batch, Replay

CPU = torch.device("cpu")


def grey(value: int) -> np.ndarray:
    return np.full((84, 84), value, np.uint8)


def values(states: torch.Tensor) -> list[tuple[int, ...]]:
    """Grey values [B, 4] of states whose frames are of one grey each."""
    assert (states == states[:, :, :1, :1]).all()
    return [tuple(state) for state in states[:, :, 0, 0].tolist()]


def everything(replay: OneStream) -> Batch:
    """One row for each transition held."""
    return replay.batch(np.arange(replay.replay.size))


def transitions(replay: OneStream) -> dict[int, tuple]:
    """Every transition held, by action (which the tests use as a serial number)."""
    batch = everything(replay)
    rows = zip(values(batch.s_tm1), batch.r_t.tolist(), batch.discount_t.tolist(), values(batch.s_t), strict=True)
    held = dict(zip(batch.a_tm1.tolist(), rows, strict=True))
    assert len(held) == replay.replay.size  # none twice
    return held


# ---------------------------------------------------------------------- a trace by hand


@pytest.mark.fidelity(9, 16)
def test_a_trace_by_hand():
    """Frames 1 2 3 | 4 (a life lost) 5, cut, then 9: stacks are oldest first and zero before their start."""
    replay = OneStream(10, 2, 0.5)
    replay.begin(grey(1))
    replay.append(10, 0.0, False, grey(2))
    replay.append(11, 1.0, False, grey(3))
    replay.append(12, -1.0, True, grey(4))
    replay.append(13, 0.0, False, grey(9), final_frame=grey(5))
    replay.append(14, 0.25, False, grey(8))
    replay.append(15, -0.5, True, grey(6), final_frame=grey(7))  # a life lost at the cut
    replay.append(16, 0.5, False, grey(11))
    replay.begin(grey(20))  # no transition leads here
    replay.append(17, 0.0, False, grey(21))
    assert transitions(replay) == {
        10: ((0, 0, 0, 1), 0.0, 0.5, (0, 0, 1, 2)),
        11: ((0, 0, 1, 2), 1.0, 0.5, (0, 1, 2, 3)),
        12: ((0, 1, 2, 3), -1.0, 0.0, (0, 0, 0, 4)),  # discount 0: what follows does not matter
        13: ((0, 0, 0, 4), 0.0, 0.5, (0, 0, 4, 5)),  # the cut one bootstraps
        14: ((0, 0, 0, 9), 0.25, 0.5, (0, 0, 9, 8)),
        15: ((0, 0, 9, 8), -0.5, 0.0, (0, 0, 0, 7)),
        16: ((0, 0, 0, 6), 0.5, 0.5, (0, 0, 6, 11)),
        17: ((0, 0, 0, 20), 0.0, 0.5, (0, 0, 20, 21)),
    }


def test_the_state_to_act_in_has_zeros_before_an_episodes_first_frame():
    replay = OneStream(10, 2)
    replay.begin(grey(1))
    seen = values(replay.newest_state())
    for k, terminal in enumerate([False, False, False, False, True, False], start=2):
        replay.append(0, 0.0, terminal, grey(k))
        seen += values(replay.newest_state())
    cut = grey(200)
    for k, terminal, final_frame in ((97, False, cut), (98, False, None), (99, True, cut), (9, False, None)):
        replay.append(0, 0.0, terminal, grey(k), final_frame)
        seen += values(replay.newest_state())
    replay.begin(grey(100))
    seen += values(replay.newest_state())
    replay.append(0, 0.0, False, grey(101))
    seen += values(replay.newest_state())
    assert seen == [
        (0, 0, 0, 1), (0, 0, 1, 2), (0, 1, 2, 3), (1, 2, 3, 4), (2, 3, 4, 5),
        (0, 0, 0, 6),  # after a life loss
        (0, 0, 6, 7),
        (0, 0, 0, 97),  # after a cut
        (0, 0, 97, 98),
        (0, 0, 0, 99),  # after both
        (0, 0, 99, 9),
        (0, 0, 0, 100),  # in a new iteration
        (0, 0, 100, 101),
    ]  # fmt: skip


def test_terminal_transition_has_no_bootstrap():
    replay = OneStream(4, 4)
    replay.begin(grey(1))
    replay.append(0, 1.0, True, grey(2))
    assert replay.sample(5).discount_t.tolist() == [0.0] * 5


def test_truncated_transition_bootstraps_from_the_frame_that_followed():
    replay = OneStream(4, 1)
    replay.begin(grey(1))
    replay.append(0, 1.0, False, grey(3), final_frame=grey(2))  # 3 is the next episode's
    batch = replay.sample(1)
    assert batch.discount_t.item() == pytest.approx(0.99)
    assert values(batch.s_t) == [(0, 0, 1, 2)]


# ---------------------------------------------------------------------- the ring, against a list


class NaiveReplay:
    """A Python list of whole transitions: what the ring must be indistinguishable from."""

    def __init__(self, capacity: int, repeat_first_frame: bool) -> None:
        self.capacity = capacity
        self.repeat_first_frame = repeat_first_frame
        self.held: list[tuple] = []
        self.state = (0, 0, 0, 0)

    def first(self, frame: int) -> tuple[int, ...]:
        return (frame,) * 4 if self.repeat_first_frame else (0, 0, 0, frame)

    def begin(self, frame: int) -> None:
        self.state = self.first(frame)

    def append(self, action: int, reward: float, terminal: bool, frame: int, final_frame: int | None) -> None:
        followed = frame if final_frame is None else final_frame
        next_state = self.first(followed) if terminal else (*self.state[1:], followed)
        self.held.append((action, (self.state, reward, 0.0 if terminal else 0.5, next_state)))
        self.held = self.held[-self.capacity :]
        self.state = next_state if final_frame is None else self.first(frame)


@settings(max_examples=40, deadline=None)
@given(
    capacity=st.integers(1, 12),
    episode=st.integers(1, 9),
    iteration=st.integers(1, 9),
    kinds=st.lists(
        st.sampled_from(["on", "on", "on", "terminal", "truncated", "terminal and truncated", "begin"]),
        min_size=1,
        max_size=60,
    ),
    repeat_first_frame=st.booleans(),
)
# As often as allowed; capacities below a stack, and of which neither period is a divisor: not a slot to spare.
@example(1, 1, 1, ["truncated", "begin"] * 20, False)
@example(1, 9, 9, ["on"] * 20, False)
@example(3, 9, 9, ["on"] * 20, False)
@example(3, 2, 2, ["truncated", "begin"] * 20, False)
@example(3, 2, 9, ["terminal and truncated"] * 20, False)
@example(5, 9, 4, ["on", "begin"] * 40, False)
@example(5, 9, 4, ["on", "begin"] * 40, True)
@example(5, 9, 9, ["on", "begin"] * 40, False)
@example(5, 4, 9, ["truncated"] * 40, False)
@example(11, 3, 4, ["truncated", "begin"] * 40, False)
@example(11, 3, 9, ["terminal and truncated"] * 40, True)
@pytest.mark.fidelity(9, 16, 25)
def test_the_ring_holds_what_a_list_of_transitions_would(capacity, episode, iteration, kinds, repeat_first_frame):
    """Wrap-around, ends of lives, and in any mixture cuts, of an episode or all, once they are allowed again."""
    ring = OneStream(capacity, iteration, 0.5, shortest_episode=episode, repeat_first_frame=repeat_first_frame)
    naive = NaiveReplay(capacity, repeat_first_frame)
    serial, t, begun, cut = iter(range(1, 250)), 0, 0, 0

    def begin() -> None:
        frame = next(serial)
        ring.begin(grey(frame))
        naive.begin(frame)

    begin()
    for kind in kinds:
        if kind == "begin":
            if t - begun >= iteration:
                begun = cut = t
                begin()
        else:
            t += 1
            frame, final_frame, reward, terminal = next(serial), None, (t % 3) - 1.0, "terminal" in kind
            if "truncated" in kind and t - cut >= episode:
                final_frame, cut = next(serial), t
            ring.append(t, reward, terminal, grey(frame), None if final_frame is None else grey(final_frame))
            naive.append(t, reward, terminal, frame, final_frame)
        assert values(ring.newest_state()) == [naive.state]
        assert transitions(ring) == dict(naive.held)


# ---------------------------------------------------------------------- streams side by side


def assert_equal(batch: Batch, other: Batch) -> None:
    for name, value in vars(batch).items():
        assert torch.equal(value, getattr(other, name)), name


@pytest.mark.parametrize("repeat_first_frame", [False, True])
def test_a_stream_is_what_it_would_be_alone(repeat_first_frame):
    """Three streams, each with ends and cuts at steps of its own; drawn as by members of one stream, and of three."""
    count, capacity, steps = 3, 11, 60
    rng = np.random.default_rng(0)
    frames, final_frames = rng.integers(0, 256, (2, steps, count, 84, 84), dtype=np.uint8)
    actions, rewards = rng.integers(18, size=(steps, count)), rng.integers(-1, 2, (steps, count)).astype(np.float32)
    terminal = rng.random((steps, count)) < 0.2
    truncated = np.arange(1, steps + 1)[:, None] % [5, 7, 4] == 0
    assert (truncated.sum(axis=1) == 1).any()
    assert (truncated.sum(axis=1) == 2).any()
    assert (truncated & terminal).any()

    options = {"discount": 0.99, "device": CPU, "repeat_first_frame": repeat_first_frame}
    together = Replay(count, capacity, shortest_iteration=13, shortest_episode=4, **options)
    alone = [OneStream(capacity, 13, shortest_episode=4, **options) for _ in range(count)]
    for t in range(steps):
        if t % 13 == 0:
            first = rng.integers(0, 256, (count, 84, 84), dtype=np.uint8)
            together.begin(first)
            for one, frame in zip(alone, first, strict=True):
                one.begin(frame)
        together.append(actions[t], rewards[t], terminal[t], frames[t], truncated[t], final_frames[t])
        for c, one in enumerate(alone):
            final_frame = final_frames[t, c] if truncated[t, c] else None
            one.append(actions[t, c], rewards[t, c], terminal[t, c], frames[t, c], final_frame)

        assert torch.equal(together.newest_states(), torch.cat([one.newest_state() for one in alone]))
        assert {one.replay.size for one in alone} == {together.size}
        rows = rng.integers(together.size * count, size=40)
        row, stream = rows // count, rows % count
        batch = together.batch(torch.from_numpy(together.slots_of(row)), torch.from_numpy(stream))
        for c, one in enumerate(alone):
            mine = torch.from_numpy(stream == c)
            assert_equal(Batch(*(value[mine] for value in vars(batch).values())), one.batch(row[stream == c]))
            assert_equal(batch.rows(slice(8 * c, 8 * c + 8)), together.batch(
                torch.from_numpy(together.slots_of(row[8 * c : 8 * c + 8])),
                torch.from_numpy(stream[8 * c : 8 * c + 8]),
            ))  # fmt: skip


def test_without_a_word_on_truncation_there_is_none():
    told, untold = (Replay(2, 6, shortest_iteration=6, shortest_episode=6, discount=0.99, device=CPU) for _ in range(2))
    frames = np.random.default_rng(0).integers(0, 256, (7, 2, 84, 84), dtype=np.uint8)
    for replay in (told, untold):
        replay.begin(frames[0])
    for t, frame in enumerate(frames[1:]):
        values = np.full(2, t), np.ones(2, np.float32), np.zeros(2, np.bool_)
        told.append(*values, frame, np.zeros(2, np.bool_), frames[0])
        untold.append(*values, frame)
    slot, stream = torch.from_numpy(told.slots_of(np.arange(6))), torch.tensor([0, 1] * 3)
    assert_equal(told.batch(slot, stream), untold.batch(slot, stream))


def test_real_frames_come_back_pixel_by_pixel():
    """Grey values cannot show a transposed or shifted picture; random pixels do."""
    pixels = np.random.default_rng(0).integers(0, 256, (30, 84, 84), dtype=np.uint8)
    replay = OneStream(12, 100)
    replay.begin(pixels[0])
    for t in range(1, 30):
        replay.append(t - 1, 0.0, False, pixels[t])
    batch = everything(replay)
    assert len(batch.a_tm1) == 12
    for k, t in enumerate(batch.a_tm1.tolist()):
        assert np.array_equal(batch.s_tm1[k].numpy(), pixels[t - 3 : t + 1])
        assert np.array_equal(batch.s_t[k].numpy(), pixels[t - 2 : t + 2])
    assert np.array_equal(replay.newest_state()[0].numpy(), pixels[26:30])


def test_a_batch_handed_out_is_not_changed_by_what_is_stored_later():
    replay = OneStream(2, 2)
    replay.begin(grey(1))
    replay.append(0, 0.0, False, grey(2))
    batch, state = replay.sample(1), replay.newest_state()
    for k in range(3, 30):
        replay.append(0, 1.0, False, grey(k))
    assert values(batch.s_t) == [(0, 0, 1, 2)]
    assert values(state) == [(0, 0, 1, 2)]
    assert batch.r_t.tolist() == [0.0]


def test_what_is_given_may_be_changed_afterwards():
    """Emulators write into the same arrays again."""
    replay, frame, final_frame = OneStream(4, 1), grey(1), grey(2)
    replay.begin(frame)
    frame[:] = 3
    replay.append(0, 0.0, False, frame, final_frame)
    frame[:], final_frame[:] = 4, 5
    assert values(replay.newest_state()) == [(0, 0, 0, 3)]
    assert transitions(replay) == {0: ((0, 0, 0, 1), 0.0, pytest.approx(0.99), (0, 0, 1, 2))}


# ---------------------------------------------------------------------- rows


def filled(capacity: int = 20, added: int = 33) -> OneStream:
    """Wrapped, with life losses, cuts and iterations in it."""
    replay = OneStream(capacity, 5)
    replay.begin(grey(0))
    for t in range(added):
        replay.append(t, 0.0, t % 7 == 6, grey(t + 1), grey(100 + t) if t % 5 == 4 else None)
        if t % 11 == 10:
            replay.begin(grey(200 + t % 11))
    return replay


@pytest.mark.parametrize("added", [1, 9, 19, 20, 21, 33, 40])
@pytest.mark.fidelity(25)
def test_each_of_the_newest_transitions_has_one_row(added):
    """So uniform rows are uniform transitions: partly full, full, right after the ring has wrapped, wrapped twice."""
    replay = filled(added=added)
    held = list(range(max(0, added - 20), added))
    assert replay.replay.size == len(held)
    assert sorted(everything(replay).a_tm1.tolist()) == held


def test_rows_are_taken_in_the_order_and_as_often_as_they_are_drawn():
    replay, rows = filled(), np.array([19, 0, 7, 7, 0, 3])
    assert replay.batch(rows).a_tm1.tolist() == everything(replay).a_tm1[torch.from_numpy(rows)].tolist()
    assert np.array_equal(replay.replay.slots_of(rows.reshape(2, 3)), replay.replay.slots_of(rows).reshape(2, 3))


# ---------------------------------------------------------------------- memory


@pytest.mark.parametrize("streams", [1, 4])
@pytest.mark.fidelity(9)
def test_a_transition_costs_one_frame_and_little_more(streams):
    """The paper's 1M transitions, episodes of 108,000 frames at most; on "meta" nothing is allocated."""
    replay = Replay(streams, 1_000_000, shortest_iteration=250_000, shortest_episode=27_000, discount=0.99,
                    device=torch.device("meta"))  # fmt: skip
    table = replay._slot_of.nbytes
    assert table == 8 * 1_000_000  # on the host, once for all streams
    held = [value for value in vars(replay).values() if isinstance(value, torch.Tensor | np.ndarray)]
    stored = (sum(array.nbytes for array in held) - table) / streams + table
    assert stored / 1_000_000 == pytest.approx(TRANSITION_BYTES, rel=1e-4)
    assert replay.frames.nbytes + replay.info.nbytes == pytest.approx(stored * streams - table * streams, rel=1e-6)
    assert stored / 1_000_000 <= 84 * 84 * 1.02
    assert stored <= 7.2e9


@pytest.mark.fidelity(3, 9)
def test_frames_are_kept_and_handed_out_as_bytes():
    replay = filled()
    batch = replay.sample(4)
    kept = replay.replay.frames
    assert {kept.dtype, replay.newest_state().dtype, batch.s_tm1.dtype, batch.s_t.dtype} == {torch.uint8}
    assert replay.newest_state().shape == (1, 4, 84, 84)
    assert batch.s_tm1.shape == batch.s_t.shape == (4, 4, 84, 84)
    assert (batch.a_tm1.dtype, batch.r_t.dtype, batch.discount_t.dtype) == (torch.int64, torch.float32, torch.float32)
    assert batch.a_tm1.shape == batch.r_t.shape == batch.discount_t.shape == (4,)


def test_every_action_of_the_full_set_survives_storage():
    replay = OneStream(18, 18)
    replay.begin(grey(0))
    for action in range(18):
        replay.append(action, 0.0, False, grey(action))
    assert sorted(everything(replay).a_tm1.tolist()) == list(range(18))
