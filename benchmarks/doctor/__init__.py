"""The doctor: why does a DQN fail to learn?"""
