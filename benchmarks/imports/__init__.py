"""Scores that others measured, read into Curves. See docs/imports.md; the door is detect.read_scores.

Every file read here is foreign: its texts are plain text, nothing in it is run, and whatever is wrong with it is a
UserError that names it.
"""
