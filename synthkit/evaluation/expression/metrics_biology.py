"""Descriptions of the scores of biology, of use and of copies; `synthkit.evaluation.expression.metrics` joins them."""

from __future__ import annotations

import math

from synthkit.evaluation.expression.metric import EQUALLY, VARIABLE, ExpressionMetric

_ESTEBAN = "Esteban et al. 2017 (train on synthetic, test on real)"
_DGE = "Soneson and Robinson 2018, Bias, robustness and scalability in single-cell differential expression analysis"

BIOLOGY = (
    ExpressionMetric(
        name="marker_overlap",
        theme="biology",
        title="marker genes in common",
        direction="higher",
        bounds=(0.0, 1.0),
        ideal=None,
        source="Wilcoxon's rank-sum test; Scanpy's rank_genes_groups",
        meaning="{percent} of the marker genes of types are those of real types.",
        reading="The 50 genes that are highest in a type against the rest by Wilcoxon's test, in synthetic and in "
        "held-out cells: F1 of the two sets, mean over types. The details hold the Jaccard index.",
        lies="A type with few real markers has noise among its 50; real cells show how much.",
        good="As real cells.",
        rows=f"{VARIABLE}; types with at least 10 cells",
        needs=("label",),
    ),
    ExpressionMetric(
        name="fold_change_r",
        theme="biology",
        title="log-fold changes, r",
        direction="higher",
        bounds=(-1.0, 1.0),
        ideal=None,
        source=_DGE,
        meaning="Log-fold changes of types agree with real ones at {value}.",
        reading="Pearson's r, over genes and types, of the difference of means of log-normalised values between a type "
        "and the rest.",
        lies="It does not see that all changes are half as large: read the slope.",
        good="As real cells.",
        rows=VARIABLE,
        needs=("label",),
    ),
    ExpressionMetric(
        name="fold_change_slope_error",
        theme="biology",
        title="log-fold changes, slope off 1 by",
        ideal=None,
        source=_DGE,
        meaning="Log-fold changes are {slope} times as large as real ones ({corrected} times, noise of real cells "
        "taken out).",
        reading="Distance from 1 of the slope of synthetic by real log-fold changes: below 1 types differ less than "
        "real ones, the usual fault of generators.",
        lies="A few strong markers decide it.",
        good="As real cells; a slope from 0.9 to 1.1.",
        rows=VARIABLE,
        needs=("label",),
    ),
    ExpressionMetric(
        name="changed_recall",
        theme="biology",
        title="changed genes found",
        direction="higher",
        bounds=(0.0, 1.0),
        ideal=None,
        source="CAMDA health privacy challenge (recovery of differential expression)",
        meaning="{percent} of the genes that differ between real types are found in synthetic cells.",
        reading="Genes with an adjusted p-value below 0.05 (Wilcoxon, each type against the rest, Benjamini-Hochberg) "
        "and a log2-fold change of at least 0.5; those of held-out cells are the truth, with their sign.",
        lies="More cells find more genes: equally many are compared.",
        good="As real cells.",
        rows=VARIABLE,
        needs=("label",),
    ),
    ExpressionMetric(
        name="changed_false_rate",
        theme="biology",
        title="changed genes that are not",
        bounds=(0.0, 1.0),
        ideal=None,
        source="CAMDA health privacy challenge (recovery of differential expression)",
        meaning="{percent} of the other genes differ between types in synthetic cells alone.",
        reading="Share of the pairs of gene and type without a real change for which synthetic cells have one.",
        lies="Held-out cells miss true changes too, which count as false: compare with real cells.",
        good="As real cells.",
        rows=VARIABLE,
        needs=("label",),
    ),
    ExpressionMetric(
        name="batch_change_r",
        theme="biology",
        title="changes from batch to batch, r",
        direction="higher",
        bounds=(-1.0, 1.0),
        ideal=None,
        source=_DGE,
        meaning="Changes from batch to batch agree with real ones at {value}.",
        reading="As the log-fold changes of types, for batches.",
        lies="Where batches hardly differ, all of it is noise: compare with real cells.",
        good="As real cells.",
        rows=VARIABLE,
        needs=("batch",),
    ),
)

UTILITY = tuple(
    ExpressionMetric(
        name=f"{prefix}_{suffix}",
        theme="utility",
        title=f"TSTR, {learner}, {measure}",
        direction="higher",
        bounds=(0.0, 1.0),
        ideal=None,
        source=_ESTEBAN,
        meaning=f"{says} trained on synthetic cells names types of real ones with {measure} {{value}}.",
        reading=f"{says}: {how}. {what} 'Real cells' is the same classifier trained on training cells; the details "
        "hold the share of it.",
        lies="Types that differ in a few strong genes are learned from bad cells: cells with independent genes do "
        "nearly as well as real ones. Copies of training cells do as well as real ones.",
        good="At least nine tenths of the control.",
        rows=f"trained on {EQUALLY.removeprefix('equally many held-out, ')}; tested on held-out ones",
        needs=("label",),
    )
    for prefix, learner, says, how in (
        ("tstr", "forest", "A random forest", "100 trees on the log-normalised variable genes"),
        (
            "tstr_linear",
            "linear",
            "A logistic regression",
            "50 standardised principal components of the cells it learns from",
        ),
    )
    for suffix, measure, what in (
        ("f1", "macro F1", "Mean of F1 over the types."),
        ("accuracy", "balanced accuracy", "Mean over the types of the share that is named rightly."),
        ("rare_f1", "F1 of rare types", "Mean of F1 over types with less than 5 % of real cells, or the three rarest."),
    )
)

COPIES = (
    ExpressionMetric(
        name="equal_cells",
        theme="copies",
        title="cells equal to a training cell",
        bounds=(0.0, 1.0),
        source="exact comparison of all values",
        meaning="{percent} of synthetic cells equal a training cell in every gene.",
        reading="Share of synthetic cells of which every value equals that of a training cell.",
        lies="A copy with a little noise is not found: `synthkit audit` looks for those.",
        good="As real cells, usually 0.",
        rows="all cells",
        floor=False,
        reference="training",
    ),
    ExpressionMetric(
        name="nearest_training",
        theme="copies",
        title="distance to training by held-out cells",
        direction="higher",
        bounds=(0.0, math.inf),
        ideal=1.0,
        source="Distance to closest record",
        meaning="The nearest training cell is {value} times as far as the nearest held-out cell.",
        reading="Median over synthetic cells of the distance to the nearest training cell, divided by that to the "
        "nearest of equally many held-out cells, in 20 principal components of all three together. Below 1 cells lie "
        "nearer to what was learned from. The details hold the share of cells that do.",
        lies="A few copies do not move a median, and one that is not below 1 proves nothing.",
        good="Near 1, as for real cells.",
        rows="equally many training, held-out and synthetic cells, at most 2,000",
        floor=False,
    ),
)
