"""Scores that tell whether a synthetic table is good, each with its interval, its ceiling and its floor."""

from synthkit.evaluation.evaluate import evaluate, score_table
from synthkit.evaluation.records import Evaluation, Score

__all__ = ["Evaluation", "Score", "evaluate", "score_table"]
