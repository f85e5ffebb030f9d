"""The report: one self-contained HTML page of a suite, and a summary in Markdown."""
