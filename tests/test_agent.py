import numpy as np
import pytest
import torch
from scipy.stats import binomtest, chisquare

from dqn_ref.agent import Agent, choose_actions, linear_epsilon
from dqn_ref.atari import Step
from dqn_ref.replay import Replay
from dqn_ref.seeds import Member

CPU = torch.device("cpu")
BREAKOUT = Member("breakout", 0)


class FixedValues:
    """A learner whose Q values do not depend on the state, and that keeps the batches it is given."""

    def __init__(self, q: list[float]) -> None:
        self.q = torch.tensor([q])
        self.states, self.batches = [], []

    def values(self, state):
        self.states.append(state.clone())
        return self.q

    def update(self, batch):
        self.batches.append(batch)


def grey(value: int) -> np.ndarray:
    return np.full((84, 84), value, np.uint8)


def agent(q=(0.0, 1.0, 0.5, -1.0), member: Member = BREAKOUT, filled: int = 0) -> Agent:
    replay = Replay(50, 5, 0.99, CPU)
    replay.begin(grey(1))
    for t in range(filled):
        replay.append(t, 0.0, False, grey(t))
    return Agent(member, len(q), FixedValues(list(q)), replay, batch_size=8)


def answer(reward: int, *, terminal=False, game_over=False, truncated=False, frame=2, final_frame=None) -> Step:
    """What two emulators answered; the row of interest is the second."""
    return Step(
        frame=np.stack([grey(100), grey(frame)]),
        final_frame=np.stack([grey(100), grey(frame if final_frame is None else final_frame)]),
        reward=np.array([77, reward]),
        terminal=np.array([not terminal, terminal]),
        game_over=np.array([False, game_over]),
        truncated=np.array([False, truncated]),
    )


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


# ---------------------------------------------------------------------- choosing


@pytest.mark.fidelity(11)
def test_exploration_happens_with_probability_epsilon_and_uniformly():
    explorer = agent(q=(0.0,) * 6)
    actions = [explorer.explore(0.3) for _ in range(6_000)]
    random = [action for action in actions if action is not None]
    assert binomtest(len(random), 6_000, 0.3).pvalue > 1e-3
    assert chisquare(np.bincount(random, minlength=6)).pvalue > 1e-3


def test_epsilon_0_never_explores_and_epsilon_1_always():
    explorer = agent()
    assert {explorer.explore(0.0) for _ in range(500)} == {None}
    assert {explorer.explore(1.0) for _ in range(500)} == {0, 1, 2, 3}


def test_exploration_is_a_function_of_the_member():
    def draws(game: str, seed: int) -> list:
        explorer = agent(member=Member(game, seed))
        return [explorer.explore(0.5) for _ in range(50)]

    assert draws("breakout", 1) == draws("breakout", 1)
    assert draws("breakout", 1) != draws("breakout", 2)
    assert draws("breakout", 1) != draws("pong", 1)


def test_greedy_actions_are_each_members_own_argmax():
    agents = [agent(q) for q in [(0.0, 2.0), (5.0, -1.0, 1.0), (0.0, 1.0, 2.0, 3.0)]]
    assert choose_actions(agents, 0.0).tolist() == [1, 0, 3]


def test_the_network_sees_the_newest_stack_and_only_when_it_is_asked():
    greedy = agent()
    greedy.replay.append(0, 0.0, False, grey(9))
    choose_actions([greedy], 0.0)
    assert [tuple(state[0, :, 0, 0].tolist()) for state in greedy.learner.states] == [(0, 0, 1, 9)]
    choose_actions([greedy], 1.0)
    assert len(greedy.learner.states) == 1


def test_a_population_mixes_random_and_greedy_rows_as_each_member_would_alone():
    def members() -> list[Agent]:
        return [agent(q=(0.0,) * 17 + (1.0,), member=Member("breakout", seed)) for seed in range(4)]

    together, alone = members(), members()
    mixed = 0
    for _ in range(30):
        rows = choose_actions(together, 0.5).tolist()
        assert rows == [choose_actions([one], 0.5)[0] for one in alone]
        mixed += 17 in rows and any(row != 17 for row in rows)
    assert mixed > 10  # greedy and random rows beside each other


# ---------------------------------------------------------------------- storing


@pytest.mark.parametrize(("raw", "stored"), [(200, 1.0), (1, 1.0), (0, 0.0), (-1, -1.0), (-7, -1.0)])
@pytest.mark.fidelity(20)
def test_the_stored_reward_is_the_clipped_sum(raw, stored):
    learner = agent()
    learner.store(2, answer(raw), row=1)
    batch = learner.replay.sample(1, torch.Generator())
    assert batch.r_t.item() == stored
    assert batch.a_tm1.item() == 2


def test_a_terminal_row_is_stored_without_bootstrap_and_the_history_starts_anew():
    learner = agent()
    learner.store(0, answer(0, terminal=True), row=1)
    assert learner.replay.sample(1, torch.Generator()).discount_t.item() == 0
    assert learner.replay.newest_state()[0, :, 0, 0].tolist() == [0, 0, 0, 2]


def test_a_row_that_goes_on_bootstraps_and_keeps_its_history():
    learner = agent()
    learner.store(0, answer(0), row=1)
    assert learner.replay.sample(1, torch.Generator()).discount_t.item() == pytest.approx(0.99)
    assert learner.replay.newest_state()[0, :, 0, 0].tolist() == [0, 0, 1, 2]


def test_a_truncated_row_bootstraps_from_the_final_frame_and_the_next_episode_starts_anew():
    learner = agent()
    learner.store(0, answer(1, truncated=True, frame=50, final_frame=60), row=1)
    batch = learner.replay.sample(1, torch.Generator())
    assert batch.discount_t.item() == pytest.approx(0.99)
    assert batch.s_t[0, :, 0, 0].tolist() == [0, 0, 1, 60]
    assert learner.replay.newest_state()[0, :, 0, 0].tolist() == [0, 0, 0, 50]


def test_a_life_lost_by_the_truncated_step_is_terminal_all_the_same():
    learner = agent()
    learner.store(0, answer(1, terminal=True, truncated=True, frame=50, final_frame=60), row=1)
    assert learner.replay.sample(1, torch.Generator()).discount_t.item() == 0
    assert learner.replay.newest_state()[0, :, 0, 0].tolist() == [0, 0, 0, 50]


# ---------------------------------------------------------------------- learning


def test_every_update_draws_a_new_batch_and_equal_members_draw_the_same():
    def batches(seed: int) -> list[list[int]]:
        learner = agent(filled=40, member=Member("breakout", seed))
        for _ in range(5):
            learner.learn()
        return [batch.a_tm1.tolist() for batch in learner.learner.batches]

    assert batches(0) == batches(0)
    assert batches(0) != batches(1)
    assert len({tuple(batch) for batch in batches(0)}) == 5
    assert {len(batch) for batch in batches(0)} == {8}


def test_holding_out_states_changes_no_later_batch():
    plain, measured = agent(filled=40), agent(filled=40)
    held = measured.heldout_batch(20)
    assert torch.equal(held.s_tm1, measured.heldout_batch(20).s_tm1)
    for learner in (plain, measured):
        learner.learn()
    assert torch.equal(plain.learner.batches[0].a_tm1, measured.learner.batches[0].a_tm1)


def test_exploration_and_sampling_do_not_shift_each_other():
    one, other = agent(filled=40), agent(filled=40)
    for _ in range(10):
        other.explore(0.5)
    one.learn()
    other.learn()
    assert torch.equal(one.learner.batches[0].a_tm1, other.learner.batches[0].a_tm1)
