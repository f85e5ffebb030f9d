"""The DQN of Mnih et al. (2015), "Human-level control through deep reinforcement learning".

Two clocks, never mixed: budgets and curves count *frames* of the emulator, schedules count
*agent steps* (one decision, four frames). The unit is in every name.
"""

__version__ = "0.1.0"
