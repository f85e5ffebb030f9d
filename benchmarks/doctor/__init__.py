"""The doctor: why does a DQN fail to learn? Rules on its configuration, probes of its code, verdicts on its log."""
