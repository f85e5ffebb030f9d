"""The doctor: why does a DQN not learn?"""
