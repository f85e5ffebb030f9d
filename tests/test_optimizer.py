import numpy as np
import pytest
import torch
from nature_in_numpy import rmsprop

from dqn_ref.one_pass import by_operations
from dqn_ref.optimizer import RMSProp

STEPS = 50


@pytest.fixture(params=["one pass", "operations"], autouse=True)
def way(request):
    """Everything here holds for both ways to compute a step: a CPU's own, and a GPU's."""
    if request.param == "one pass":
        yield
    else:
        with by_operations():
            yield


def optimizer(weights, **changes) -> RMSProp:
    values = {"learning_rate": 0.00025, "gradient_decay": 0.95, "squared_gradient_decay": 0.95,
              "min_squared_gradient": 0.01}  # fmt: skip
    return RMSProp(weights, **values | changes)


def gradients() -> np.ndarray:
    """[STEPS, 30]: small beside 0.1 = sqrt(0.01), of its size, and large."""
    rng = np.random.default_rng(0)
    return rng.normal(0.05, 1, (STEPS, 30)) * np.repeat([0.01, 0.1, 10.0], 10)


def by_formula(**constants) -> np.ndarray:
    """[STEPS, 30] weights after each step, as the released code computes them (its dw points downhill)."""
    w, g, g2, path = np.zeros(30), np.zeros(30), np.zeros(30), []
    for d in gradients():
        w, g, g2 = rmsprop(w, -d, g, g2, **constants)
        path.append(w)
    return np.array(path)


def run(make, dtype: torch.dtype) -> np.ndarray:
    weight = torch.zeros(30, dtype=dtype)
    step = make(weight)
    path = []
    for d in gradients():
        step(torch.tensor(d, dtype=dtype))
        path.append(weight.double().numpy().copy())
    return np.array(path)


def ours(weight):
    chosen = optimizer([weight])
    return lambda d: chosen.step([d])


def theirs(**values):
    def make(weight):
        chosen = torch.optim.RMSprop([weight], lr=0.00025, alpha=0.95, **values)

        def step(d):
            weight.grad = d
            chosen.step()

        return step

    return make


@pytest.mark.fidelity(4)
def test_first_step_by_hand():
    """d = 2: g = .1, g2 = .2, so w falls by lr * 2 / sqrt(.2 - .01 + .01)."""
    weight = torch.tensor([1.0], dtype=torch.float64)
    optimizer([weight], learning_rate=0.1).step([torch.tensor([2.0], dtype=torch.float64)])
    assert weight.item() == pytest.approx(1 - 0.1 * 2 / 0.2**0.5, rel=1e-12)


@pytest.mark.fidelity(4)
def test_fifty_steps_follow_the_formula_in_float64():
    np.testing.assert_allclose(run(ours, torch.float64), by_formula(), rtol=1e-12, atol=1e-15)


def test_float32_stays_by_the_formula():
    """float32 rounds to 6e-8; fifty steps and the difference under the root make a little more of it."""
    expected = by_formula()
    assert np.abs(run(ours, torch.float32) - expected).max() < 1e-5 * np.abs(expected).max()


@pytest.mark.parametrize(
    "values",
    [{"centered": True, "eps": 0.01}, {"centered": True, "eps": 0.1}, {"centered": False, "eps": 0.01},
     {"centered": True, "eps": 0.01, "momentum": 0.95}],
)  # fmt: skip
@pytest.mark.fidelity(4)
def test_torchs_rmsprop_is_another_optimiser(values):
    """Its eps lies outside the root; no choice of it, nor of its momentum, makes up for that."""
    difference = np.abs(run(theirs(**values), torch.float64) - by_formula())[-1]
    assert (difference > 0.02 * np.abs(by_formula()[-1]).max()).any()


def test_torchs_rmsprop_agrees_where_the_place_of_eps_does_not_matter():
    """With a negligible eps both are the same centred RMSProp, so the difference above is eps alone."""
    weight = torch.zeros(30, dtype=torch.float64)
    chosen = optimizer([weight], min_squared_gradient=1e-30)
    for d in gradients()[1:]:
        chosen.step([torch.tensor(d)])
    other = torch.zeros(30, dtype=torch.float64)
    step = theirs(centered=True, eps=1e-15)(other)
    for d in gradients()[1:]:
        step(torch.tensor(d))
    torch.testing.assert_close(weight, other, rtol=1e-9, atol=0)


@pytest.mark.parametrize(
    ("changes", "formula"),
    [({"learning_rate": 0.01}, {"lr": 0.01}), ({"gradient_decay": 0.94}, {"decay": 0.94}),
     ({"squared_gradient_decay": 0.99}, {"decay2": 0.99}), ({"min_squared_gradient": 1.0}, {"floor": 1.0})],
)  # fmt: skip
def test_every_constant_takes_effect(changes, formula):
    weight = torch.zeros(30, dtype=torch.float64)
    chosen = optimizer([weight], **changes)
    for d in gradients():
        chosen.step([torch.tensor(d)])
    expected = by_formula(**formula)[-1]
    assert np.isfinite(expected).all()
    np.testing.assert_allclose(weight.numpy(), expected, rtol=1e-10, atol=1e-15)
    assert not np.allclose(weight.numpy(), by_formula()[-1], rtol=1e-3)


@pytest.mark.fidelity(4)
def test_a_step_has_no_momentum():
    """A zero gradient moves nothing, whatever came before."""
    weight = torch.zeros(3)
    chosen = optimizer([weight])
    chosen.step([torch.ones(3)])
    moved = weight.clone()
    chosen.step([torch.zeros(3)])
    assert torch.equal(weight, moved)
    assert (moved < 0).all()


def test_the_gradient_handed_in_is_not_changed():
    d = torch.ones(3)
    optimizer([torch.zeros(3)]).step([d])
    assert d.tolist() == [1.0] * 3


def test_tensors_are_updated_apart_and_in_order():
    rng = torch.Generator().manual_seed(0)
    shapes = [(2, 3), (4,), (1, 2, 2)]
    gradient = [torch.randn(shape, generator=rng) for shape in shapes]
    together = [torch.zeros(shape) for shape in shapes]
    optimizer(together).step(gradient)
    for weight, d in zip(together, gradient, strict=True):
        alone = torch.zeros_like(d)
        optimizer([alone]).step([d])
        assert torch.equal(weight, alone)


def test_weights_that_require_gradients_can_be_updated():
    weight = torch.nn.Parameter(torch.zeros(2))
    optimizer([weight]).step([torch.ones(2)])
    assert weight.requires_grad
    assert (weight < 0).all()
