"""Scores by the names that the CAMDA / ELSA health privacy challenge gives them, so that boards can be read together.

The challenge's starter kit computes its columns on standardised genes; where a score of ours is defined otherwise, the
mapping says in what. A number with a difference ranks generators alike, but is not the number of the board.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal

from synthkit.evaluation.records import Score


@dataclass(frozen=True)
class CamdaColumn:
    """What a column of the challenge is here.

    Attributes
    ----------
    score
        Name of our score.
    part
        Which number of it: its value, its ceiling (real cells), or the share of its ceiling.
    differs
        In what our definition differs; empty where it is the same.
    """

    score: str
    part: Literal["value", "ceiling", "share"] = "value"
    differs: str = ""


_SPACE = "20 principal components of both sets in place of standardised genes"
_KERNEL = f"{_SPACE}, five Gaussian kernels in place of one"
_MODEL = "logistic regression on 50 components, macro F1 in place of weighted F1"
_ACCURACY = "logistic regression on 50 components, balanced accuracy in place of accuracy"
_REFERENCE = f"{_SPACE}, against held-out real cells"
_TEST = "each type against the rest in place of every pair of types, adjusted p-values and log2-fold change of 0.5"

CAMDA: Mapping[str, CamdaColumn] = MappingProxyType(
    {
        "f1_synthetic": CamdaColumn("tstr_linear_f1", differs=_MODEL),
        "f1_real": CamdaColumn("tstr_linear_f1", "ceiling", differs=_MODEL),
        "f1_relative": CamdaColumn("tstr_linear_f1", "share", differs=_MODEL),
        "accuracy_synthetic": CamdaColumn("tstr_linear_accuracy", differs=_ACCURACY),
        "accuracy_real": CamdaColumn("tstr_linear_accuracy", "ceiling", differs=_ACCURACY),
        "accuracy_relative": CamdaColumn("tstr_linear_accuracy", "share", differs=_ACCURACY),
        "MMD_test": CamdaColumn("mmd", differs=_KERNEL),
        "MMD_base": CamdaColumn("mmd", "ceiling", differs=_KERNEL),
        "discriminative_score": CamdaColumn(
            "auc_forest_genes",
            differs="AUC of a random forest in place of F1 of a linear model, nearest to 0.5 is best",
        ),
        "prdc_precision": CamdaColumn("precision", differs=_REFERENCE),
        "prdc_recall": CamdaColumn("recall", differs=_REFERENCE),
        "prdc_density_test": CamdaColumn("density", differs=_SPACE),
        "prdc_coverage_test": CamdaColumn("coverage", differs=_SPACE),
        "distance_to_closest_relative": CamdaColumn(
            "nearest_training", differs=f"{_SPACE}, median of ratios by cell in place of a ratio of means"
        ),
        "coexpression_recall": CamdaColumn("edge_recall", differs="edges of either sign, on at most 500 genes"),
        "coexpression_precision": CamdaColumn("edge_precision", differs="edges of either sign, on at most 500 genes"),
        "DE_preservation_avg": CamdaColumn("changed_recall", differs=_TEST),
    }
)


def camda_columns(scores: Mapping[str, Score]) -> dict[str, dict[str, Any]]:
    """Return the columns of the challenge that the scores give.

    Parameters
    ----------
    scores
        Scores by name; columns without their score are left out.

    Returns
    -------
    dict
        For each column its "value", the "score" of ours that it is, and in what it "differs".
    """
    found: dict[str, dict[str, Any]] = {}
    for name, column in CAMDA.items():
        score = scores.get(column.score)
        if score is None or not score.applies:
            continue
        if column.part == "share":
            value = score.value / score.ceiling if score.ceiling > 0 else float("nan")
        else:
            value = score.value if column.part == "value" else score.ceiling
        found[name] = {"value": value, "score": column.score, "differs": column.differs}
    return found
