"""Does the doctor name the fault? Runs into which a fault was put, beside what lint and verdicts say of them."""

from benchmarks.doctor.confusion.counts import confusion_matrix, first_right, held_out, named_right, rates
from benchmarks.doctor.confusion.runs import RIGHT, DiagnosedRun, finished, look
from benchmarks.doctor.confusion.tables import as_json, markdown, summary

__all__ = [
    "RIGHT", "DiagnosedRun", "as_json", "confusion_matrix", "finished", "first_right", "held_out", "look", "markdown",
    "named_right", "rates", "summary",
]  # fmt: skip
