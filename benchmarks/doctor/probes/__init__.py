"""Tiny environments, each isolating one cause: a ladder for any agent that acts, observes and learns."""
