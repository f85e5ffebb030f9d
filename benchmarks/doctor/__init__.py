"""Why a DQN does not learn: rules on its configuration, probes of its code, verdicts on its log."""
