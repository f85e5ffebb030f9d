"""Why a DQN does not learn, measured: the reference with one thing changed, on real games, against the reference."""
