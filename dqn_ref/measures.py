"""What goes on inside a learner: measured on its device, once a row of progress, changing nothing.

Every measure is one number that tells kinds of failure apart; docs/records.md says what each is. The states
are the held-out ones and a fresh sample of replay, drawn by a random stream of their own.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dqn_ref.network import QNetwork
from dqn_ref.population import Population
from dqn_ref.replay import REWARD, STACK, TERMINAL

DORMANT = 0.025  # a unit below this share of its layer's mean activation (Sokar et al. 2023)
DORMANT_LAYERS = ("conv1", "conv2", "conv3", "hidden")


class Measures:
    """Measures one member of ``population``.

    Args:
        population: at work.
        number: of the member in it.
        size: states held out, and transitions of a fresh sample.
        heldout: the states [size, 4, 84, 84]; by default they are drawn from replay.
    """

    def __init__(self, population: Population, number: int, size: int, heldout: Tensor | None = None) -> None:
        self._population, self._number, self._size = population, number, size
        self._agent = population.agents[number]
        self.sampling = self._agent.member.numpy_stream("measures")
        self.heldout = population.heldout_batch(number, size).s_tm1 if heldout is None else heldout

    @torch.inference_mode()
    def row(self, starts: Sequence[NDArray[np.uint8]]) -> dict[str, float]:
        """All measures now. ``starts``: first frames [84, 84] of the episodes that ended since the last row."""
        found = {**self._of_values(), **self._of_weights(), **self._of_replay(), **self._q_start(starts)}
        numbers = torch.stack([torch.as_tensor(value, device=self.heldout.device).float() for value in found.values()])
        return dict(zip(found, numbers.tolist(), strict=True))  # one read for all

    # ------------------------------------------------------------------ on the held-out states

    def _of_values(self) -> dict[str, Tensor | float]:
        learner, states = self._agent.learner, self.heldout
        activations = learner.network.activations(states)
        q = learner.network.head(activations[-1]).float()  # [N, A]
        best, greedy = q.max(dim=1)
        shares = torch.nn.functional.one_hot(greedy, q.shape[1]).float().mean(dim=0)  # [A]
        shown = learner.network.shown(states[:: max(1, len(states) // 32)]).float()
        return {
            "q_mean": best.mean(),
            "q_max": best.max(),
            "action_entropy": torch.special.entr(shares).sum() / math.log(max(2, q.shape[1])),
            "top_action_share": shares.max(),
            "policy_churn": (learner.values_before(states).argmax(dim=1) != greedy).float().mean(),
            **_dormant(learner.network, activations),
            "input_min": shown.min(),
            "input_mean": shown.mean(),
            "input_max": shown.max(),
        }

    # ------------------------------------------------------------------ on the weights

    def _of_weights(self) -> dict[str, Tensor | float]:
        learner = self._agent.learner
        size = _norm(learner.weights)
        # Rounded as the target network is, so that a copy lies at distance 0 in bfloat16 too.
        own = [weight.to(learner.target.head.weight.dtype).float() for weight in learner.weights]
        target = [weight.float() for weight in learner.target.parameters()]
        return {
            "gradient_norm": _norm(learner.gradient),
            "update_ratio": _norm(learner.newest_step()) / size,
            "target_distance": _norm(torch._foreach_sub(own, target)) / size,
        }

    # ------------------------------------------------------------------ on replay

    def _of_replay(self) -> dict[str, Tensor | float]:
        population, learner, replay = self._population, self._agent.learner, self._population.replay
        batch = population.sampled(self._number, self.sampling, self._size)
        q_tm1 = learner.values(batch.s_tm1).gather(1, batch.a_tm1[:, None])[:, 0]
        target = batch.r_t + batch.discount_t * learner.target(batch.s_t).float().amax(dim=1)
        held = population.held(self._number)
        return {
            "td_error_ratio": _ratio((target - q_tm1).var(), target),
            "replay_fill": replay.size / replay.capacity,
            "replay_age": population.streams_per_member * (replay.size - 1) / 2,
            "nonzero_reward_share": (held[..., REWARD] != 0).float().mean(),
            "terminal_share": held[..., TERMINAL].mean(),
            "unique_state_share": _unique_share(batch.s_tm1),
        }

    def _q_start(self, starts: Sequence[NDArray[np.uint8]]) -> dict[str, Tensor | float]:
        if not starts:
            return {"q_start": math.nan}
        frames = torch.from_numpy(np.stack(starts)).to(self.heldout.device)[:, None]
        state = frames.repeat(1, STACK, 1, 1)  # as replay stacks the first frame of an episode
        if not self._population.replay.repeat_first_frame:
            state[:, :-1] = 0
        return {"q_start": self._agent.learner.values(state).amax(dim=1).mean()}


def _ratio(variance: Tensor, target: Tensor) -> Tensor:
    """``variance`` over that of ``target`` [N]; NaN where they are all equal, but for how their mean was rounded."""
    own = target.var()
    return torch.where(own > 1e-12 * target.square().mean(), variance / own, math.nan)


def _norm(tensors: Sequence[Tensor]) -> Tensor:
    """L2 norm of all elements together, a scalar on the device."""
    norm: Tensor = torch.linalg.vector_norm(torch.stack(list(torch._foreach_norm(list(tensors)))))
    return norm


def _dormant(network: QNetwork, activations: Sequence[Tensor]) -> dict[str, Tensor | float]:
    found: dict[str, Tensor | float] = {f"dormant_{layer}": math.nan for layer in DORMANT_LAYERS}
    for layer, activation in zip(network.HIDDEN, activations, strict=True):
        if layer in DORMANT_LAYERS:
            units = activation.float().mean(dim=(0, 2, 3) if activation.dim() == 4 else 0)  # never below 0
            found[f"dormant_{layer}"] = (units <= DORMANT * units.mean()).float().mean()
    return found


def _unique_share(states: Tensor) -> float:
    """Share of ``states`` [N, 4, 84, 84] that are distinct, by a hash of 64 bits."""
    words = states.flatten(1).view(torch.int64)
    factors = torch.randint(1 << 62, (words.shape[1],), generator=torch.Generator().manual_seed(0)) * 2 + 1
    hashes = (words * factors.to(words.device)).sum(dim=1)
    return len(torch.unique(hashes)) / len(hashes)
