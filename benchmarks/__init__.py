"""The suite: which runs, how they are scored, and what their scores show."""
