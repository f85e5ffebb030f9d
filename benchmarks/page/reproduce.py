"""How to make each number again: the commands, and which file and which arithmetic a number comes from."""

from __future__ import annotations

import shlex
from dataclasses import dataclass

from benchmarks.page.content import Content
from benchmarks.page.foreign import clean
from benchmarks.statistics import REPETITIONS


@dataclass(frozen=True)
class Step:
    """A command and what it makes."""

    what: str
    command: str
    note: str = ""


def steps(content: Content) -> list[Step]:
    """From an empty machine to this page."""
    asked = content.asked
    options = clean(shlex.join(asked.options()))
    found = list[Step]()
    [commit] = [fact for fact in content.facts if fact.section == "source" and fact.name == "commit"][:1]
    if not commit.differs and len(commit.values[0][0]) == 40 and commit.values[0][0].isalnum():
        found.append(Step("The source of these runs", f"git checkout {commit.values[0][0]}"))
    found.append(
        Step(
            "Every run that is missing",
            f"python -m benchmarks run {options}",
            "Equal seeds give equal runs on one machine with one device and one number of threads; "
            "elsewhere they differ by chance, as other seeds do.",
        )
    )
    found.append(Step("Scores, aggregates and intervals", f"python -m benchmarks scores {options}"))
    found.append(Step("The drawings as files", f"python -m benchmarks plot {options}"))
    found.append(
        Step(
            "An evaluation's episode, played again and compared with evaluation.json",
            "python -m dqn_ref record RUN_DIR",
            "Needs the run's weights, which a stored baseline does not hold." if asked.baseline else "",
        )
    )
    results = [] if str(asked.store.root) == "results" else ["--results", str(asked.store.root)]
    own = clean(shlex.join(["--baseline", asked.baseline, *results])) if asked.baseline else options
    found.append(Step("This page", f"python -m benchmarks report {own}"))
    return found


def origins_of_numbers(content: Content) -> list[tuple[str, str]]:
    """Each kind of number on the page, and what it is made from."""
    config, packages = content.asked.matrix.config, dict(content.generator.packages)
    rows = [
        (
            "raw score of a seed",
            f"mean raw_return of the {config.evaluation_episodes} episodes that the final network played: mean_return "
            "in the run's evaluation.json. No training return enters a score.",
        ),
        ("score of a game", "mean over its seeds; ± is the standard deviation over seeds (n - 1), not over episodes."),
        (
            "human-normalised score (HNS)",
            "(score - random) / (human - random), with the random and human scores of Wang et al. 2016, Table 2.",
        ),
        (
            "intervals",
            f"95 % percentile bootstrap of rliable {packages['rliable']}: {REPETITIONS:,} resamples of the seeds "
            "within each game, from a fixed seed, so that they are the same each time.",
        ),
        ("IQM", "mean of the middle half of all runs' HNS, over games and seeds together."),
        ("median, mean", "of the games' mean HNS."),
        ("optimality gap", "mean over all runs of how far their HNS, capped at 1, stays below 1; lower is better."),
        (
            "performance profile",
            "share of runs whose HNS is above each value; its band is a bootstrap of 1,000 resamples.",
        ),
        (
            "learning curves",
            f"mean raw_return of the training episodes that ended in each {content.span_frames:,} frames, from the "
            "run's episodes.csv, without those that an iteration's end cut; the thick line is their mean where every "
            "seed has a point.",
        ),
        ("frames/s", "frames trained over the loop's wall_seconds in the last row of progress.csv."),
        (
            "wall time of a run",
            "ended - started - idle_seconds in run.json: start-up, training and evaluations.",
        ),
    ]
    if content.published_source:
        rows.append(
            (
                "published scores",
                "benchmarks/data/published_dqn_scores.csv and SOURCES.md there: mean of the last points of 1M frames, "
                "five at most, up to the budget.",
            )
        )
    if content.prediction:
        rows.append(
            (
                "predicted median over 57 games",
                "10^(sum of c_i log10(1 + max(0, 100 HNS_i))) - 1 percent, with the published coefficients c_i of "
                "Aitchison et al. 2022.",
            )
        )
    return rows
