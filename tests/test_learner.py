import numpy as np
import pytest
import torch
from torch import nn

from dqn_ref.learner import td_loss

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
def test_the_gradient_is_the_error_clipped_and_never_vanishes_beyond_the_clip(error, gradient):
    assert gradient_at(error) == pytest.approx(gradient, abs=1e-6)


@pytest.mark.parametrize(("clip", "gradient"), [(0.5, -0.5), (2.0, -2.0), (10.0, -3.0)])
def test_the_clip_is_a_parameter(clip, gradient):
    assert gradient_at(3.0, clip) == pytest.approx(gradient)


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


# ---------------------------------------------------------------------- updates, redone in float64


class Float64Learner:
    """The same algorithm from the paper's text and the released code, with nothing of the project in it."""

    def __init__(self, weights: list[torch.Tensor]) -> None:
        self.online, self.target = self.network(weights), self.network(weights)
        self.parameters = list(self.online.parameters())
        self.g = [torch.zeros_like(w) for w in self.parameters]
        self.g2 = [torch.zeros_like(w) for w in self.parameters]

    @staticmethod
    def network(weights: list[torch.Tensor]) -> nn.Sequential:
        net = nn.Sequential(
            nn.Conv2d(4, 32, 8, 4), nn.ReLU(), nn.Conv2d(32, 64, 4, 2), nn.ReLU(), nn.Conv2d(64, 64, 3, 1), nn.ReLU(),
            nn.Flatten(), nn.Linear(3136, 512), nn.ReLU(), nn.Linear(512, ACTIONS),
        ).double()  # fmt: skip
        with torch.no_grad():
            for parameter, weight in zip(net.parameters(), weights, strict=True):
                parameter.copy_(weight)
        return net

    def sync(self) -> None:
        self.target.load_state_dict(self.online.state_dict())

    def update(self, batch) -> tuple[float, float]:
        """Returns the largest |error| and the gradient's norm."""
        rows = torch.arange(len(batch.a_tm1))
        with torch.no_grad():
            best = self.target(batch.s_t.double() / 255).max(dim=1).values
        q = self.online(batch.s_tm1.double() / 255)[rows, batch.a_tm1]
        delta = batch.r_t.double() + batch.discount_t.double() * best - q.detach()
        # The released code hands the clipped error to the network's backward pass, one per row: a sum.
        gradient = torch.autograd.grad(q, self.parameters, grad_outputs=-delta.clamp(-1, 1))
        with torch.no_grad():
            for w, d, g, g2 in zip(self.parameters, gradient, self.g, self.g2, strict=True):
                g.mul_(0.95).add_(0.05 * d)
                g2.mul_(0.95).add_(0.05 * d * d)
                w -= 0.00025 * d / (g2 - g * g + 0.01).sqrt()
        return delta.abs().max().item(), sum(d.square().sum().item() for d in gradient) ** 0.5


def test_twenty_updates_with_a_target_sync_equal_float64_autograd(new_learner, random_batch):
    """float32 must stay within 1e-3 of the way that each tensor's weights went (measured: 8e-5 and less)."""
    learner = new_learner(ACTIONS)
    initial = [w.detach().clone() for w in learner.weights]
    reference = Float64Learner(initial)
    for k in range(20):
        if k == 10:
            learner.sync_target()
            reference.sync()
        batch = random_batch(8, ACTIONS, seed=k)
        learner.update(batch)
        largest, norm = reference.update(batch)
        assert largest > 1  # the clip is at work
        assert learner.gradient_norm().item() == pytest.approx(norm, rel=1e-3)
    for w, expected, start in zip(learner.weights, reference.parameters, initial, strict=True):
        moved = (expected - start).norm()
        assert moved > 0
        assert (w - expected).norm() < 1e-3 * moved


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
