"""Verdicts: what a run's log alone says about why its DQN does not learn."""

from benchmarks.doctor.verdicts.diagnosis import Diagnosis, diagnose
from benchmarks.doctor.verdicts.log import Log
from benchmarks.doctor.verdicts.readers import read_log

__all__ = ["Diagnosis", "Log", "diagnose", "read_log"]
