import dataclasses
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from nature_in_numpy import NumpyLearner
from nature_in_numpy import td_loss as numpy_td_loss

from dqn_ref.atari import Step
from dqn_ref.build import make_population, make_streams
from dqn_ref.learner import td_loss
from dqn_ref.replay import REWARD, Batch, Replay
from dqn_ref.seeds import Member
from dqn_ref.time_split import TimeSplit
from dqn_ref.train import train

ACTIONS = 4

# ---------------------------------------------------------------------- the loss


def gradient_at(error: float, error_clip: float = 1.0) -> float:
    """d loss / d q of one transition whose TD error (target - q) is ``error``."""
    q_tm1 = torch.tensor([[7.0, 2.0]], requires_grad=True)
    loss = td_loss(q_tm1, torch.tensor([1]), torch.tensor([2.0 + error]), torch.zeros(1), torch.zeros(1, 2), error_clip)
    loss.backward()
    assert q_tm1.grad[0, 0] == 0  # the action not taken
    return q_tm1.grad[0, 1].item()


@pytest.mark.parametrize(
    ("error", "gradient"),
    [(0.25, -0.25), (-0.5, 0.5), (0.0, 0.0), (1.0, -1.0), (5.0, -1.0), (-5.0, 1.0), (1000.0, -1.0)],
)
@pytest.mark.fidelity(5)
def test_the_gradient_is_the_error_clipped_and_never_vanishes_beyond_the_clip(error, gradient):
    assert gradient_at(error) == pytest.approx(gradient, abs=1e-6)


@pytest.mark.parametrize(("clip", "gradient"), [(0.5, -0.5), (2.0, -2.0), (10.0, -3.0)])
def test_the_clip_is_a_parameter(clip, gradient):
    assert gradient_at(3.0, clip) == pytest.approx(gradient)


@pytest.mark.parametrize("clip", [1.0, 0.5, None])
def test_a_scaled_error_is_clipped_after_it_was_scaled(clip):
    """An error of e is the slope of the square's half; of the square, without the half, it is 2 e."""
    errors = torch.tensor([0.1, -0.2, 0.4, 0.6, -3.0, 7.0], dtype=torch.float64)
    q_tm1 = torch.zeros(6, 1, dtype=torch.float64, requires_grad=True)
    loss = td_loss(q_tm1, torch.zeros(6, dtype=torch.int64), errors, torch.zeros(6), q_tm1.detach(), clip,
                   error_scale=2.0)  # fmt: skip
    loss.backward()
    bound = float("inf") if clip is None else clip
    assert q_tm1.grad[:, 0].tolist() == pytest.approx((-2 * errors).clamp(-bound, bound).tolist())
    if clip is None:
        assert loss.item() == pytest.approx((errors**2).sum().item())


@pytest.mark.fidelity(5)
def test_the_loss_by_hand_is_a_sum_over_the_batch():
    """Targets 1 + .5 * 4 = 3, and -1 (terminal). Errors 3 - 2.5 = .5 and -1 - 2 = -3: .5**2 / 2 + (3 - 1/2)."""
    loss = td_loss(
        q_tm1=torch.tensor([[0.0, 2.5], [2.0, 9.0]]),
        a_tm1=torch.tensor([1, 0]),
        r_t=torch.tensor([1.0, -1.0]),
        discount_t=torch.tensor([0.5, 0.0]),
        q_t=torch.tensor([[4.0, -1.0], [100.0, 50.0]]),
    )
    assert loss.item() == pytest.approx(0.125 + 2.5)


def test_the_target_is_a_constant():
    q_tm1, q_t = torch.zeros(3, 2, requires_grad=True), torch.ones(3, 2, requires_grad=True)
    td_loss(q_tm1, torch.zeros(3, dtype=torch.int64), torch.zeros(3), torch.ones(3), q_t).backward()
    assert q_t.grad is None
    assert q_tm1.grad[:, 0].tolist() == [-1.0] * 3


# ---------------------------------------------------------------------- updates, redone in float64 NumPy


@pytest.mark.fidelity(5)
def test_the_numpy_gradient_is_the_slope_of_the_numpy_loss():
    """The oracle itself, proven by central differences at three weights and biases of every layer."""
    rng = np.random.default_rng(0)
    kernels = [(32, 4, 8, 8), (64, 32, 4, 4), (64, 64, 3, 3), (512, 3136), (ACTIONS, 512)]
    online, target = (
        [rng.uniform(-1, 1, shape) / np.prod(kernel[1:]) ** 0.5 for kernel in kernels for shape in (kernel, kernel[:1])]
        for _ in range(2)
    )
    oracle = NumpyLearner(online)
    oracle.target_weights = target
    s_tm1, s_t = rng.integers(0, 256, (2, 6, 4, 84, 84), dtype=np.uint8)
    a_tm1, r_t = rng.integers(0, ACTIONS, 6), np.array([-3.0, -0.5, 0.0, 0.5, 3.0, 3.0])
    batch = s_tm1, a_tm1, r_t, np.array([0.99, 0.99, 0, 0.99, 0.99, 0]), s_t

    inputs, delta = oracle.forward(*batch)
    assert min(np.sum(delta < -1), np.sum(abs(delta) < 1), np.sum(delta > 1)) > 0
    for w, downhill in zip(oracle.weights, oracle.backward(inputs, delta, a_tm1), strict=True):
        assert downhill.shape == w.shape
        for place in rng.permutation(np.flatnonzero(downhill))[:3]:
            here, losses = w.flat[place], []
            for shift in (1e-7, -1e-7):
                w.flat[place] = here + shift
                losses.append(numpy_td_loss(oracle.forward(*batch)[1]))
            w.flat[place] = here
            assert (losses[1] - losses[0]) / 2e-7 == pytest.approx(downhill.flat[place], rel=1e-4, abs=1e-6)


@pytest.fixture
def played(tiny_config):
    """A replay of 1,000 agent steps of random Breakout, and what the emulator answered to each."""
    config = tiny_config(total_frames=4_000, iteration_frames=4_000, max_episode_frames=640, replay_capacity=1_000,
                         replay_start_agent_steps=999)  # fmt: skip
    population = make_population(config, [Member("breakout", 0)], [ACTIONS], torch.device("cpu"))
    ticks = train(config, population, make_streams(config, ["breakout"]), TimeSplit())
    return population.replay, [tick.step for tick in ticks]


def batches_of_play(replay: Replay, steps: list[Step], count: int) -> Iterator[Batch]:
    """Batches of 32, with +-2 added to every other reward: Breakout alone hardly ever errs by more than 1."""
    terminal, game_over, truncated, reward = (
        np.array([getattr(step, name)[0] for step in steps])
        for name in ("terminal", "game_over", "truncated", "reward")
    )
    slots = torch.from_numpy(replay.slots_of(np.arange(replay.size)))
    assert np.array_equal(replay.info[slots, 0, REWARD].numpy(), reward.clip(-1, 1))
    replay.info[slots, 0, REWARD] = torch.arange(len(steps), dtype=torch.float32)  # tells which step a row is
    draw, rng = torch.Generator().manual_seed(0), np.random.default_rng(0)
    kinds = np.zeros(3)
    for _ in range(count):
        slot = slots[(torch.rand(32, dtype=torch.float64, generator=draw) * replay.size).long()]
        batch = replay.batch(slot, torch.zeros_like(slot))
        row = batch.r_t.long().numpy()
        cut = truncated[row] & ~terminal[row]
        kinds += [np.sum(terminal[row] & ~game_over[row]), np.sum(game_over[row]), np.sum(cut)]
        assert np.array_equal(batch.discount_t.numpy(), np.where(terminal[row], 0, np.float32(0.99)))
        for k in np.flatnonzero(cut):
            assert np.array_equal(batch.s_t[k, -1].numpy(), steps[row[k]].final_frame[0])
        widened = reward[row].clip(-1, 1) + rng.choice([-2, 0, 0, 2], 32)
        yield dataclasses.replace(batch, r_t=torch.tensor(widened, dtype=torch.float32))
    assert kinds.min() > 0, "lives lost, games over, episodes cut"


@pytest.mark.slow
@pytest.mark.fidelity(4, 5, 6, 8, 23)
def test_a_hundred_updates_on_real_play_equal_float64_numpys(new_learner, played):
    """Each tensor's weights end within 2e-4 of the way that they went (measured: 5e-5, and it does not grow).

    That is float32's rounding alone. Now and then rounding also decides whether a ReLU is open, and from
    such a point on two runs part, by up to a tenth of the way. So all activations must agree to rounding,
    and NumPy's gradient passes where float32's does.
    """
    learner, activations = new_learner(ACTIONS), []
    net = learner.online
    for layer in (net.conv2, net.conv3, net.hidden, net.head):
        layer.register_forward_pre_hook(lambda _, inputs: activations.append(inputs[0].detach().numpy()))
    initial = [w.detach().clone() for w in learner.weights]
    oracle = NumpyLearner([w.numpy() for w in initial])
    others = [[w.clone() for w in initial] for _ in range(2)]
    torchs = [torch.optim.RMSprop(w, lr=0.00025, alpha=0.95, eps=eps, centered=True)
              for w, eps in zip(others, (0.01, 0.1), strict=True)]  # fmt: skip

    beyond = np.zeros(3)
    for k, batch in enumerate(batches_of_play(*played, count=100)):
        if k in (30, 70):
            learner.sync_target()
            oracle.sync_target()
        activations.clear()
        learner.loss_sum.zero_()
        learner.update(batch)

        inputs, delta = oracle.forward(*(value.numpy() for value in vars(batch).values()))
        for ours, expected in zip(activations, inputs[1:], strict=True):
            assert np.abs(ours - expected).max() < 1e-5
        dw = oracle.backward(inputs, delta, batch.a_tm1.numpy(), is_open=[x > 0 for x in activations])
        oracle.step(dw)
        assert learner.loss_sum.item() == pytest.approx(numpy_td_loss(delta), rel=1e-5)
        norm = torch.cat([d.flatten().double() for d in learner.gradient]).norm().item()
        assert norm == pytest.approx(np.sqrt(sum((d**2).sum() for d in dw)), rel=1e-5)
        beyond += [np.sum(delta < -1), np.sum(abs(delta) < 1), np.sum(delta > 1)]
        for weights, optimizer in zip(others, torchs, strict=True):
            for w, d in zip(weights, learner.gradient, strict=True):
                w.grad = d
            optimizer.step()
    assert beyond.min() > 500

    def off(weights) -> list[float]:
        """Distance from NumPy's weights, as a share of the way from the initial ones, of each tensor."""
        return [np.linalg.norm(w.detach().numpy() - v) / np.linalg.norm(v - start.numpy())
                for w, v, start in zip(weights, oracle.weights, initial, strict=True)]  # fmt: skip

    assert max(off(learner.weights)) < 2e-4
    # torch.optim.RMSprop on the very same gradients: measured 7% to 620% with an eps of .01, 5% to 27% with .1.
    assert min(map(min, map(off, others))) > 0.01


# ---------------------------------------------------------------------- target network


def q_values(network, states) -> np.ndarray:
    with torch.no_grad():
        return network(states).numpy().copy()


def test_target_equals_online_from_the_start_and_only_a_sync_moves_it(new_learner, random_batch):
    learner, batch = new_learner(ACTIONS), random_batch(4, ACTIONS, seed=0)
    first = q_values(learner.online, batch.s_t)
    assert np.array_equal(q_values(learner.target, batch.s_t), first)
    for _ in range(3):
        learner.update(batch)
    assert np.array_equal(q_values(learner.target, batch.s_t), first)
    learner.sync_target()
    synced = q_values(learner.target, batch.s_t)
    assert np.array_equal(synced, q_values(learner.online, batch.s_t))
    assert not np.array_equal(synced, first)
    learner.update(batch)  # a copy, not an alias
    assert np.array_equal(q_values(learner.target, batch.s_t), synced)
    assert not np.array_equal(q_values(learner.online, batch.s_t), synced)


@pytest.mark.fidelity(8)
def test_bootstrap_takes_the_target_networks_maximum(new_learner, random_batch):
    """Discount 1, reward 0, a target network of constant output 3: every error is 3 - q, so loss is 2.5 - q each."""
    learner, batch = new_learner(ACTIONS), random_batch(4, ACTIONS, seed=1)
    with torch.no_grad():
        learner.target.head.weight.zero_()
        learner.target.head.bias.copy_(torch.tensor([1.0, 3.0, -7.0, 0.0]))
    q = q_values(learner.online, batch.s_tm1)[np.arange(4), batch.a_tm1.numpy()]
    batch.r_t.zero_()
    batch.discount_t.fill_(1.0)
    learner.update(batch)
    assert learner.loss_sum.item() == pytest.approx(np.sum(2.5 - q), rel=1e-5)


def test_an_update_descends(new_learner, random_batch):
    """Where nothing follows, the target is the reward and stays, so every small step lowers the loss."""
    learner, batch = new_learner(ACTIONS, learning_rate=5e-5), random_batch(4, ACTIONS, seed=2)
    batch.discount_t.zero_()
    losses = []
    for _ in range(20):
        learner.loss_sum.zero_()
        learner.update(batch)
        losses.append(learner.loss_sum.item())
    assert (np.diff(losses) < 0).all()


# ---------------------------------------------------------------------- the rest


def test_values_are_the_online_networks_without_a_graph(new_learner, random_batch):
    learner, batch = new_learner(ACTIONS), random_batch(4, ACTIONS, seed=3)
    learner.update(batch)
    values = learner.values(batch.s_t)
    assert not values.requires_grad
    assert np.array_equal(values.numpy(), q_values(learner.online, batch.s_t))
    assert not np.array_equal(values.numpy(), q_values(learner.target, batch.s_t))


def test_loss_is_summed_until_it_is_taken(new_learner, random_batch):
    learner = new_learner(ACTIONS)
    sums = []
    for k in range(3):
        learner.update(random_batch(4, ACTIONS, seed=k))
        sums.append(learner.loss_sum.item())
    assert 0 < sums[0] < sums[1] < sums[2]
    other = new_learner(ACTIONS)
    other.update(random_batch(4, ACTIONS, seed=0))
    other.loss_sum.zero_()
    other.update(random_batch(4, ACTIONS, seed=1))
    assert other.loss_sum.item() == pytest.approx(sums[1] - sums[0], rel=1e-5)


def test_an_update_is_bitwise_repeatable(new_learner, random_batch):
    def weights() -> torch.Tensor:
        learner = new_learner(ACTIONS, seed=4)
        for k in range(3):
            learner.update(random_batch(32, ACTIONS, seed=k))
        return torch.cat([w.detach().flatten() for w in learner.weights])

    assert torch.equal(weights(), weights())


def test_the_number_of_threads_changes_no_more_than_rounding(new_learner, random_batch):
    """Sums are split between threads, so equal to rounding, not to the bit (measured: 3e-6 of the way)."""
    ways = []
    for threads in (1, 2):
        torch.set_num_threads(threads)  # put back by conftest
        learner = new_learner(4)
        start = torch.cat([w.detach().flatten() for w in learner.weights])
        for k in range(5):
            learner.update(random_batch(32, 4, seed=k))
        ways.append(torch.cat([w.detach().flatten() for w in learner.weights]) - start)
    difference = ((ways[0] - ways[1]).norm() / ways[0].norm()).item()
    assert difference < 1e-3, difference


def test_constants_reach_the_update(new_learner, random_batch):
    """Each of the five numbers that a learner is given changes what it learns."""

    def weights(**changes) -> torch.Tensor:
        learner = new_learner(ACTIONS, **changes)
        for k in range(2):
            learner.update(random_batch(4, ACTIONS, seed=k))
        return learner.online.head.weight.detach().clone()

    plain = weights()
    changes = [{"learning_rate": 0.0005}, {"gradient_decay": 0.9}, {"squared_gradient_decay": 0.9},
               {"min_squared_gradient": 0.02}, {"error_clip": 0.5}]  # fmt: skip
    assert not any(torch.equal(weights(**change), plain) for change in changes)
