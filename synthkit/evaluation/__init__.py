"""Scores that tell whether a synthetic table is good, each with its interval, its ceiling and its floor."""

from synthkit.evaluation.compare import Comparison, compare
from synthkit.evaluation.evaluate import evaluate, score_table
from synthkit.evaluation.records import Evaluation, Score, Verdict
from synthkit.evaluation.suite import Gate, Suite, load_suite

__all__ = [
    "Comparison",
    "Evaluation",
    "Gate",
    "Score",
    "Suite",
    "Verdict",
    "compare",
    "evaluate",
    "load_suite",
    "score_table",
]
