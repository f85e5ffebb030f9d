"""The probes: what each environment is, what the loop tells an agent, and that each fault is found by its own probe."""

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.doctor.probes import environments as env
from benchmarks.doctor.probes.environments import Stack
from benchmarks.doctor.probes.faults import FAULTS, broken
from benchmarks.doctor.probes.ladder import LADDER, ladder_table, probe_named
from benchmarks.doctor.probes.protocol import ProbedAgent, box
from benchmarks.doctor.probes.quantities import middle
from benchmarks.doctor.probes.runner import run_probes, verdict
from benchmarks.doctor.probes.small_dqn import SmallDQN, make_small, small_config
from dqn_ref.config import UserError

IDS = [probe.id for probe in LADDER]


def new(kind, seed=0, agent_steps=100):
    return kind(np.random.default_rng(seed), agent_steps)


def play(environment, choose, steps):
    """(grids of the episode so far, action, step) of each agent step."""
    grids = [environment.reset()]
    for _ in range(steps):
        action = choose(grids)
        step = environment.step(action)
        yield list(grids), action, step
        grids = [environment.reset()] if step.terminated or step.truncated else [*grids, step.grid]


# ---------------------------------------------------------------------- observations


def test_an_image_is_four_frames_of_rectangles_newest_last_and_black_before_the_first():
    grid = np.array([[10, 20], [30, 40]], np.uint8)
    seen = Stack("image", False).observation(grid, grid + 5)
    assert seen.shape == (4, 84, 84)
    assert seen.dtype == np.uint8
    assert not seen[:2].any()
    for row, column in np.ndindex(2, 2):
        rectangle = seen[2, 42 * row : 42 * row + 42, 42 * column : 42 * column + 42]
        assert (rectangle == grid[row, column]).all()
    assert np.array_equal(seen[3], seen[2] + 5)


@given(st.lists(st.lists(st.integers(0, 255), min_size=4, max_size=4), min_size=1, max_size=7))
def test_both_forms_show_the_four_newest_grids(rows):
    grids = [np.array(row, np.uint8).reshape(2, 2) for row in rows]
    expected = ([np.zeros((2, 2), np.uint8)] * 3 + grids)[-4:]
    assert np.array_equal(Stack("image", False).observation(*grids)[:, ::42, ::42], expected)
    assert np.array_equal(Stack("vector", True).observation(*grids), np.ravel(expected))
    floats = Stack("vector", False).observation(*grids)
    assert floats.dtype == np.float32
    np.testing.assert_allclose(floats, np.ravel(expected) / 255, rtol=1e-6)


@pytest.mark.parametrize("form", ["image", "vector"])
@pytest.mark.parametrize("probe", LADDER, ids=IDS)
def test_observations_lie_in_the_space_that_the_agent_was_told(probe, form):
    environment = new(probe.environment)
    stack, space = Stack(form, environment.raw_bytes), box(form, math.prod(environment.shape), environment.raw_bytes)
    for grids, _, step in play(environment, lambda _: 0, 30):
        for observation in (stack.observation(*grids), stack.observation(*grids, step.grid)):
            assert space.contains(observation)
        assert -1 <= step.reward <= 1
        assert not (step.terminated and step.truncated)


# ---------------------------------------------------------------------- what is to be learnt in each


def test_one_frame_of_the_moving_light_tells_nothing():
    """Over many episodes each cell is reached as often by either direction, and two frames tell all."""
    counts, seen = np.zeros((3, 2)), {}
    environment = new(env.Velocity)
    for grids, _, step in play(environment, lambda _: 0, 6_000):
        if len(grids) == 2:
            direction = 0 if step.reward > 0 else 1
            counts[int(grids[1].argmax()), direction] += 1
            assert seen.setdefault((int(grids[0].argmax()), int(grids[1].argmax())), direction) == direction
    assert len(seen) == 6
    assert counts.sum() == 3_000
    assert abs(counts / 500 - 1).max() < 5 / math.sqrt(500)


@pytest.mark.parametrize("form", ["image", "vector"])
@pytest.mark.parametrize(("kind", "truncates"), [(env.EndsInAGoodPlace, False), (env.CutInAGoodPlace, True)])
def test_unpaid_episodes_end_in_the_very_observation_that_paid_ones_begin_with(kind, truncates, form):
    stack, ends, begins = Stack(form, False), [], []
    for grids, _, step in play(new(kind), lambda _: 0, 50):
        assert len(grids) == 1
        if step.reward == 0:
            assert (step.terminated, step.truncated) == (not truncates, truncates)
            ends.append(stack.observation(*grids, step.grid).tobytes())
        else:
            assert (step.reward, step.terminated) == (1, True)
            begins.append(stack.observation(*grids).tobytes())
    assert len(ends) > 10
    assert len(begins) > 10
    assert len({*ends, *begins}) == 1


def test_the_corridor_pays_six_agent_steps_after_its_start():
    rewards = [step.reward for *_, step in play(new(env.Corridor), lambda _: 0, 14)]
    assert rewards == [0, 0, 0, 0, 0, 0, 1] * 2


def test_nobody_is_lucky_in_the_deep_sea_and_whoever_tries_the_other_action_everywhere_finds_the_treasure():
    sea = new(env.DeepSea)
    first, second, third = (
        [step.reward for *_, step in play(sea, choose, 2)]
        for choose in (lambda _: 1, lambda g: int(len(g) > 1), lambda _: 0)
    )
    assert first == [0, 0]  # down the left side
    assert second == [-0.1, 0]  # one step right, and the first try in that cell leads back
    assert third == pytest.approx([-0.1, 0.9])


def test_contexts_come_in_eight_blocks_of_equal_length():
    blocks = new(env.Blocks, agent_steps=80)
    contexts = [int(grids[0].flat[8] > 0) for grids, *_ in play(blocks, lambda _: 0, 80)]
    assert contexts == [0] * 10 + [1] * 10 + [0] * 10 + [1] * 10 + [0] * 10 + [1] * 10 + [0] * 10 + [1] * 10


@pytest.mark.parametrize("period", [50, 62, 100])
def test_a_loops_value_is_never_above_1_more_for_each_copy_and_between_the_thresholds(period):
    """Of an ideal learner that is at its target at once, with copies every tenth to twentieth of 1,000 steps."""
    value, target, found = 0.0, 0.0, {}
    for step in range(1, 1_001):
        value = 1 + 0.99 * target
        found[step] = value
        assert value <= 1 + (step - 1) // period
        if step % period == 0:
            target = value
    lag = probe_named("target-lag")
    assert lag.margin(found[1_000]) > 0.9
    assert lag.margin(found[751]) > 0.9
    assert lag.margin(1 / (1 - 0.99)) < 0  # what a learner that chases itself tends to


def test_the_middle_of_the_moments_by_hand():
    assert middle({1: 5.0, 2: 1.0, 3: 2.0}) == 2.0
    assert middle({1: 5.0, 2: math.nan, 3: 2.0}) == 3.5
    assert math.isnan(middle({1: math.nan, 2: 1.0}))


# ---------------------------------------------------------------------- the loop


class Tape:
    """An agent that writes down what it is told, and always does action 0."""

    def __init__(self, **told) -> None:
        self.told, self.calls = told, []

    def act(self, observation, explore):
        self.calls.append(("act", explore, observation))
        return 0

    def observe(self, *transition):
        self.calls.append(("observe", *transition))

    def learn(self):
        self.calls.append(("learn",))


def test_the_loop_is_act_observe_learn_and_the_next_observation_is_of_the_same_episode():
    tapes = []
    run_probes(lambda **told: tapes.append(Tape(**told)) or tapes[-1], [3], ["velocity"], "image")
    (tape,) = tapes
    steps = probe_named("velocity").agent_steps["image"]
    assert {name: value for name, value in tape.told.items() if name != "observation_space"} == {
        "num_actions": 2, "agent_steps": steps, "seed": 3,
    }  # fmt: skip
    training = [call for call in tape.calls if call[:2] != ("act", False)]
    assert [call[0] for call in training] == ["act", "observe", "learn"] * steps
    rows = [call[1:] for call in training if call[0] == "observe"]
    acted = [call[2] for call in training if call[0] == "act"]
    for (state, action, _, after, terminated, truncated), seen in zip(rows, acted, strict=True):
        assert np.array_equal(state, seen)
        assert action == 0
        assert not truncated
        assert terminated == (not after[3].any())  # what ends an episode is dark
        assert np.array_equal(after[:3], state[1:])
    for row, following in pairwise(rows):
        assert row[4] == (not following[0][:3].any())  # a new episode: black before its first frame
    greedy = sum(call[:2] == ("act", False) for call in tape.calls)
    assert greedy == 10 * 6  # six motions, at ten moments


def test_equal_seeds_give_equal_numbers_and_another_seed_others():
    first, again, other = (
        run_probes(make_small, [seed], ["observation-value"])[0].numbers for seed in (0, 0, 1)
    )  # fmt: skip
    assert first == again
    assert first != other


def test_an_agent_without_values_is_not_guessed_at():
    results = run_probes(Tape, [0, 1])
    looked = {result.probe.id: result.status for result in results}
    assert looked == {probe.id: "cannot look" if probe.needs_values else "failed" for probe in LADDER}
    assert "Cannot look without values(observation) -> [A]: constant-reward, observation-value" in verdict(results)


# ---------------------------------------------------------------------- the ladder


def test_what_a_probe_builds_on_stands_below_it():
    assert len(set(IDS)) == len(IDS)
    for number, probe in enumerate(LADDER):
        assert set(probe.builds_on) <= set(IDS[:number])
        assert 2 <= len(probe.where) <= 3
        assert probe.low < probe.high


def test_every_rung_is_in_the_table_with_its_threshold():
    rows = ladder_table().splitlines()[2:]
    assert [row.split("|")[1].strip() for row in rows] == [f"`{name}`" for name in IDS]
    assert all(probe.passes in row for probe, row in zip(LADDER, rows, strict=True))


@pytest.mark.parametrize(
    ("number", "margin"),
    [(2.0, 0.5), (1.5, 0.0), (2.4, 0.1), (3.0, -0.5), (math.nan, -math.inf), (math.inf, -math.inf)],
)
def test_the_margin_is_the_distance_to_the_nearer_threshold(number, margin):
    assert probe_named("observation-value").margin(number) == pytest.approx(margin)


# ---------------------------------------------------------------------- a sound agent, and broken ones


def test_the_small_dqn_is_an_agent_and_its_update_goes_down_the_slope_of_its_loss():
    """Central differences of the Huber loss in float64 against the gradient that reaches Adam."""
    agent = SmallDQN(box("vector", 4, False), 3, small_config(100), seed=0)
    assert isinstance(agent, ProbedAgent)
    rng, steps = np.random.default_rng(0), []
    rows = [(*rng.random((1, 16)), int(rng.integers(3)), float(rng.choice([-1, 0.2, 1])), *rng.random((1, 16)),
             bool(rng.integers(2)), False) for _ in range(40)]  # fmt: skip
    for row in rows:
        agent.observe(*row)
    drawn = np.random.default_rng(0)
    agent._sampling, agent._step = drawn, steps.append
    agent._update()
    batch = [rows[row] for row in np.random.default_rng(0).integers(40, size=16)]

    def loss():
        total = 0.0
        for state, action, reward, after, terminated, _ in batch:
            target = reward + 0.99 * (not terminated) * agent.forward(agent.target_weights, after[None])[1].max()
            error = abs(target - agent.values(state)[action])
            total += error**2 / 2 if error <= 1 else error - 0.5
        return total / 16

    for weight, gradient in zip(agent.weights, steps[0], strict=True):
        for place in rng.permutation(weight.size)[:3]:
            here, losses = weight.flat[place], []
            for shift in (1e-6, -1e-6):
                weight.flat[place] = here + shift
                losses.append(loss())
            weight.flat[place] = here
            assert (losses[0] - losses[1]) / 2e-6 == pytest.approx(gradient.flat[place], abs=1e-7)


@pytest.mark.parametrize("fault", FAULTS, ids=[fault.name for fault in FAULTS])
def test_each_fault_fails_the_probe_that_isolates_it_and_the_sound_agent_passes_it(fault):
    (sound,) = run_probes(make_small, [0], [fault.probe])
    (found,) = run_probes(broken(fault, "vector"), [0], [fault.probe])
    assert (sound.status, found.status) == ("passed", "failed")


def test_each_probe_isolates_one_fault():
    assert sorted(fault.probe for fault in FAULTS) == sorted(IDS)


def test_an_unknown_probe_is_named_beside_the_known_ones():
    with pytest.raises(UserError, match="No probe is called 'foo'; known are: constant-reward, "):
        run_probes(make_small, [0], ["foo"])
