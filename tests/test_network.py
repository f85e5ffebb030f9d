import pytest
import torch
from scipy.stats import kstest, uniform
from torch import nn
from torch.nn.functional import conv2d

from dqn_ref.network import NatureNetwork

CPU = torch.device("cpu")
LAYERS = ("conv1", "conv2", "conv3", "hidden", "head")


def network(num_actions: int = 4, seed: int = 0) -> NatureNetwork:
    return NatureNetwork(num_actions, torch.Generator().manual_seed(seed), CPU)


def plain_network(num_actions: int) -> nn.Sequential:
    """The architecture as the paper's text gives it, made of PyTorch's own layers with their own initialisation."""
    return nn.Sequential(
        nn.Conv2d(4, 32, 8, 4), nn.ReLU(),
        nn.Conv2d(32, 64, 4, 2), nn.ReLU(),
        nn.Conv2d(64, 64, 3, 1), nn.ReLU(),
        nn.Flatten(), nn.Linear(3136, 512), nn.ReLU(), nn.Linear(512, num_actions),
    )  # fmt: skip


def states(size: int = 3, seed: int = 0) -> torch.Tensor:
    draw = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (size, 4, 84, 84), dtype=torch.uint8, generator=draw)


@pytest.mark.fidelity(1)
def test_feature_maps_are_20_9_and_7_wide():
    """(84 - 8) / 4 + 1, (20 - 4) / 2 + 1 and (9 - 3) / 1 + 1; then 64 * 7 * 7 = 3,136 features."""
    net, seen = network(18), []
    for name in LAYERS:
        getattr(net, name).register_forward_hook(lambda _, inputs, output: seen.append(tuple(output.shape[1:])))
    net.hidden.register_forward_hook(lambda _, inputs, output: seen.append(tuple(inputs[0].shape[1:])))
    net(states(2))
    assert seen == [(32, 20, 20), (64, 9, 9), (64, 7, 7), (512,), (3136,), (18,)]


@pytest.mark.fidelity(1)
def test_the_released_codes_padding_changes_no_shape():
    """Its conv1 pads by 1. (86 - 8) / 4 + 1 is 20 as well, but the kernels lie one pixel off: a deviation."""
    net, x = network(), states(2) / 255
    padded = conv2d(x, net.conv1.weight, net.conv1.bias, stride=4, padding=1)
    assert padded.shape[1:] == net.conv1(x).shape[1:] == (32, 20, 20)
    assert (padded - net.conv1(x)).abs().max() > 0.01
    # all but the first row and column of its kernels see what ours would see of a picture moved by (3, 3)
    torch.testing.assert_close(padded[:, :, 1:, 1:], net.conv1(x[:, :, 3:, 3:]))


@pytest.mark.fidelity(1)
def test_parameters_are_the_papers():
    """(8*8*4+1)*32 + (4*4*32+1)*64 + (3*3*64+1)*64 + (3136+1)*512 + (512+1)*A"""
    for num_actions in (4, 18):
        count = sum(weight.numel() for weight in network(num_actions).parameters())
        assert count == 8_224 + 32_832 + 36_928 + 1_606_144 + 513 * num_actions


@pytest.mark.fidelity(1, 3)
def test_forward_is_the_plain_network_in_float64():
    """Inputs divided by 255 once. Q is of order 0.1; float32 sums over 3,136 terms err by about 1e-7."""
    net, plain = network(6), plain_network(6).double()
    plain.load_state_dict(dict(zip(plain.state_dict(), net.state_dict().values(), strict=True)))
    expected = plain(states().double() / 255)
    assert (net(states()) - expected).abs().max() < 1e-6
    assert (plain(states().double()) - expected).abs().max() > 1  # unscaled input would show
    assert (plain(states().double() / 255**2) - expected).abs().max() > 1e-3  # and twice scaled, too


@pytest.mark.fidelity(3)
def test_scale_by_hand():
    """Every conv weight 0 but the first's bias chain: a white frame is 1.0 at the first layer's input."""
    net = network(1)
    with torch.no_grad():
        for weight in net.parameters():
            weight.zero_()
        net.conv1.weight[0, 3, 0, 0] = 1  # the newest frame's corner pixel
        net.conv2.weight[0, 0, 0, 0] = net.conv3.weight[0, 0, 0, 0] = 1
        net.hidden.weight[0, 0] = net.head.weight[0, 0] = 1
    state = torch.zeros((3, 4, 84, 84), dtype=torch.uint8)
    state[1, 3, 0, 0], state[2, 3, 0, 0] = 255, 51
    assert torch.allclose(net(state)[:, 0], torch.tensor([0.0, 1.0, 0.2]))


def test_forward_leaves_the_state_as_it_was():
    state = states(1)
    kept = state.clone()
    network()(state)
    assert torch.equal(state, kept)
    assert state.dtype == torch.uint8


@pytest.mark.fidelity(2)
def test_weights_and_biases_are_uniform_within_one_over_root_fan_in():
    """A head of one action has few biases, hence 18. Of n draws the largest is within a share of 10/n of
    the bound but for a chance of e**-10."""
    for fan_in, name in zip((4 * 64, 32 * 16, 64 * 9, 3136, 512), LAYERS, strict=True):
        layer = getattr(network(18), name)
        for parameter in (layer.weight, layer.bias):
            share = parameter.detach().flatten() * fan_in**0.5
            assert 1 - 10 / share.numel() < share.abs().max() <= 1 + 1e-6
            assert kstest(share.numpy(), uniform(-1, 2).cdf).pvalue > 1e-3


@pytest.mark.fidelity(2)
def test_initialisation_equals_pytorchs_default_draw_for_draw():
    """The same stream of random numbers through ``reset_parameters`` of Conv2d and Linear gives the same weights."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(7)
        plain = plain_network(6)
    for ours, theirs in zip(network(6, seed=7).parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-6, atol=0)


def test_initialisation_is_a_function_of_its_generator():
    def flat(seed: int) -> torch.Tensor:
        return torch.cat([weight.flatten() for weight in network(seed=seed).parameters()])

    assert torch.equal(flat(1), flat(1))
    assert (flat(1) == flat(2)).float().mean() < 0.01


def test_initialisation_leaves_the_global_generator_alone():
    before = torch.get_rng_state()
    network()
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.fidelity(1)
def test_outputs_are_linear_not_rectified():
    q = network(18)(states(8))
    assert (q < 0).any()
    assert (q > 0).any()
    assert q.shape == (8, 18)
    assert q.dtype == torch.float32


def test_every_parameter_gets_a_gradient():
    net = network()
    net(states()).square().sum().backward()
    assert all(weight.grad is not None and weight.grad.abs().sum() > 0 for weight in net.parameters())
