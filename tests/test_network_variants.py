"""Networks and optimisers that deviate from the paper, one thing at a time."""

import dataclasses

import pytest
import torch
from scipy.stats import kstest, norm, uniform
from torch import nn

from dqn_ref.build import make_population, networks_of
from dqn_ref.config import DQNConfig
from dqn_ref.learner import td_loss
from dqn_ref.network import NatureNetwork
from dqn_ref.optimizer import Adam, RMSProp
from dqn_ref.protocols import EARLY
from dqn_ref.seeds import Member

CPU = torch.device("cpu")


def made(num_actions: int = 6, **changes) -> nn.Module:
    config = dataclasses.replace(DQNConfig(), **changes)
    return networks_of(config)(num_actions, torch.Generator().manual_seed(0), CPU)


def states(size: int = 3) -> torch.Tensor:
    draw = torch.Generator().manual_seed(1)
    return torch.randint(0, 256, (size, 4, 84, 84), dtype=torch.uint8, generator=draw)


def parameters(network: nn.Module) -> int:
    return sum(weight.numel() for weight in network.parameters())


def test_half_the_width_is_half_the_units_of_each_layer():
    """(8*8*4+1)*16 + (4*4*16+1)*32 + (3*3*32+1)*32 + (32*49+1)*256 + (256+1)*6"""
    assert parameters(made(network="half_width")) == 4_112 + 8_224 + 9_248 + 401_664 + 1_542


def test_the_flat_network_is_two_layers_of_128_on_28224_pixels():
    network = made(network="flat_mlp")
    assert parameters(network) == 28_225 * 128 + 129 * 128 + 129 * 6
    plain = nn.Sequential(nn.Linear(28_224, 128), nn.ReLU(), nn.Linear(128, 128), nn.ReLU(), nn.Linear(128, 6))
    plain.load_state_dict(dict(zip(plain.state_dict(), network.state_dict().values(), strict=True)))
    # whatever the order in memory of what it is shown, a pixel of frame f at (y, x) is input f * 7056 + y * 84 + x
    torch.testing.assert_close(network(states()), plain(states().flatten(1) / 255))


@pytest.mark.parametrize("frames", [1, 2, 3, 4])
@pytest.mark.parametrize("kind", ["nature", "flat_mlp"])
def test_a_network_is_shown_the_newest_frames_alone(kind, frames):
    network, shown = made(network=kind, frames_per_state=frames), states()
    older, newest = shown.clone(), shown.clone()
    older[:, : 4 - frames] = 7
    newest[:, 4 - frames] += 1
    assert torch.equal(network(older), network(shown))
    assert not torch.equal(network(newest), network(shown))


def test_the_divisor_is_what_the_bytes_are_divided_by():
    scaled, bytes_alone = made(), made(input_divisor=1.0)
    assert scaled.shown(states()).max() == states().max() / 255
    assert bytes_alone.shown(states()).max() == states().max()
    torch.testing.assert_close(bytes_alone.shown(states()), states().float())


def test_an_error_that_is_not_clipped_has_half_its_square_for_a_loss_and_itself_for_a_gradient():
    q_tm1 = torch.tensor([[0.0, 5.0], [1.0, 0.0]], requires_grad=True)
    loss = td_loss(q_tm1, torch.tensor([1, 0]), torch.tensor([2.0, 1.5]), torch.zeros(2), torch.zeros(2, 2), None)
    assert loss.item() == (3.0**2 + 0.5**2) / 2
    (gradient,) = torch.autograd.grad(loss, q_tm1)
    assert gradient.tolist() == [[0.0, 3.0], [-0.5, 0.0]]


@pytest.mark.parametrize("kind", ["rmsprop", "adam"])
def test_the_newest_step_is_what_was_added_to_the_weights(kind):
    draw = torch.Generator().manual_seed(0)
    weights = [torch.zeros(5, 3), torch.zeros(7)]
    constants = {"gradient_decay": 0.95, "squared_gradient_decay": 0.95, "min_squared_gradient": 0.01}
    made = Adam(weights, learning_rate=1e-3) if kind == "adam" else RMSProp(weights, learning_rate=1e-3, **constants)
    for _ in range(20):
        gradient = [torch.randn(weight.shape, generator=draw) for weight in weights]
        before = [weight.clone() for weight in weights]
        made.step(gradient)
        for weight, old, step in zip(weights, before, made.newest_step(gradient), strict=True):
            torch.testing.assert_close(weight - old, step, rtol=1e-3, atol=1e-8)
            assert step.abs().max() > 0


def test_adam_is_pytorchs():
    ours, theirs = torch.ones(4), torch.ones(4)
    adam, plain = Adam([ours], learning_rate=0.01), torch.optim.Adam([theirs], lr=0.01)
    for number in range(5):
        gradient = torch.arange(4.0) - number
        adam.step([gradient.clone()])
        theirs.grad = gradient.clone()
        plain.step()
    assert torch.equal(ours, theirs)


# (inputs, outputs) of a weight as the published formulas count them: a convolution's are its kernel's, times channels.
FANS = {
    "conv1": (8 * 8 * 4, 8 * 8 * 32), "conv2": (4 * 4 * 32, 4 * 4 * 64), "conv3": (3 * 3 * 64, 3 * 3 * 64),
    "hidden": (64 * 7 * 7, 512), "head": (512, 6),
}  # fmt: skip


@pytest.mark.parametrize("layer", FANS)
@pytest.mark.parametrize("kind", ["he_normal", "glorot_uniform"])
def test_larger_initial_weights_have_the_published_distribution_and_biases_of_0(kind, layer):
    """Kolmogorov and Smirnov's test against the distribution; that of twice the variance is refused."""
    inputs, outputs = FANS[layer]
    found = getattr(made(initial_weights=kind), layer)
    drawn = found.weight.detach().flatten().numpy()
    if kind == "he_normal":
        deviation = (2 / inputs) ** 0.5
        right, wrong = norm(scale=deviation), norm(scale=2**0.5 * deviation)
    else:
        bound = (6 / (inputs + outputs)) ** 0.5
        right, wrong = uniform(-bound, 2 * bound), uniform(-(2**0.5) * bound, 2 * 2**0.5 * bound)
    assert kstest(drawn, right.cdf).pvalue > 0.001
    assert kstest(drawn, wrong.cdf).pvalue < 1e-6
    assert found.bias.abs().max() == 0


@pytest.mark.parametrize("kind", ["uniform", "he_normal", "glorot_uniform"])
def test_initial_weights_are_of_the_member_and_of_nothing_else(kind):
    """Equal for equal seeds, whatever was drawn before from PyTorch's own generator, and different for others."""
    torch.manual_seed(1)
    first = made(initial_weights=kind)
    torch.manual_seed(2)
    state = torch.get_rng_state()
    again = made(initial_weights=kind)
    assert torch.equal(torch.get_rng_state(), state)
    other = NatureNetwork(6, torch.Generator().manual_seed(1), CPU, initial_weights=kind)
    for one, two, three in zip(first.parameters(), again.parameters(), other.parameters(), strict=True):
        assert torch.equal(one, two)
        assert not torch.equal(one, three) or one.abs().max() == 0


def test_the_configuration_reaches_network_optimiser_and_rewards():
    config = dataclasses.replace(
        EARLY.config, network="flat_mlp", frames_per_state=1, input_divisor=2.0, optimizer="adam", learning_rate=0.5,
        reward_clip=None, error_clip=None, initial_weights="he_normal",
    )  # fmt: skip
    population = make_population(config, [Member("breakout", 0)], [4], CPU)
    learner = population.agents[0].learner
    assert learner.online.hidden1.weight.shape == (128, 84 * 84)
    assert learner.online.head.bias.abs().max() == 0
    assert learner.online.shown(states()).float().max() == states()[:, -1].max() / 2
    assert learner.optimizer.optimizer.param_groups[0]["lr"] == 0.5
    assert learner.error_clip is None
    assert population.reward_clip == float("inf")
