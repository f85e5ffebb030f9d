"""The command: what was asked for, collected, rendered, written."""

from __future__ import annotations

import os
from pathlib import Path

from benchmarks.arguments import Report
from benchmarks.outputs import write_text
from benchmarks.page.asked import Asked
from benchmarks.page.content import Generator, collect
from benchmarks.page.gates import read_gate
from benchmarks.page.page import MARK, render
from benchmarks.page.summary import SUMMARY_MARK, summary
from benchmarks.store import Store
from dqn_ref.config import UserError


def write_report(arguments: Report) -> tuple[list[Path], int]:
    """Write the page and, if asked for, the summary; returns their files and the number of missing runs.

    Raises:
        UserError: nothing to show, a broken record or gate file, or a file that must not be written.
    """
    store = Store(arguments.results)
    asked = Asked.of(
        store,
        suite=arguments.suite,
        protocol=arguments.protocol,
        frames=arguments.frames,
        seeds=arguments.seeds,
        baseline=arguments.baseline,
    )
    gates = [(path.name, read_gate(path)) for path in arguments.gate]
    page = arguments.out or store.report(asked.name)
    if arguments.markdown and arguments.markdown.absolute() == page.absolute():
        raise UserError(f"{page} cannot be both the page and the summary. Choose another --markdown.")
    content = collect(asked, gates, page, Generator.here())
    _write(page, render(content), MARK)
    if arguments.markdown:
        _write(arguments.markdown, summary(content), SUMMARY_MARK)
    return [page, *filter(None, [arguments.markdown])], len(content.missing)


def _write(path: Path, text: str, mark: str) -> None:
    """A report is derived, so an earlier one gives way; ``mark`` tells it from other files, which are left alone."""
    if os.path.isfile(path) and path.stat().st_size:
        try:
            with path.open("rb") as file:
                if mark.encode() not in file.read(4096):
                    raise UserError(f"{path} is there and is no report; it is left alone. Choose another name.")
        except OSError as error:
            raise UserError(f"{path} cannot be read: {error.strerror}. Choose another name.") from None
    write_text(path, text)
