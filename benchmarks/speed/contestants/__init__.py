"""Training loops to be measured, each run by the Python of its own environment: python -m ... SETTINGS.

A contestant imports its library and ``span``, nothing else of this project.
"""
