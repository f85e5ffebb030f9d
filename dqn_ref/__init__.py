"""The DQN of Mnih et al. (2015), "Human-level control through deep reinforcement learning".

Two clocks, never mixed: budgets and curves count *frames* of the emulator, schedules count
*agent steps* (one decision, four frames). The unit is in every name.
"""

import os

from dqn_ref.control_group import granted_cores

__version__ = "0.1.0"

# Cores that this process may run on; a container or a cluster's scheduler may grant fewer than the machine has.
# Asked before PyTorch is imported, which may bind the asking thread to one of them.
CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
CORES = min(CORES, granted_cores() or CORES)
