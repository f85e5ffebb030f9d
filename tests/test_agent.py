import copy

import numpy as np
import pytest
from scipy.stats import binomtest, chisquare

from dqn_ref.agent import BATCHES_AHEAD, BLOCK, Agent, Exploration, linear_epsilon
from dqn_ref.seeds import Member

BREAKOUT = Member("breakout", 0)


def agent(num_actions: int = 4, member: Member = BREAKOUT, num_streams: int = 1) -> Agent:
    return Agent(member, num_actions, None, num_streams)


def explorer_of(*args, **changes) -> Exploration:
    return Exploration([agent(*args, **changes)])


# ---------------------------------------------------------------------- epsilon

NATURE = {"warm_up": 50_000, "span": 1_000_000, "start": 1.0, "end": 0.1}


@pytest.mark.parametrize(
    ("agent_step", "epsilon"),
    [(0, 1.0), (49_999, 1.0), (50_000, 1.0), (150_000, 0.91), (550_000, 0.55), (1_050_000, 0.1), (50_000_000, 0.1)],
)
@pytest.mark.fidelity(11)
def test_epsilon_by_hand(agent_step, epsilon):
    assert linear_epsilon(agent_step, **NATURE) == pytest.approx(epsilon, abs=1e-12)


@pytest.mark.fidelity(11)
def test_epsilon_follows_the_released_code():
    """``ep_end + max(0, (ep_start - ep_end) * (ep_endt - max(0, numSteps - learn_start)) / ep_endt)``"""
    for step in range(0, 1_200_000, 7_919):
        expected = 0.1 + max(0, (1 - 0.1) * (1_000_000 - max(0, step - 50_000)) / 1_000_000)
        assert linear_epsilon(step, **NATURE) == pytest.approx(expected, abs=1e-12)


def test_epsilon_falls_at_every_step_of_its_span_and_nowhere_else():
    path = np.array([linear_epsilon(t, warm_up=10, span=20, start=1.0, end=0.1) for t in range(40)])
    assert (np.diff(path)[:10] == 0).all()
    assert np.allclose(np.diff(path)[10:30], -0.9 / 20)
    assert np.allclose(np.diff(path)[30:], 0)


# ---------------------------------------------------------------------- exploring


@pytest.mark.fidelity(11)
def test_exploration_happens_with_probability_epsilon_and_uniformly():
    explorer = explorer_of(num_actions=6)
    actions = np.concatenate([explorer.actions(0.3) for _ in range(6_000)])
    random = actions[actions >= 0]
    assert binomtest(len(random), 6_000, 0.3).pvalue > 1e-3
    assert chisquare(np.bincount(random, minlength=6)).pvalue > 1e-3


def test_epsilon_0_never_explores_and_epsilon_1_always():
    explorer = explorer_of()
    assert {int(explorer.actions(0.0)[0]) for _ in range(500)} == {-1}
    assert {int(explorer.actions(1.0)[0]) for _ in range(500)} == {0, 1, 2, 3}


def test_exploration_is_a_function_of_the_member():
    def draws(game: str, seed: int) -> list:
        explorer = explorer_of(member=Member(game, seed))
        return [int(explorer.actions(0.5)[0]) for _ in range(50)]

    assert draws("breakout", 1) == draws("breakout", 1)
    assert draws("breakout", 1) != draws("breakout", 2)
    assert draws("breakout", 1) != draws("pong", 1)


def test_what_a_step_draws_does_not_depend_on_earlier_epsilons():
    """A step takes as many random numbers whether it explores or not."""
    one, other = explorer_of(), explorer_of()
    for t in range(BLOCK + 5):
        one.actions(0.0)
        other.actions(1.0 if t % 2 else 0.3)
    assert [one.actions(0.5)[0] for _ in range(50)] == [other.actions(0.5)[0] for _ in range(50)]


def test_blocks_of_random_numbers_do_not_repeat():
    explorer = explorer_of(num_actions=18)
    first, second = ([int(explorer.actions(1.0)[0]) for _ in range(BLOCK)] for _ in range(2))
    assert first != second


def test_every_stream_of_a_member_explores_for_itself():
    explorer = explorer_of(num_streams=3)
    actions = np.stack([explorer.actions(0.5) for _ in range(200)])
    assert actions.shape == (200, 3)
    explores = actions >= 0
    for a, b in ((0, 1), (1, 2), (0, 2)):
        assert binomtest(int((explores[:, a] == explores[:, b]).sum()), 200, 0.5).pvalue > 1e-3


def test_agents_explore_together_as_each_alone():
    """Of different games and numbers of actions, over more than two blocks."""
    made = [(4, Member("breakout", 0), 2), (18, Member("riverraid", 3), 2), (6, Member("pong", 1), 2)]
    together, alone = Exploration([agent(*each) for each in made]), [explorer_of(*each) for each in made]
    for t in range(2 * BLOCK + 5):
        epsilon = t % 11 / 10
        assert together.actions(epsilon).tolist() == np.concatenate([one.actions(epsilon) for one in alone]).tolist()


def test_exploration_goes_on_where_an_agent_stood():
    before = agent()
    explorer = Exploration([before])
    for steps in (3, BLOCK - 3, BLOCK + 1):  # within a block, at its very end, in the one after the next
        for _ in range(steps):
            explorer.actions(0.5)
        resumed = agent()
        resumed.set_random_state(before.random_state())
        again = Exploration([resumed])
        again.resume(explorer.drawn_of_block)
        copied = copy.deepcopy(explorer)
        assert [again.actions(0.5)[0] for _ in range(BLOCK)] == [copied.actions(0.5)[0] for _ in range(BLOCK)]


# ---------------------------------------------------------------------- drawing what to learn from


@pytest.mark.fidelity(25)
def test_draws_are_uniform_over_what_is_held_and_with_replacement():
    rows = np.concatenate([agent(member=Member("pong", k)).draw(20, 32) for k in range(200)])
    assert chisquare(np.bincount(rows, minlength=20)).pvalue > 1e-3
    assert len(set(agent().draw(4, 32).tolist())) <= 4


def test_successive_draws_differ_and_are_a_function_of_the_member():
    def draws(seed: int) -> list[list[int]]:
        drawer = agent(member=Member("breakout", seed))
        return [drawer.draw(1_000, 8).tolist() for _ in range(5)]

    assert draws(0) == draws(0)
    assert draws(0) != draws(1)
    assert len({tuple(draw) for draw in draws(0)}) == 5


@pytest.mark.parametrize("batch_size", [32, 31])  # an odd one leaves half of a random number for the next batch
def test_batches_drawn_ahead_are_those_drawn_one_by_one(batch_size):
    """While replay grows, when it is full, and when that changes; another agent goes on from any place between."""
    plain, drawer = BREAKOUT.numpy_stream("replay"), agent()
    sizes = [*range(100, 130), *[130] * (2 * BATCHES_AHEAD + 3), 99, *[3_000_000_000] * (BATCHES_AHEAD + 2), 7, 7, 7]
    asked = {5, 30, 31, 32, 40, 29 + BATCHES_AHEAD, 30 + BATCHES_AHEAD, 31 + BATCHES_AHEAD, len(sizes) - 2}
    for number, transitions in enumerate(sizes):
        expected = plain.integers(transitions, size=batch_size).tolist()
        assert drawer.draw(transitions, batch_size).tolist() == expected
        if number in asked:
            state = drawer.random_state()
            assert state["sampling"] == plain.bit_generator.state
            drawer.draw(transitions, batch_size)  # of the one that is left
            drawer = agent() if number % 2 else drawer
            drawer.set_random_state(state)


def test_exploration_and_sampling_do_not_shift_each_other():
    one, other = agent(), agent()
    explorer = Exploration([other])
    for _ in range(10):
        explorer.actions(0.5)
    assert one.draw(1_000, 8).tolist() == other.draw(1_000, 8).tolist()
