import contextlib
import gc
import weakref

import numpy as np
import pytest
import torch
from scipy.stats import chisquare
from torch.utils._python_dispatch import TorchDispatchMode

from dqn_ref import launch
from dqn_ref.agent import Agent
from dqn_ref.atari import Step
from dqn_ref.build import make_population, make_streams
from dqn_ref.launch import Branches, Captured, Upload
from dqn_ref.population import Population
from dqn_ref.replay import Replay
from dqn_ref.seeds import Member
from dqn_ref.time_split import TimeSplit
from dqn_ref.train import train

CPU = torch.device("cpu")
BREAKOUT = Member("breakout", 0)


class FixedValues:
    """A learner whose Q values do not depend on the state, and that keeps what it is given."""

    def __init__(self, q: list[float]) -> None:
        self.q = torch.tensor(q)
        self.states, self.batches, self.syncs = [], [], 0

    def values(self, state):
        self.states.append(state.clone())
        return self.q.expand(len(state), -1)

    def update(self, batch):
        self.batches.append(batch)

    def sync_target(self):
        self.syncs += 1


def grey(*values: int) -> np.ndarray:
    """[C, 84, 84], a grey for each stream."""
    return np.stack([np.full((84, 84), value, np.uint8) for value in values])


def population(*members: Member, q=(0.0, 1.0, 0.5, -1.0), streams: int = 1, filled: int = 0) -> Population:
    """Each member's values are ``q``, or those of its own in a list of them."""
    members = members or (BREAKOUT,)
    of_each = q if isinstance(q, list) else [q] * len(members)
    count = len(members) * streams
    agents = [Agent(m, len(v), FixedValues(list(v)), streams) for m, v in zip(members, of_each, strict=True)]
    replay = Replay(count, 50, shortest_iteration=5, shortest_episode=5, discount=0.99, device=CPU)
    made = Population(agents, replay, batch_size=8)
    made.begin(grey(*range(1, count + 1)))
    for t in range(filled):
        made.store(np.full(count, t), answer([0] * count, frame=[t] * count))
    return made


def answer(reward: list[int], *, terminal=None, game_over=None, truncated=None, frame=None, final_frame=None) -> Step:
    """What the emulators answered; by default every game goes on and shows grey 2."""
    no = [False] * len(reward)
    frame = [2] * len(reward) if frame is None else frame
    return Step(
        frame=grey(*frame),
        final_frame=grey(*(frame if final_frame is None else final_frame)),
        reward=np.array(reward),
        terminal=np.array(terminal or no),
        game_over=np.array(game_over or no),
        truncated=np.array(truncated or no),
        life_lost=np.array(terminal or no),
    )


def learnt(made: Population, number: int = 0):
    """The only transition held, as the member learns it."""
    made.learn()
    return made.agents[number].learner.batches[-1]


def newest(made: Population, stream: int = 0) -> list[int]:
    return made.replay.newest_states()[stream, :, 0, 0].tolist()


# ---------------------------------------------------------------------- acting


def test_greedy_actions_are_each_members_own_argmax():
    members = [Member("pong", seed) for seed in range(3)]
    made = population(*members, q=[(0.0, 2.0), (5.0, -1.0, 1.0), (0.0, 1.0, 2.0, 3.0)])
    assert made.act(0.0).tolist() == [1, 0, 3]


def test_the_network_sees_the_newest_stack_and_only_when_it_is_asked():
    greedy = population()
    greedy.store(np.array([0]), answer([0], frame=[9]))
    greedy.act(0.0)
    states = greedy.agents[0].learner.states
    assert [tuple(state[0, :, 0, 0].tolist()) for state in states] == [(0, 0, 1, 9)]
    greedy.act(1.0)
    assert len(states) == 1


def test_every_member_sees_its_own_streams():
    made = population(BREAKOUT, Member("pong", 0), streams=2)
    made.act(0.0)
    seen = [agent.learner.states[0][:, 3, 0, 0].tolist() for agent in made.agents]
    assert seen == [[1, 2], [3, 4]]


def test_a_population_mixes_random_and_greedy_rows_as_each_member_would_alone():
    members, q = [Member("breakout", seed) for seed in range(4)], (0.0,) * 17 + (1.0,)
    together, alone = population(*members, q=q), [population(member, q=q) for member in members]
    mixed = 0
    for _ in range(30):
        rows = together.act(0.5).tolist()
        assert rows == [one.act(0.5)[0] for one in alone]
        mixed += 17 in rows and any(row != 17 for row in rows)
    assert mixed > 10  # greedy and random rows beside each other


# ---------------------------------------------------------------------- storing


@pytest.mark.fidelity(20)
@pytest.mark.parametrize(("raw", "stored"), [(200, 1.0), (1, 1.0), (0, 0.0), (-1, -1.0), (-7, -1.0)])
def test_the_stored_reward_is_the_clipped_sum(raw, stored):
    made = population()
    made.store(np.array([2]), answer([raw]))
    batch = learnt(made)
    assert batch.r_t.tolist() == [stored] * 8
    assert batch.a_tm1.tolist() == [2] * 8


@pytest.mark.fidelity(19)
def test_a_terminal_row_is_stored_without_bootstrap_and_the_history_starts_anew():
    made = population()
    made.store(np.array([0]), answer([0], terminal=[True]))
    assert learnt(made).discount_t.tolist() == [0] * 8
    assert newest(made) == [0, 0, 0, 2]


def test_a_row_that_goes_on_bootstraps_and_keeps_its_history():
    made = population()
    made.store(np.array([0]), answer([0]))
    assert learnt(made).discount_t.tolist() == pytest.approx([0.99] * 8)
    assert newest(made) == [0, 0, 1, 2]


@pytest.mark.fidelity(23)
def test_a_truncated_row_bootstraps_from_the_final_frame_and_the_next_episode_starts_anew():
    made = population()
    made.store(np.array([0]), answer([1], truncated=[True], frame=[50], final_frame=[60]))
    batch = learnt(made)
    assert batch.discount_t.tolist() == pytest.approx([0.99] * 8)
    assert batch.s_t[0, :, 0, 0].tolist() == [0, 0, 1, 60]
    assert newest(made) == [0, 0, 0, 50]


def test_a_life_lost_by_the_truncated_step_is_terminal_all_the_same():
    made = population()
    made.store(np.array([0]), answer([1], terminal=[True], truncated=[True], frame=[50], final_frame=[60]))
    assert learnt(made).discount_t.tolist() == [0] * 8
    assert newest(made) == [0, 0, 0, 50]


def test_members_learn_from_their_own_streams_only():
    """What one member's game does, a life lost or a cut, is not told to the other."""
    made = population(BREAKOUT, Member("pong", 0))
    made.store(np.array([3, 1]), answer([1, -1], terminal=[True, False], truncated=[False, True], frame=[7, 8],
                                        final_frame=[7, 9]))  # fmt: skip
    made.learn()
    first, second = (agent.learner.batches[0] for agent in made.agents)
    assert (first.a_tm1[0], first.r_t[0], first.discount_t[0]) == (3, 1.0, 0.0)
    assert (second.a_tm1[0], second.r_t[0]) == (1, -1.0)
    assert second.discount_t[0] == pytest.approx(0.99)
    assert second.s_t[0, :, 0, 0].tolist() == [0, 0, 2, 9]
    assert [newest(made, stream) for stream in (0, 1)] == [[0, 0, 0, 7], [0, 0, 0, 8]]


# ---------------------------------------------------------------------- learning


def drawn(made: Population, updates: int = 5) -> list[list[list[int]]]:
    """The actions of the batches, which tell the transitions, of every member."""
    for _ in range(updates):
        made.learn()
    return [[batch.a_tm1.tolist() for batch in agent.learner.batches] for agent in made.agents]


def test_a_member_learns_from_the_same_transitions_whoever_is_beside_it():
    members = [Member("breakout", 0), Member("pong", 3), Member("breakout", 1)]
    together = drawn(population(*members, filled=40))
    assert together == [drawn(population(member, filled=40))[0] for member in members]
    assert len({str(batches) for batches in together}) == 3


def test_a_member_learns_from_the_oldest_transition_as_often_as_from_the_newest():
    """1,600 draws from 40 transitions: about 40 of each. From the newest half alone, it would be 0 and 80."""
    made = population(filled=40)
    for _ in range(200):
        made.learn()
    drawn = torch.cat([batch.a_tm1 for batch in made.agents[0].learner.batches])
    counts = np.bincount(drawn.numpy(), minlength=40)
    assert counts.sum() == 1_600
    assert chisquare(counts).pvalue > 1e-3


def test_several_streams_of_a_member_are_drawn_from_alike():
    made = population(BREAKOUT, streams=4)
    for t in range(20):
        made.store(np.arange(4), answer([0] * 4, frame=[t] * 4))
    counts = np.bincount(np.array(drawn(made, 100)[0]).ravel(), minlength=4)
    assert counts.sum() == 800
    assert counts.min() > 150  # 200 expected


def test_members_with_several_streams_learn_from_all_their_own_and_no_others():
    made = population(BREAKOUT, Member("pong", 0), streams=2)
    for t in range(40):
        made.store(np.arange(4), answer([0] * 4, frame=[t] * 4))
    first, second = ({action for batch in batches for action in batch} for batches in drawn(made, 20))
    assert (first, second) == ({0, 1}, {2, 3})


def test_states_are_held_out_of_the_members_own_streams():
    made = population(BREAKOUT, Member("pong", 0))
    made.store(np.array([0, 1]), answer([0, 0], frame=[5, 6]))
    assert [set(made.heldout_batch(number, 10).a_tm1.tolist()) for number in (0, 1)] == [{0}, {1}]
    assert made.heldout_batch(1, 1).s_t[0, :, 0, 0].tolist() == [0, 0, 2, 6]


def test_holding_out_states_changes_no_later_batch():
    plain, measured = population(filled=40), population(filled=40)
    held = measured.heldout_batch(0, 20)
    assert torch.equal(held.s_tm1, measured.heldout_batch(0, 20).s_tm1)
    assert drawn(plain) == drawn(measured)


def test_every_member_is_synced():
    made = population(BREAKOUT, Member("pong", 0))
    made.sync_target()
    assert [agent.learner.syncs for agent in made.agents] == [1, 1]


# ---------------------------------------------------------------------- streams of a member


def test_more_streams_take_the_same_schedule_in_agent_steps(tiny_config):
    """Four streams: a step of all is four agent steps of the member, with one update and a quarter of the ticks."""
    ticks = {}
    for width in (1, 4):
        config = tiny_config(streams_per_member=width, target_period_agent_steps=50)
        streams = make_streams(config, ["breakout"])
        made = make_population(config, [BREAKOUT], [4], CPU)
        synced = []
        sync = made.sync_target
        made.sync_target = lambda sync=sync, synced=synced: (synced.append(True), sync())
        ticks[width] = [(tick.agent_step, tick.updates, len(synced)) for tick in train(config, made, streams,
                                                                                       TimeSplit())]  # fmt: skip
    assert ticks[4] == ticks[1][3::4]
    assert ticks[4][-1] == (240, 44, 5)


def test_streams_of_a_member_play_different_games(tiny_config):
    config = tiny_config(streams_per_member=4, epsilon_end=1.0)
    made = make_population(config, [BREAKOUT], [4], CPU)
    *_, last = train(config, made, make_streams(config, ["breakout"]), TimeSplit())
    assert len({frame.tobytes() for frame in last.step.frame}) == 4


# ---------------------------------------------------------------------- the launch, without a GPU


def test_work_is_captured_once_and_then_replayed(monkeypatch):
    """By a stand-in for CUDA: three plain calls, one recording that does nothing itself, replays from then on."""
    log = []

    class Graph:
        def replay(self):
            log.append("replay")

    class Context:
        def __init__(self, *args, **options):
            self.recording = bool(args) and isinstance(args[0], Graph)

        def __enter__(self):
            log.append("record") if self.recording else None

        def __exit__(self, *args):
            log.append("recorded") if self.recording else None

        def wait_stream(self, other):
            pass

    for name, value in {"CUDAGraph": Graph, "graph": Context, "stream": Context, "Stream": Context}.items():
        monkeypatch.setattr(launch.torch.cuda, name, value)
    monkeypatch.setattr(launch.torch.cuda, "current_stream", Context)
    captured = Captured(captures=True)
    for _ in range(6):
        captured(lambda: log.append("work"))
    assert log == ["work"] * 3 + ["record", "work", "recorded"] + ["replay"] * 3


def test_a_capture_that_breaks_off_leaves_the_stream_as_it_was(monkeypatch):
    """The stand-in leaves its stream the current one, as torch.cuda.graph does where the capture's end fails too."""
    current = ["trunk"]

    class Breaks:
        def __init__(self, graph, stream):
            self.stream = stream

        def __enter__(self):
            current[0] = self.stream

        def __exit__(self, *error):
            raise RuntimeError("capture_end failed, too")

    monkeypatch.setattr(torch.cuda, "Stream", lambda: "capture")
    monkeypatch.setattr(torch.cuda, "CUDAGraph", object)
    monkeypatch.setattr(torch.cuda, "graph", Breaks)
    monkeypatch.setattr(torch.cuda, "current_stream", lambda: current[0])
    monkeypatch.setattr(torch.cuda, "set_stream", lambda stream: current.__setitem__(0, stream))
    captured = Captured(captures=True)
    captured._calls = launch.WARM_UP_CALLS
    for _ in range(2):  # and it is tried again, not taken for done
        with pytest.raises(RuntimeError, match="capture_end"):
            captured(lambda: 1 / 0)
        assert current == ["trunk"]


def test_plain_work_is_done_at_every_call():
    log = []
    captured = Captured(captures=False)
    captured(lambda: log.append("work"))
    captured(lambda: log.append("more"))
    assert log == ["work", "more"]


def test_a_population_that_nothing_refers_to_is_freed_at_once(tiny_config):
    """And its graphs with it: no cycle keeps them for the garbage collector, which would free them at any time."""
    made = make_population(tiny_config(), [BREAKOUT], [4], CPU)
    made.begin(grey(0))
    for _ in range(5):
        made.store(np.zeros(1, np.int64), answer([0]))
    made.act(0.0)
    made.learn()
    seen = weakref.ref(made)
    gc.disable()
    try:
        del made
        assert seen() is None
    finally:
        gc.enable()


def test_branches_run_every_body_in_order_on_a_cpu():
    log = []
    Branches(3, CPU).run(log.append)
    assert log == [0, 1, 2]


def test_more_branches_than_streams_run_each_body_once_in_turn(monkeypatch):
    """On a GPU 5 bodies on 2 streams: 0, 2, 4 on the first and 1, 3 on the second, each waiting for the fork once."""
    log = []

    class Stream:
        def __init__(self, *_):
            self.name = sum(entry[0] == "made" for entry in log)
            log.append(("made", self.name))

        def wait_event(self, event):
            log.append((self.name, "waits"))

        def record_event(self):
            return "fork"

        def wait_stream(self, other):
            log.append(("joined", other.name))

    trunk = Stream()
    monkeypatch.setattr(launch, "BRANCH_STREAMS", 2)
    monkeypatch.setattr(torch.cuda, "Stream", Stream)
    monkeypatch.setattr(torch.cuda, "current_stream", lambda: trunk)
    monkeypatch.setattr(torch.cuda, "stream", lambda stream: contextlib.nullcontext())
    branches = Branches(5, torch.device("cuda"))
    del log[:]
    branches.run(log.append)
    assert log == [(1, "waits"), 0, 2, 4, (2, "waits"), 1, 3, ("joined", 1), ("joined", 2)]


def test_two_populations_in_turns_share_no_stream():
    """Of 32: a turn each, two captures each, and the branches."""
    assert 2 * (1 + 2 + launch.BRANCH_STREAMS) <= 32


def test_nothing_is_collected_during_a_capture():
    freed = []

    class Older:
        def __init__(self):
            self.itself = self

        def __del__(self):
            freed.append(True)

    def garbage() -> None:
        Older()

    garbage()
    with launch._no_collection():
        assert freed == [True]  # what was garbage before is gone
        assert not gc.isenabled()
    assert gc.isenabled()
    with pytest.raises(ZeroDivisionError), launch._no_collection():
        raise ZeroDivisionError
    assert gc.isenabled()


def test_an_upload_copies_what_is_there_now():
    upload, target = Upload((2, 3), torch.float32, CPU), torch.zeros(2, 3)
    source = np.ones((2, 3), np.float32)
    upload(source, target)
    source[:] = 5
    assert torch.equal(target, torch.ones(2, 3))


class NoReading(TorchDispatchMode):
    """Refuses what makes the host wait for the device: the read of a number, and shapes that depend on values."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        assert func.overloadpacket.__name__ not in ("_local_scalar_dense", "nonzero", "masked_select"), func
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("padding", ["zeros", "first_frame"])
@pytest.mark.parametrize("streams", [1, 2])
def test_what_is_captured_reads_nothing_from_the_host(tiny_config, streams, padding):
    """A real update and a real choice; where one of them called item, a capture would fail or freeze the number."""
    config = tiny_config(streams_per_member=streams, history_padding=padding)
    made = make_population(config, [BREAKOUT, Member("pong", 0)], [4, 6], CPU)
    count = 2 * streams
    made.begin(grey(*range(count)))
    for t in range(20):
        made.store(np.zeros(count, np.int64), answer([0] * count, frame=[t] * count))
    made.learn()
    with NoReading():
        made._update_all()
        made._choose_all()


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"streams_per_member": 2},
        {"precision": "bfloat16"},
        {"optimizer": "adam"},
        {"history_padding": "first_frame"},
    ],
    ids=str,
)
def test_nothing_of_a_step_meets_a_tensor_of_the_cpu(tiny_config, monkeypatch, changes):
    """On "meta", which computes nothing: like a GPU it takes the way of operations, and refuses what lies elsewhere."""
    monkeypatch.setattr(Upload, "__call__", lambda self, source, target: target.copy_(torch.from_numpy(source.copy())))
    config = tiny_config(**changes)
    made = make_population(config, [BREAKOUT, Member("pong", 0)], [4, 6], torch.device("meta"))
    count = 2 * config.streams_per_member
    made.begin(grey(*range(count)))
    for t in range(20):
        made.store(np.zeros(count, np.int64), answer([0] * count, frame=[t] * count))
    made.learn()
    made.sync_target()
    made._choose_all()
    assert {made.agents[0].learner.loss_sum.device, made.replay.frames.device} == {torch.device("meta")}


def test_a_tensor_of_the_cpu_would_be_noticed():
    with pytest.raises(RuntimeError, match=r"meta|device"):
        torch.zeros(3, device="meta") + torch.zeros(3)


def test_an_integer_tensor_as_an_index_would_be_noticed():
    with pytest.raises(AssertionError, match="_local_scalar_dense"), NoReading():
        torch.zeros(3)[torch.tensor(1)]
