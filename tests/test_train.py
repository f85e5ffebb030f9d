import copy

import numpy as np
import pytest
import torch

from dqn_ref.agent import Agent
from dqn_ref.atari import Step
from dqn_ref.build import make_population, make_streams
from dqn_ref.population import Population
from dqn_ref.replay import Replay
from dqn_ref.seeds import Member
from dqn_ref.time_split import TimeSplit
from dqn_ref.train import train, train_in_turns

CPU = torch.device("cpu")

# ---------------------------------------------------------------------- a tape of the calls


class TapedLearner:
    def __init__(self, tape, name):
        self.tape, self.name = tape, name

    def values(self, state):
        self.tape.append(("act", self.name))
        return torch.zeros(len(state), 4)

    def update(self, batch):
        self.tape.append(("update", self.name))

    def sync_target(self):
        self.tape.append(("sync", self.name))


class TapedReplay(Replay):
    def __init__(self, tape, count):
        super().__init__(count, 100, shortest_iteration=5, shortest_episode=5, discount=0.99, device=CPU)
        self.tape = tape

    def begin(self, frame):
        self.tape.append("begin")
        super().begin(frame)

    def append(self, *transitions):
        self.tape.append("store")
        super().append(*transitions)


class TapedStreams:
    """Emulators that answer at once and never end an episode."""

    def __init__(self, tape, count):
        self.tape, self.count, self.seeds = tape, count, []

    def reset(self, seeds):
        self.seeds.append(list(seeds))
        self.tape.append("reset")
        return np.zeros((self.count, 84, 84), np.uint8)

    def send(self, actions):
        self.tape.append("send")

    def recv(self):
        self.tape.append("recv")
        no = np.zeros(self.count, bool)
        frame = np.zeros((self.count, 84, 84), np.uint8)
        return Step(frame, frame, np.zeros(self.count, np.int64), no, no, no, no)


def taped(config, names="a"):
    """Per agent step, the events on the tape; then the streams, and the ticks."""
    tape = []
    agents = [Agent(Member("breakout", k), 4, TapedLearner(tape, n)) for k, n in enumerate(names)]
    population = Population(agents, TapedReplay(tape, len(names)), config.batch_size)
    streams, steps, ticks = TapedStreams(tape, len(names)), [], []
    for tick in train(config, population, streams, TimeSplit()):
        steps.append(tape.copy())
        ticks.append(tick)
        tape.clear()
    assert tape == []
    return steps, streams, ticks


@pytest.fixture
def schedule(tiny_config):
    """40 agent steps in iterations of 20; learning after 8, every 4; target every 10, which is no multiple of 4."""
    return tiny_config(
        total_frames=160, iteration_frames=80, progress_frames=4, replay_start_agent_steps=8,
        update_period_agent_steps=4, target_period_agent_steps=10, epsilon_start=0.0, epsilon_end=0.0,
    )  # fmt: skip


def steps_with(steps, event):
    return [t for t, events in enumerate(steps) if any(event in (e, e[0]) for e in events)]


@pytest.mark.fidelity(7)
def test_updates_happen_every_fourth_agent_step_after_the_warm_up(schedule):
    """As the released code: numSteps > learn_start and numSteps % update_freq == 0."""
    steps, _, ticks = taped(schedule)
    assert steps_with(steps, "update") == [12, 16, 20, 24, 28, 32, 36]
    assert [tick.updates for tick in ticks] == [sum(u <= t for u in range(12, 40, 4)) for t in range(40)]


@pytest.mark.fidelity(8)
def test_target_syncs_count_agent_steps_whether_or_not_there_was_an_update(schedule):
    steps, *_ = taped(schedule)
    assert steps_with(steps, "sync") == [0, 10, 20, 30]


def test_a_step_acts_then_sends_then_updates_then_syncs_then_receives_then_stores(schedule):
    steps, *_ = taped(schedule)
    act, update, sync = [(name, "a") for name in ("act", "update", "sync")]
    assert steps[13] == [act, "send", "recv", "store"]
    assert steps[12] == [act, "send", update, "recv", "store"]
    assert steps[10] == [act, "send", sync, "recv", "store"]
    assert steps[20] == ["reset", "begin", act, "send", update, sync, "recv", "store"]


@pytest.mark.fidelity(7, 8, 24)
def test_the_whole_tape_of_1000_agent_steps(tiny_config):
    """Warm-up 100, an update every 4, a copy every 250 agent steps, an iteration of 500: written out by the rule.

    An agent step of the released code is store, act, learn, emulate. Each of ours begins by acting and
    ends by storing, which is the same sequence.
    """
    config = tiny_config(
        total_frames=4_000, iteration_frames=2_000, progress_frames=4, replay_start_agent_steps=100,
        replay_capacity=100, target_period_agent_steps=250, epsilon_start=0.0, epsilon_end=0.0,
    )  # fmt: skip
    steps, *_ = taped(config)
    events = [event if isinstance(event, str) else event[0] for step in steps for event in step]
    expected = []
    for t in range(1_000):
        expected += ["reset", "begin"] if t in (0, 500) else []
        expected += ["act", "send"]
        expected += ["update"] if t > 100 and t % 4 == 0 else []
        expected += ["sync"] if t in (0, 250, 500, 750) else []
        expected += ["recv", "store"]
    assert events == expected
    assert events.count("update") == 224  # 104, 108 ... 996
    assert events.count("sync") == 4


def test_halves_take_turns_while_emulators_play(schedule):
    """After the first step of each, one half stores, acts and learns while the other's emulators are at work."""
    tape, halves = [], []
    for name in "ab":
        agents = [Agent(Member("breakout", 0), 4, TapedLearner(tape, name))]
        streams = TapedStreams(tape, 1)
        streams.send = lambda actions, name=name: tape.append(("send", name))
        streams.recv = lambda name=name, recv=streams.recv: (tape.append(("recv", name)), recv())[1]
        halves.append((Population(agents, TapedReplay(tape, 1), 8), streams))
    order = [number for number, _ in train_in_turns(schedule, halves, TimeSplit())]
    assert order == [0, 1] * 40
    moves = [event for event in tape if event[0] in ("send", "recv")]
    expected = [("send", "a"), ("send", "b")]
    for _ in range(39):
        expected += [("recv", "a"), ("send", "a"), ("recv", "b"), ("send", "b")]
    assert moves == [*expected, ("recv", "a"), ("recv", "b")]


def test_every_step_is_one_for_all_members(schedule):
    steps, *_ = taped(schedule, names="abc")
    for events in steps:
        assert events.count("send") == events.count("recv") == events.count("store") == 1
    assert [e for e in steps[12] if e[0] == "update"] == [("update", "a"), ("update", "b"), ("update", "c")]


@pytest.mark.fidelity(27)
def test_emulators_are_reseeded_at_every_iteration_with_seeds_of_their_own(schedule):
    steps, streams, ticks = taped(schedule, names="ab")
    assert steps_with(steps, "reset") == [0, 20]
    assert steps_with(steps, "begin") == [0, 20]
    assert streams.seeds == [
        [Member("breakout", member).stream_seed("emulator", iteration) for member in (0, 1)] for iteration in (0, 1)
    ]
    assert len({seed for seeds in streams.seeds for seed in seeds}) == 4
    assert [t for t, tick in enumerate(ticks) if tick.iteration_ended] == [19, 39]


def test_a_budget_may_end_within_an_iteration(schedule, tiny_config):
    config = tiny_config(total_frames=120, iteration_frames=80, progress_frames=4, replay_start_agent_steps=8)
    steps, streams, ticks = taped(config)
    assert len(steps) == 30
    assert len(streams.seeds) == 2
    assert [t for t, tick in enumerate(ticks) if tick.iteration_ended] == [19]


def test_epsilon_of_the_loop_falls_on_schedule(tiny_config):
    """Warm-up 8, span 20 agent steps; the tick reports what its action was chosen with."""
    config = tiny_config(
        total_frames=160, iteration_frames=80, progress_frames=4, replay_start_agent_steps=8,
        epsilon_span_agent_steps=20, epsilon_start=1.0, epsilon_end=0.1,
    )  # fmt: skip
    *_, ticks = taped(config)
    expected = [1.0] * 8 + [1 - 0.9 * k / 20 for k in range(20)] + [0.1] * 12
    assert [tick.epsilon for tick in ticks] == pytest.approx(expected)
    assert [tick.agent_step for tick in ticks] == list(range(1, 41))


@pytest.mark.fidelity(10)
def test_no_step_acts_by_the_network_during_the_warm_up(tiny_config):
    config = tiny_config(total_frames=160, iteration_frames=80, progress_frames=4, replay_start_agent_steps=8)
    steps, *_ = taped(config)
    assert min(steps_with(steps, "act")) > 8


# ---------------------------------------------------------------------- with the real parts


@pytest.mark.fidelity(24)
def test_an_action_is_chosen_by_the_weights_before_the_update_of_the_same_step(tiny_config):
    """Greedy; every update also moves the last layer's rows on by one, so that it changes the choice."""
    config = tiny_config(
        total_frames=200, iteration_frames=200, replay_start_agent_steps=4, update_period_agent_steps=1,
        epsilon_start=0.0, epsilon_end=0.0, progress_frames=200,
    )  # fmt: skip
    streams = make_streams(config, ["riverraid"])
    population = make_population(config, [Member("riverraid", 0)], [18], CPU)
    agent = population.agents[0]
    update, head = agent.learner.update, agent.learner.online.head

    def update_and_turn(batch):
        update(batch)
        with torch.no_grad():
            head.weight.copy_(head.weight.roll(1, 0))
            head.bias.copy_(head.bias.roll(1, 0))

    agent.learner.update = update_and_turn
    told_apart = 0
    loop = train(config, population, streams, TimeSplit())
    next(loop)
    for _ in range(20):
        before, state = copy.deepcopy(agent.learner.online), population.replay.newest_states()
        tick = next(loop)
        with torch.no_grad():
            expected = before(state).argmax().item()
            told_apart += agent.learner.online(state).argmax().item() != expected
        assert tick.actions.tolist() == [expected]
    assert told_apart >= 12


def test_what_is_learnt_from_is_what_was_seen_and_done(tiny_config):
    """The last transition in replay is the last tick's: its action, and the stack around its frame."""
    config = tiny_config(total_frames=480, iteration_frames=480)
    streams = make_streams(config, ["riverraid"])
    population = make_population(config, [Member("riverraid", 1)], [18], CPU)
    frames, actions = [], []
    for tick in train(config, population, streams, TimeSplit()):
        assert not tick.step.terminal[0]
        assert not tick.step.truncated[0]
        frames.append(tick.step.frame[0])
        actions.append(int(tick.actions[0]))
        if tick.agent_step == 40:
            break
    batch = population.heldout_batch(0, 300)
    newest = torch.from_numpy(np.stack(frames[-4:]))
    rows = [k for k in range(300) if torch.equal(batch.s_t[k], newest)]
    assert rows
    assert all(batch.a_tm1[k] == actions[-1] for k in rows)
    assert torch.equal(batch.s_tm1[rows[0]], torch.from_numpy(np.stack(frames[-5:-1])))


def test_configuration_reaches_the_parts(tiny_config):
    config = tiny_config(
        learning_rate=0.1, gradient_decay=0.2, squared_gradient_decay=0.3, min_squared_gradient=0.4, error_clip=0.5,
        discount=0.6, replay_capacity=77, batch_size=5, loss_reduction="mean", floor_outside_root=True,
        history_padding="first_frame", error_scale=2.0,
    )  # fmt: skip
    population = make_population(config, [Member("breakout", 0)], [4], CPU)
    learner, replay = population.agents[0].learner, population.replay
    optimizer = learner.optimizer
    assert (optimizer.learning_rate, optimizer.gradient_decay) == (0.1, 0.2)
    assert (optimizer.squared_gradient_decay, optimizer.min_squared_gradient) == (0.3, 0.4)
    assert (learner.error_clip, learner.error_scale, learner.loss_reduction) == (0.5, 2.0, "mean")
    assert optimizer.floor_outside_root
    assert (replay.discount, replay.capacity, replay.repeat_first_frame) == (0.6, 77, True)
    assert population.batch_size == 5


@pytest.mark.parametrize(
    ("changes", "ended"), [({"max_episode_frames": 40}, [10, 20, 30, 40]), ({"max_episode_frames": 160}, [40])]
)
def test_the_frame_cap_reaches_the_emulators(tiny_config, changes, ended):
    config = tiny_config(total_frames=160, iteration_frames=160, replay_start_agent_steps=39, progress_frames=160,
                         **changes)  # fmt: skip
    population = make_population(config, [Member("riverraid", 0)], [18], CPU)
    ticks = train(config, population, make_streams(config, ["riverraid"]), TimeSplit())
    assert [tick.agent_step for tick in ticks if tick.step.truncated[0]] == ended


def test_members_start_from_different_weights_and_equal_members_from_equal_ones(tiny_config):
    def head(game: str, seed: int) -> torch.Tensor:
        (agent,) = make_population(tiny_config(), [Member(game, seed)], [4], CPU).agents
        return agent.learner.online.head.weight

    assert torch.equal(head("breakout", 0), head("breakout", 0))
    assert not torch.equal(head("breakout", 0), head("breakout", 1))
    assert not torch.equal(head("breakout", 0), head("pong", 0))


def test_time_is_split_by_part():
    split = TimeSplit()
    with split.lap("learner"):
        sum(range(100_000))
    assert split.seconds["learner"] > 0
    assert split.seconds["emulator"] == split.seconds["network"] == 0
