"""Loops of a CPU beside the tensor operations that they stand for."""

import sys

import numpy as np
import pytest
import torch

from dqn_ref import one_pass
from dqn_ref.network import NatureNetwork
from dqn_ref.one_pass import by_operations, channels_last, compiled, flat, rmsprop_step
from dqn_ref.optimizer import RMSProp
from dqn_ref.replay import Replay


def by_both(work):
    """What ``work`` makes in one pass, and by operations."""
    ours = work()
    with by_operations():
        return ours, work()


# ---------------------------------------------------------------------- RMSProp


def stepped(floor_outside_root: bool, layout: torch.memory_format, steps: int = 200) -> list[torch.Tensor]:
    """Weights and both running means after ``steps`` gradients of all sizes; dead units among them."""
    draw = torch.Generator().manual_seed(0)
    weights = [
        torch.randn(8, 4, 3, 3, generator=draw).contiguous(memory_format=layout),
        torch.randn(50, generator=draw),
    ]
    optimizer = RMSProp(
        weights,
        learning_rate=0.01,
        gradient_decay=0.95,
        squared_gradient_decay=0.95,
        min_squared_gradient=0.01,
        floor_outside_root=floor_outside_root,
    )
    for _ in range(steps):
        gradient = [torch.randn(weight.shape, generator=draw) * 10 ** (4 * torch.rand(weight.shape, generator=draw) - 3)
                    for weight in weights]  # fmt: skip
        gradient[1][:10] = 0
        optimizer.step(gradient)
    return [*weights, *optimizer.mean, *optimizer.mean_square]


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("floor_outside_root", [False, True])
def test_a_step_in_one_pass_is_the_step_by_operations(floor_outside_root, layout):
    """To float32's rounding: a product is rounded before it is added, or with it. Gradients come in rows whatever the
    weights' layout, so that elements would be mistaken for each other if strides were."""
    for ours, operations in zip(*by_both(lambda: stepped(floor_outside_root, layout)), strict=True):
        assert ours.stride() == operations.stride()
        torch.testing.assert_close(ours, operations, rtol=2e-5, atol=2e-6)
        assert ours[:10].count_nonzero() == operations[:10].count_nonzero()


def test_one_pass_changes_no_number_but_those_it_is_there_for():
    weight, gradient = np.random.default_rng(0).random((2, 1_000), dtype=np.float32)
    mean, mean_square = np.zeros_like(weight), np.ones_like(weight)
    before, kept = weight.copy(), gradient.copy()
    numbers = [np.float32(value) for value in (0.1, 0.05, 0.05, 0.01)]
    compiled(rmsprop_step)(weight, gradient, mean, mean_square, *numbers, False)
    assert np.array_equal(gradient, kept)
    assert (weight < before).all()  # all gradients are above 0
    assert {array.dtype for array in (weight, mean, mean_square)} == {np.dtype(np.float32)}


def test_a_loop_by_hand_before_it_is_compiled():
    """d = 2: g = .1, g2 = .2, so w falls by .1 * 2 / sqrt(.2 - .01 + .01), or by .1 * 2 / (sqrt(.19) + .01)."""
    for outside, root in ((False, 0.2**0.5), (True, 0.19**0.5 + 0.01)):
        weight, gradient, mean, mean_square = np.array([[1.0], [2.0], [0.0], [0.0]])
        rmsprop_step(weight, gradient, mean, mean_square, 0.1, 0.05, 0.05, 0.01, outside)
        assert weight[0] == pytest.approx(1 - 0.1 * 2 / root, rel=1e-12)
        assert (mean[0], mean_square[0]) == (pytest.approx(0.1), pytest.approx(0.2))


def test_flat_is_a_view_in_the_order_of_memory():
    tensor = torch.arange(24.0).reshape(1, 2, 3, 4).contiguous(memory_format=torch.channels_last)
    flat(tensor)[1] = -1
    assert tensor[0, 1, 0, 0] == -1  # the second channel of the first pixel


# ---------------------------------------------------------------------- frames to channels


def bytes_of(*shape: int) -> torch.Tensor:
    return torch.randint(0, 256, shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(
    "state",
    [bytes_of(32, 4, 84, 84), bytes_of(1, 4, 84, 84), bytes_of(0, 4, 84, 84), bytes_of(3, 4, 5, 7),
     bytes_of(3, 2, 84, 84), bytes_of(6, 5, 84, 84)[:, 1:], bytes_of(6, 4, 84, 84)[::2]],
    ids=lambda state: "x".join(map(str, state.shape)),
)  # fmt: skip
def test_channels_last_holds_the_same_bytes_in_torchs_order(state):
    before = state.clone()
    ours, operations = by_both(lambda: channels_last(state))
    assert torch.equal(ours, state)
    assert ours.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(ours.permute(0, 2, 3, 1).flatten(), operations.permute(0, 2, 3, 1).flatten())
    ours.zero_()
    assert torch.equal(state, before)


@pytest.mark.parametrize("type_", [torch.float32, torch.bfloat16])
def test_a_network_is_shown_the_same_on_a_cpu_as_on_a_gpu(type_):
    """Bit by bit: in bfloat16, which holds every byte, a quotient is rounded once in either order."""
    network = NatureNetwork(4, torch.Generator().manual_seed(0), torch.device("cpu")).to(type_)
    state = torch.arange(256, dtype=torch.uint8).repeat(4 * 84 * 84 // 256 + 1)[: 4 * 84 * 84].view(1, 4, 84, 84)
    ours, operations = by_both(lambda: network.shown(state))
    assert ours.dtype == operations.dtype == type_
    assert torch.equal(ours, operations)
    assert ours.is_contiguous(memory_format=torch.channels_last)
    assert operations.is_contiguous()


def test_stacks_are_masked_the_same_on_a_cpu_as_on_a_gpu():
    """Every history: of none, one, two and three frames before the newest; and what is masked is zero."""
    replay = Replay(1, 8, shortest_iteration=8, shortest_episode=8, discount=0.99, device=torch.device("cpu"))
    frames = bytes_of(4, 5, 84, 84)[:, 1:]
    ours, operations = by_both(lambda: replay._masked(frames, torch.arange(4.0)))
    assert torch.equal(ours, operations)
    for history in range(4):
        assert torch.equal(ours[history, 3 - history :], frames[history, 3 - history :])
        assert not ours[history, : 3 - history].any()


# ---------------------------------------------------------------------- choosing


def test_without_numba_the_operations_do_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "numba", None)
    one_pass._compiled.cache_clear()
    try:
        assert compiled(rmsprop_step) is None
        without = stepped(False, torch.contiguous_format, 5)
        with by_operations():
            assert all(map(torch.equal, without, stepped(False, torch.contiguous_format, 5)))
    finally:
        one_pass._compiled.cache_clear()


def test_by_operations_ends_with_its_body_even_after_an_error():
    assert compiled(rmsprop_step) is compiled(rmsprop_step) is not None
    with by_operations():
        with by_operations():
            assert compiled(rmsprop_step) is None
        assert compiled(rmsprop_step) is None
    with pytest.raises(ZeroDivisionError), by_operations():
        raise ZeroDivisionError
    assert compiled(rmsprop_step) is not None
