"""The choices that others make, each a switch that is off in the reference: what it changes, and nothing else."""

import copy
import dataclasses

import numpy as np
import pytest
import torch
from one_stream import OneStream

from dqn_ref.atari import AtariStreams
from dqn_ref.build import make_population, make_streams
from dqn_ref.config import DQNConfig, UserError
from dqn_ref.evaluate import evaluate
from dqn_ref.learner import td_loss
from dqn_ref.optimizer import RMSProp
from dqn_ref.protocols import NATURE
from dqn_ref.seeds import Member
from dqn_ref.time_split import TimeSplit
from dqn_ref.train import train

CPU = torch.device("cpu")
BREAKOUT = Member("breakout", 0)
SWITCHES = {
    "sticky_action_probability": 0.25,
    "fire_on_reset": True,
    "life_loss_terminal": False,
    "history_padding": "first_frame",
    "target_period_updates": 10_000,
    "floor_outside_root": True,
    "loss_reduction": "mean",
    "error_scale": 2.0,
    "max_episode_frames": 18_000,
    "evaluation_max_frames": 18_000,
    "streams_per_member": 4,
    "precision": "bfloat16",
    "initial_weights": "he_normal",
}


@pytest.mark.parametrize("name", SWITCHES)
def test_an_alternative_is_off_in_the_reference_and_named_in_the_record_when_on(name):
    assert getattr(NATURE.config, name) != SWITCHES[name]
    changed = dataclasses.replace(NATURE.config, **{name: SWITCHES[name]})
    assert NATURE.overrides(changed) == {name: SWITCHES[name]}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"history_padding": "mirror"}, "history_padding must be one of zeros, first_frame, got 'mirror'"),
        ({"initial_weights": "he"}, "initial_weights must be one of uniform, he_normal, glorot_uniform, got 'he'"),
        ({"loss_reduction": "max"}, "loss_reduction must be one of sum, mean, got 'max'"),
        ({"target_period_updates": 0}, "target_period_updates must be a whole number, at least 1, or None, got 0"),
        ({"target_period_updates": 2.5}, "target_period_updates must be a whole number, at least 1, or None, got 2.5"),
        (
            {"streams_per_member": 60_000, "total_frames": 240_000_000, "iteration_frames": 240_000},
            r"streams_per_member \(60,000\) is above replay_start_agent_steps",
        ),
        ({"streams_per_member": 4, "replay_capacity": 3}, r"streams_per_member \(4\) is above replay_capacity \(3\)"),
        ({"max_noops": 2**31}, "max_noops must be at most 1,000,000,000, got 2,147,483,648"),
        ({"frames_per_agent_step": 2**31}, "frames_per_agent_step must be at most 1,000,000,000"),
        ({"max_episode_frames": 3 * 10**9}, "max_episode_frames must be at most 1,000,000,000"),
        ({"evaluation_max_frames": 3 * 10**9}, "evaluation_max_frames must be at most 1,000,000,000"),
        ({"replay_capacity": 17_000_000}, "replay_capacity must be at most 16,000,000, got 17,000,000"),
        ({"fire_on_reset": 1}, "fire_on_reset must be true or false, got 1"),
    ],
)
def test_a_value_that_is_none_is_refused(changes, message):
    with pytest.raises(UserError, match=message):
        DQNConfig(**changes)


# ---------------------------------------------------------------------- learning


@pytest.mark.fidelity(4)
def test_eps_outside_the_root_is_torchs_centred_rmsprop():
    """With equal decays the two are the same formula; torch's own optimiser is the independent computation."""
    start = torch.randn(50, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    ours, theirs = start.clone(), start.clone().requires_grad_()
    optimizer = RMSProp(
        [ours], learning_rate=0.00025, gradient_decay=0.95, squared_gradient_decay=0.95, min_squared_gradient=0.01,
        floor_outside_root=True,
    )  # fmt: skip
    torchs = torch.optim.RMSprop([theirs], lr=0.00025, alpha=0.95, eps=0.01, centered=True)
    for step in range(50):
        gradient = torch.sin(start * (step + 1)) * 3
        optimizer.step([gradient])
        theirs.grad = gradient.clone()
        torchs.step()
    assert not torch.equal(ours, start)
    torch.testing.assert_close(ours, theirs.detach(), rtol=1e-12, atol=1e-15)


@pytest.mark.fidelity(5)
def test_a_mean_loss_is_the_sum_over_the_batch_size(new_learner, random_batch):
    """The gradient too, so that RMSProp's 0.01 weighs 32^2 times as much."""
    batch = random_batch(32, 4, seed=3)
    gradients = []
    for reduction in ("sum", "mean"):
        learner = new_learner(4, loss_reduction=reduction)
        learner.update(batch)
        gradients.append(learner.gradient)
    for summed, mean in zip(*gradients, strict=True):
        assert summed.abs().max() > 0
        torch.testing.assert_close(mean * 32, summed, rtol=1e-4, atol=1e-5)
    q = torch.tensor([[0.0], [2.0]])
    values = (q, torch.zeros(2, dtype=torch.int64), torch.zeros(2), torch.zeros(2), q)
    assert td_loss(*values).item() == 1.5  # Huber: 2 - 1/2
    assert td_loss(*values, reduction="mean").item() == 0.75


@pytest.mark.fidelity(8)
def test_the_target_period_may_count_updates(tiny_config, monkeypatch):
    """Warm-up 60, an update every 4 agent steps from 64 on; every third one is followed by a copy."""
    config = tiny_config(target_period_updates=3, target_period_agent_steps=1)
    streams = make_streams(config, ["breakout"])
    population = make_population(config, [BREAKOUT], [4], CPU)
    synced = []
    monkeypatch.setattr(population.agents[0].learner, "sync_target", lambda: synced.append(agent_step))
    agent_step = 0
    for tick in train(config, population, streams, TimeSplit()):
        agent_step = tick.agent_step
    assert synced == list(range(72, 240, 12))


def test_bfloat16_computes_in_it_and_learns_in_float32(new_learner, random_batch):
    """The passes see weights rounded to 8 bits; the weights that move are float32, and so is what is saved."""
    exact, rounded = new_learner(4), new_learner(4, precision="bfloat16")
    for k in range(3):
        batch = random_batch(32, 4, seed=k)
        state, network = batch.s_tm1, copy.deepcopy(rounded.online)
        with torch.no_grad():
            for parameter in network.parameters():
                parameter.copy_(parameter.bfloat16())
            expected = network(state)  # rounded weights, float32 arithmetic
        values = rounded.values(state)
        assert values.dtype == torch.float32
        assert not torch.equal(values, expected)
        assert (values - expected).norm() < 0.02 * expected.norm()  # 8 bits are 0.4 % a rounding
        exact.update(batch)
        rounded.update(batch)
    assert {weight.dtype for weight in [*rounded.weights, *rounded.optimizer.mean, *rounded.gradient]} == {
        torch.float32
    }
    for weight, other in zip(rounded.weights, exact.weights, strict=True):
        assert not torch.equal(weight, weight.bfloat16().float())  # steps far below 8 bits are not lost
        assert (weight - other).norm() < 0.01 * other.norm()


def test_bfloat16_syncs_the_target_to_what_computes(new_learner, random_batch):
    learner = new_learner(4, precision="bfloat16")
    batch = random_batch(8, 4, seed=0)
    learner.update(batch)
    before = learner.target(batch.s_t)
    learner.sync_target()
    after = learner.target(batch.s_t).float()
    assert not torch.equal(before.float(), after)
    assert torch.equal(after, learner.values(batch.s_t))


# ---------------------------------------------------------------------- what is seen


def grey(value: int) -> np.ndarray:
    return np.full((84, 84), value, np.uint8)


@pytest.mark.fidelity(16)
def test_first_frame_padding_repeats_the_episodes_first_frame():
    replay = OneStream(10, 5, repeat_first_frame=True)
    seen = []
    replay.begin(grey(1))
    for value, terminal in [(2, False), (3, False), (4, True), (5, False), (6, False), (7, False), (8, False)]:
        seen.append(replay.newest_state()[0, :, 0, 0].tolist())
        replay.append(0, 0.0, terminal, grey(value))
    assert seen == [
        [1, 1, 1, 1], [1, 1, 1, 2], [1, 1, 2, 3],
        [4, 4, 4, 4], [4, 4, 4, 5], [4, 4, 5, 6], [4, 5, 6, 7],  # a life was lost before 4
    ]  # fmt: skip
    batch = replay.batch(np.arange(7))
    pairs = [(*map(int, s[:, 0, 0]), *map(int, t[:, 0, 0])) for s, t in zip(batch.s_tm1, batch.s_t, strict=True)]
    assert sorted(pairs) == sorted((*s, *t) for s, t in zip(seen, [*seen[1:], [5, 6, 7, 8]], strict=True))


def test_first_frame_padding_holds_in_evaluation_too():
    states = []

    def values(state: torch.Tensor) -> torch.Tensor:
        states.append(state[0].clone())
        return torch.zeros(len(state), 4)

    evaluate(values, BREAKOUT, episodes=1, epsilon=0.0, max_frames=40, device=CPU, history_padding="first_frame")
    assert states[0].any()
    assert all(torch.equal(frame, states[0][3]) for frame in states[0])
    assert torch.equal(states[1][0], states[0][3])
    assert torch.equal(states[1][:3], states[0][1:])


@pytest.mark.fidelity(18)
def test_fire_on_reset_puts_breakouts_ball_into_play():
    """Without FIRE the ball never appears: Breakout's screen stays as it is under no-ops."""

    def changed_pixels(fire: bool) -> int:
        env = AtariStreams(["breakout"], max_episode_frames=18_000, max_noops=0, fire_on_reset=fire)
        first = env.reset([5])[0]
        frames = []
        for _ in range(20):
            env.send(np.array([0]))
            frames.append(env.recv().frame[0])
        return int((np.stack(frames[5:]) != first).any(axis=(1, 2)).sum())

    assert changed_pixels(fire=False) == 0
    assert changed_pixels(fire=True) > 0


@pytest.mark.fidelity(19)
def test_a_life_loss_need_not_be_terminal():
    def terminals(life_loss_terminal: bool) -> tuple[list[int], list[int]]:
        env = AtariStreams(["breakout"], max_episode_frames=18_000, life_loss_terminal=life_loss_terminal)
        env.reset([3])
        rng, terminal, over = np.random.default_rng(0), [], []
        for t in range(600):
            env.send(rng.integers(4, size=1))
            step = env.recv()
            terminal += [t] if step.terminal[0] else []
            over += [t] if step.game_over[0] else []
        return terminal, over

    with_lives, over = terminals(True)
    without, over_too = terminals(False)
    assert over == over_too == without
    assert len(over) >= 1
    assert len(with_lives) >= 5 * len(over)  # five lives a game
