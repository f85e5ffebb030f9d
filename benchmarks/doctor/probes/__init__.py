"""Tiny environments, each aimed at one cause: a ladder for any agent that acts, observes and learns."""
