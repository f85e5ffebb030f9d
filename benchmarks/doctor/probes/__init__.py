"""Tiny environments, each of which fails for one cause: a ladder for any agent that acts, observes and learns."""
