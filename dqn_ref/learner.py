"""Temporal-difference learning of one member: the loss, one update, the copy to the target network."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor

from dqn_ref.network import NatureNetwork, QNetwork
from dqn_ref.optimizer import Adam, RMSProp
from dqn_ref.replay import Batch

MakeNetwork = Callable[[int, torch.Generator, torch.device], QNetwork]


def td_loss(
    q_tm1: Tensor,
    a_tm1: Tensor,
    r_t: Tensor,
    discount_t: Tensor,
    q_t: Tensor,
    error_clip: float | None = 1.0,
    reduction: str = "sum",
    error_scale: float = 1.0,
) -> Tensor:
    """The paper's loss, summed over the batch (Methods, "Training algorithm").

    Its gradient with respect to q_tm1[a] is the TD error, times error_scale, clipped to +-error_clip: a Huber loss.
    The *gradient* is clipped, not the loss; a clipped loss would have no gradient where it matters.

    Args:
        q_tm1: [B, A] online values of the states acted in.
        a_tm1: [B] actions taken.
        r_t: [B] clipped rewards.
        discount_t: [B] 0 where the transition is terminal.
        q_t: [B, A] target network's values of the states that followed.
        error_clip: bound of the gradient; None for none, which makes it half the squared error.
        reduction: "sum" as in the released code, or "mean".
        error_scale: 1 as in the released code; 2 is the slope of a squared error without its half.

    Returns:
        A scalar.
    """
    target = (r_t + discount_t * q_t.amax(dim=1)).detach()  # [B]
    # A masked sum, not gather, whose backward pass on CUDA has to sort to be deterministic.
    taken = a_tm1[:, None] == torch.arange(q_tm1.shape[1], device=q_tm1.device)
    value = (q_tm1 * taken).sum(dim=1)  # [B]
    if error_clip is None:
        loss = torch.nn.functional.mse_loss(value, target, reduction=reduction) / 2
    else:
        loss = torch.nn.functional.huber_loss(value, target, reduction=reduction, delta=error_clip / error_scale)
    return loss if error_scale == 1 else loss * error_scale


class Learner:
    """Online and target network of one member, and the update between them.

    With ``precision="bfloat16"`` both networks' passes run on copies of that type; the weights that are
    learnt, the loss and the optimiser stay float32.

    ``update`` is a fixed sequence of tensor operations: it reads nothing back and decides nothing on
    the host, so that it can be captured as it is.
    """

    def __init__(
        self,
        num_actions: int,
        *,
        init: torch.Generator,
        device: torch.device,
        learning_rate: float,
        gradient_decay: float,
        squared_gradient_decay: float,
        min_squared_gradient: float,
        error_clip: float | None,
        error_scale: float = 1.0,
        floor_outside_root: bool = False,
        loss_reduction: str = "sum",
        precision: str = "float32",
        optimizer: str = "rmsprop",
        make_network: MakeNetwork = NatureNetwork,
    ) -> None:
        self.error_clip = error_clip
        self.error_scale = error_scale
        self.loss_reduction = loss_reduction
        self.online = make_network(num_actions, init, device)
        self.target = make_network(num_actions, init, device).requires_grad_(False)
        self.weights: list[Tensor] = list(self.online.parameters())
        self.network = self.online  # the one that computes
        if precision == "bfloat16":
            self.network, self.target = copy.deepcopy(self.online).bfloat16(), self.target.bfloat16()
        self._network_weights: list[Tensor] = list(self.network.parameters())
        self._target_weights: list[Tensor] = list(self.target.parameters())
        self.gradient: tuple[Tensor, ...] = tuple(map(torch.zeros_like, self.weights))  # newest
        self.optimizer: RMSProp | Adam
        if optimizer == "adam":
            self.optimizer = Adam(self.weights, learning_rate=learning_rate)
        else:
            self.optimizer = RMSProp(
                self.weights,
                learning_rate=learning_rate,
                gradient_decay=gradient_decay,
                squared_gradient_decay=squared_gradient_decay,
                min_squared_gradient=min_squared_gradient,
                floor_outside_root=floor_outside_root,
            )
        self.loss_sum = torch.zeros((), device=device)  # since it was last taken; stays on the device
        self.sync_target()

    def update(self, batch: Batch) -> None:
        """One gradient step on ``batch``."""
        with torch.no_grad():
            q_t = self.target(batch.s_t).float()  # [B, A]
        q_tm1 = self.network(batch.s_tm1).float()  # [B, A]
        loss = td_loss(
            q_tm1, batch.a_tm1, batch.r_t, batch.discount_t, q_t, self.error_clip, self.loss_reduction, self.error_scale
        )
        gradient = torch.autograd.grad(loss, self._network_weights)
        if self.network is self.online:
            self.gradient = gradient
            self.optimizer.step(self.gradient)
        else:
            with torch.no_grad():
                torch._foreach_copy_(self.gradient, gradient)
                self.optimizer.step(self.gradient)
                torch._foreach_copy_(self._network_weights, self.weights)
        self.loss_sum += loss.detach()

    def sync_target(self) -> None:
        """Copy the online network to the target network."""
        with torch.no_grad():
            torch._foreach_copy_(self._target_weights, self.weights)

    def state(self) -> dict[str, list[Tensor]]:
        """All that later updates depend on, and all that later measures do once there was another update."""
        return {"online": self.weights, "target": self._target_weights, **self.optimizer.state()}

    @torch.no_grad()
    def restore(self, state: Mapping[str, Sequence[Tensor]]) -> None:
        """Take over the ``state`` of another, from any device; its tensors are copied to where these lie."""
        for name, own in (("online", self.weights), ("target", self._target_weights)):
            for tensor, saved in zip(own, state[name], strict=True):
                tensor.copy_(saved)
        self.optimizer.restore({name: state.get(name, []) for name in self.optimizer.state()})
        if self.network is not self.online:
            torch._foreach_copy_(self._network_weights, self.weights)

    @torch.inference_mode()
    def values(self, state: Tensor) -> Tensor:
        """Online values, [B, 4, 84, 84] u8 -> [B, A] f32, without a graph."""
        q: Tensor = self.network(state).float()
        return q

    def newest_step(self) -> list[Tensor]:
        """What the newest update added to each of the weights."""
        return self.optimizer.newest_step(self.gradient)

    @torch.inference_mode()
    def values_before(self, state: Tensor) -> Tensor:
        """As ``values``, of the network as it was before the newest update."""
        before = torch._foreach_sub(self.weights, self.newest_step())
        names = [name for name, _ in self.network.named_parameters()]
        cast = {
            name: weight.to(own.dtype) for name, weight, own in zip(names, before, self._network_weights, strict=True)
        }
        q: Tensor = torch.func.functional_call(self.network, cast, (state,)).float()
        return q
