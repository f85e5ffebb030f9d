"""A user's agent behind glass: what it raises or answers wrongly becomes one message that names the place."""

from __future__ import annotations

import inspect
import os
import traceback
from collections.abc import Callable
from typing import Any

import numpy as np
from gymnasium.spaces import Box
from numpy.typing import NDArray

from benchmarks.doctor.probes.protocol import MakeAgent, Observation, ProbedAgent
from dqn_ref.config import UserError

METHODS = {
    "act": "act(observation, explore)",
    "observe": "observe(observation, action, reward, next_observation, terminated, truncated)",
    "learn": "learn()",
    "values": "values(observation)",
}


def raised(error: BaseException, doing: str) -> UserError:
    """The message for an exception out of a user's code: its last line of code, what it said, and where we were."""
    frames = traceback.extract_tb(error.__traceback__)
    last = frames[-1]
    place = f"{os.path.relpath(last.filename)}:{last.lineno} in {last.name}"
    said = str(error).strip().splitlines() or [""]
    line = f": {last.line}" if last.line else ""
    return UserError(
        f"{doing} raised {type(error).__name__}: {said[0]}\n  at {place}{line}\n"
        "  Expected is an agent that runs; see `python -m benchmarks probe --help` for what is called, and how."
    )


def make_subject(
    make_agent: MakeAgent, space: Box, num_actions: int, agent_steps: int, seed: int, probe: str
) -> Subject:
    """Call the factory. Raises UserError: it raised, or made no agent."""
    words = {"observation_space": space, "num_actions": num_actions, "agent_steps": agent_steps, "seed": seed}
    name = getattr(make_agent, "__name__", "make_agent")
    try:
        inspect.signature(make_agent).bind(**words)
    except TypeError as error:
        raise UserError(
            f"{name}{_signature(make_agent)} cannot be called with what a probe gives ({error}). "
            f"Expected: def {name}({', '.join(words)})."
        ) from None
    try:
        agent = make_agent(**words)  # type: ignore[arg-type]
    except (Exception, SystemExit) as error:
        raise raised(error, f"{name}(observation_space={space}, num_actions={num_actions}, ...)") from None
    return Subject(agent, num_actions, probe)


def _signature(function: Callable[..., Any]) -> str:
    return str(inspect.signature(function))


class Subject:
    """An agent whose every answer is checked.

    Raises:
        UserError: methods are missing, raise, or answer what is no action or are not values.
    """

    def __init__(self, agent: ProbedAgent, num_actions: int, probe: str) -> None:
        self.agent: Any = agent
        self.num_actions = num_actions
        self.probe = probe
        self.agent_step = 0
        self.has_values = callable(getattr(agent, "values", None))
        for method in ("act", "observe", "learn"):
            if not callable(getattr(agent, method, None)):
                raise UserError(
                    f"make_agent made a {type(agent).__name__} without a method {method}. Expected: {METHODS[method]}."
                )

    def act(self, observation: Observation, explore: bool) -> int:
        """The agent's action."""
        action = self._call("act", observation, explore)
        if isinstance(action, np.ndarray) and action.size == 1:
            action = action.item()
        if isinstance(action, bool) or not isinstance(action, int | np.integer):
            raise UserError(
                f"act answered {action!r}, a {type(action).__name__}{self._where()}. Expected an int; "
                "of a tensor or an array, give int(action)."
            )
        if not 0 <= action < self.num_actions:
            raise UserError(f"act answered {action}{self._where()}. Expected 0 to {self.num_actions - 1}.")
        return int(action)

    def observe(
        self,
        observation: Observation,
        action: int,
        reward: float,
        next_observation: Observation,
        terminated: bool,
        truncated: bool,
    ) -> None:
        """Hand a transition on."""
        self._call("observe", observation, action, reward, next_observation, terminated, truncated)

    def learn(self) -> None:
        """Let it learn."""
        self._call("learn")
        self.agent_step += 1

    def values(self, observation: Observation) -> NDArray[np.float64]:
        """Its Q values, [A]; not finite where they have diverged."""
        answer = self._call("values", observation)
        try:
            values = np.asarray(answer, np.float64)
        except (TypeError, ValueError, RuntimeError) as error:
            raise UserError(
                f"values answered a {type(answer).__name__} that is no array{self._where()} ({error}). "
                "Expected Q values [A]; of a tensor, give tensor.detach().cpu().numpy()."
            ) from None
        if values.shape != (self.num_actions,):
            raise UserError(
                f"values answered the shape {list(values.shape)}{self._where()}. Expected [{self.num_actions}]: "
                "one Q value for each action, without a batch axis."
            )
        return values

    def _call(self, method: str, *values: Any) -> Any:
        try:
            return getattr(self.agent, method)(*values)
        except (Exception, SystemExit) as error:
            raise raised(error, f"{METHODS[method]}{self._where()}") from None

    def _where(self) -> str:
        return f" at agent step {self.agent_step} of probe {self.probe}"
