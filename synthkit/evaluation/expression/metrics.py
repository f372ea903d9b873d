"""Every score of gene expression with what a reader must know of it: the registry that suites and reports rest on."""

from __future__ import annotations

import math
from collections.abc import Mapping
from types import MappingProxyType

from synthkit.evaluation.expression.metric import (
    DETECTED,
    EQUALLY,
    NEEDED,
    QUESTIONS,
    VARIABLE,
    ExpressionMetric,
    ExpressionTheme,
)
from synthkit.evaluation.expression.metrics_biology import BIOLOGY, COPIES, UTILITY
from synthkit.evaluation.metric import KYNKAANNIEMI, LOPEZ_PAZ, NAEEM

__all__ = ["METRICS", "NEEDED", "QUESTIONS", "ExpressionMetric", "ExpressionTheme"]

_CORRELATED = f"{EQUALLY}; the 500 most variable genes"
_CROWELL = "Crowell et al. 2023, The shaky foundations of simulating single-cell RNA sequencing data"
_VINAS = "Viñas et al. 2022, Adversarial generation of gene expression data"
_CAMDA = "CAMDA health privacy challenge; Öztürk et al. 2026, Towards useful and private synthetic omics"
_POOLED = "in 20 principal components of log-normalised values, fitted on held-out and synthetic cells together"

_MARGINS = (
    ExpressionMetric(
        name="gene_mean_r",
        theme="margins",
        title="gene means, r",
        direction="higher",
        bounds=(-1.0, 1.0),
        ideal=1.0,
        source=_CROWELL,
        meaning="Gene means correlate with real ones at {value}.",
        reading="Pearson's r over all genes of the logarithms of their means (of the means themselves where values are "
        "logarithms or intensities).",
        lies="Means span decades, so that r is near 1 for nearly every generator: read the error beside it.",
        good="As real cells.",
        rows=EQUALLY,
    ),
    ExpressionMetric(
        name="gene_mean_error",
        theme="margins",
        title="gene means, error in doublings",
        source=_CROWELL,
        meaning="Gene means are off by {value} doublings on average.",
        reading="Mean absolute difference of log2 of the means of genes (of the means themselves where values are "
        "logarithms or intensities).",
        lies="Rare genes weigh as much as others, and their means are noise: compare with real cells.",
        good="As real cells.",
        rows=EQUALLY,
    ),
    ExpressionMetric(
        name="gene_variance_r",
        theme="margins",
        title="gene variances, r",
        direction="higher",
        bounds=(-1.0, 1.0),
        ideal=1.0,
        source=_CROWELL,
        meaning="Gene variances correlate with real ones at {value}.",
        reading="Pearson's r over all genes of the logarithms of their variances.",
        lies="As for means: near 1 for nearly every generator.",
        good="As real cells.",
        rows=EQUALLY,
    ),
    ExpressionMetric(
        name="gene_variance_error",
        theme="margins",
        title="gene variances, error in doublings",
        source=_CROWELL,
        meaning="Gene variances are off by {value} doublings on average.",
        reading="Mean absolute difference of log2 of the variances of genes.",
        lies="A few outlying cells make variances: compare with real cells.",
        good="As real cells.",
        rows=EQUALLY,
    ),
    ExpressionMetric(
        name="zero_share_error",
        theme="margins",
        title="shares of zeros, error",
        bounds=(0.0, 1.0),
        source=_CROWELL,
        meaning="The share of cells in which a gene is 0 is off by {value} on average.",
        reading="Mean absolute difference, over all genes, of the share of cells in which the gene is 0.",
        lies="Where most genes are nearly always 0, any generator that knows so does well.",
        good="As real cells; rounding a smooth generator is seen here first.",
        rows=EQUALLY,
    ),
    ExpressionMetric(
        name="mean_variance_gap",
        theme="margins",
        title="mean-variance curve, gap in doublings",
        source="Soneson and Robinson 2018, countsimQC",
        meaning="At the same mean, variances are off by {value} doublings.",
        reading="Mean absolute gap, over 20 bins of the mean, of the median log2 variance: whether counts are as "
        "over-dispersed as real ones at every level of expression.",
        lies="It does not ask whether each gene is where it belongs: a generator that swaps genes passes.",
        good="As real cells.",
        rows=EQUALLY,
    ),
    ExpressionMetric(
        name="library_size_ks",
        theme="margins",
        title="library sizes, largest gap",
        bounds=(0.0, 1.0),
        source=_CROWELL,
        meaning="The distribution of library sizes is off by up to {percent} of cells.",
        reading="Kolmogorov-Smirnov distance of the sums of all values of cells.",
        lies="Generators that take library sizes from real cells score perfectly whatever else they do.",
        good="As real cells.",
        rows=EQUALLY,
    ),
    ExpressionMetric(
        name="detected_genes_ks",
        theme="margins",
        title="detected genes, largest gap",
        bounds=(0.0, 1.0),
        source=_CROWELL,
        meaning="The distribution of numbers of detected genes is off by up to {percent} of cells.",
        reading="Kolmogorov-Smirnov distance of the numbers of genes above 0 of cells.",
        lies="It says nothing where values are never 0.",
        good="As real cells.",
        rows=EQUALLY,
    ),
    ExpressionMetric(
        name="type_share_error",
        theme="margins",
        title="shares of types, distance",
        bounds=(0.0, 1.0),
        source="Total variation distance",
        meaning="{percent} of cells would have to change type for real shares.",
        reading="Half the sum of absolute differences of the shares of types.",
        lies="Synthetic cells that were asked for in other shares differ on purpose; other scores then differ too.",
        good="As real cells, unless other shares were asked for.",
        rows=EQUALLY,
        needs=("label",),
    ),
    ExpressionMetric(
        name="batch_share_error",
        theme="margins",
        title="shares of batches, distance",
        bounds=(0.0, 1.0),
        source="Total variation distance",
        meaning="{percent} of cells would have to change batch for real shares.",
        reading="Half the sum of absolute differences of the shares of batches.",
        lies="As for types.",
        good="As real cells, unless other shares were asked for.",
        rows=EQUALLY,
        needs=("batch",),
    ),
)

_JOINT = (
    ExpressionMetric(
        name="correlation_r",
        theme="joint",
        title="correlations of genes, r (gamma of distances)",
        direction="higher",
        bounds=(-1.0, 1.0),
        ideal=None,
        source=f"{_VINAS}; Song et al. 2024, scDesign3",
        meaning="Correlations of pairs of genes agree with real ones at {value}.",
        reading="Pearson's r, over pairs of genes, of their correlations in log-normalised values. It is also the "
        "distance part of Viñas' gamma.",
        lies="Between types genes correlate because types differ: a generator of independent genes within types gets "
        "that. The score within types does not forgive it.",
        good="As real cells: with noise, two real sets do not reach 1 either.",
        rows=_CORRELATED,
    ),
    ExpressionMetric(
        name="correlation_slope_error",
        theme="joint",
        title="correlations of genes, slope off 1 by",
        ideal=None,
        source="Least squares; regression dilution as in real cells",
        meaning="Correlations are {slope} times as strong as real ones ({corrected} times, noise of real cells taken "
        "out).",
        reading="Distance from 1 of the slope of synthetic by real correlations: below 1 genes go together less than "
        "in real cells. The details hold the slope, and the slope divided by that of real cells.",
        lies="Noise in the real correlations lowers the slope for real cells too.",
        good="As real cells; the corrected slope near 1.",
        rows=_CORRELATED,
    ),
    ExpressionMetric(
        name="correlation_r_within",
        theme="joint",
        title="correlations within types, r",
        direction="higher",
        bounds=(-1.0, 1.0),
        ideal=None,
        source="Song et al. 2024, scDesign3",
        meaning="Within types, correlations of pairs of genes agree with real ones at {value}.",
        reading="As above after the mean of each type is taken off, all types together.",
        lies="Within types most correlations of single cells are noise, and two real sets agree poorly: compare with "
        "real cells, not with 1.",
        good="As real cells.",
        rows=_CORRELATED,
        needs=("label",),
    ),
    ExpressionMetric(
        name="correlation_slope_error_within",
        theme="joint",
        title="correlations within types, slope off 1 by",
        ideal=None,
        source="Least squares; regression dilution as in real cells",
        meaning="Within types, correlations are {slope} times as strong as real ones ({corrected} times, noise of real "
        "cells taken out).",
        reading="As above after the mean of each type is taken off.",
        lies="As above, and more so.",
        good="As real cells; the corrected slope near 1.",
        rows=_CORRELATED,
        needs=("label",),
    ),
    ExpressionMetric(
        name="gamma_tree",
        theme="joint",
        title="tree of genes, gamma of dendrograms",
        direction="higher",
        bounds=(-1.0, 1.0),
        ideal=None,
        source=_VINAS,
        meaning="The trees that real and synthetic cells cluster genes into agree at {value}.",
        reading="Pearson's r, over pairs of genes, of the heights at which average linkage joins them, by one minus "
        "their correlation.",
        lies="Trees are unstable: two real sets agree only in part.",
        good="As real cells.",
        rows=_CORRELATED,
    ),
    ExpressionMetric(
        name="edge_recall",
        theme="joint",
        title="co-expression edges, recall",
        direction="higher",
        bounds=(0.0, 1.0),
        ideal=None,
        source=_CAMDA,
        meaning="{percent} of the real co-expression edges are there.",
        reading="An edge is a pair of genes whose correlation is beyond 0.3 in either direction. The share of edges of "
        "the training cells that synthetic cells have, with the same sign.",
        lies="A collapsed generator correlates everything and has every edge: read precision beside it.",
        good="As real cells.",
        rows=_CORRELATED,
        reference="training",
    ),
    ExpressionMetric(
        name="edge_precision",
        theme="joint",
        title="co-expression edges, precision",
        direction="higher",
        bounds=(0.0, 1.0),
        ideal=None,
        source=_CAMDA,
        meaning="{percent} of the synthetic co-expression edges are real.",
        reading="The share of edges of synthetic cells that training cells have, with the same sign.",
        lies="A generator with few edges has mostly right ones: read recall beside it.",
        good="As real cells.",
        rows=_CORRELATED,
        reference="training",
    ),
)

_DISTRIBUTION = (
    *(
        ExpressionMetric(
            name=name,
            theme="distribution",
            title=name,
            direction="higher",
            bounds=(0.0, math.inf if name == "density" else 1.0),
            ideal=None,
            source=NAEEM if name in ("density", "coverage") else KYNKAANNIEMI,
            meaning=meaning,
            reading=f"{reading} Distances are {_POOLED}.",
            lies=lies,
            good="As real cells.",
            rows=VARIABLE,
        )
        for name, meaning, reading, lies in (
            (
                "precision",
                "{percent} of synthetic cells lie where real cells lie.",
                "Share of synthetic cells inside the ball of a held-out cell, which reaches to its fifth neighbour.",
                "A generator that repeats typical cells scores 1.",
            ),
            (
                "recall",
                "{percent} of real cells lie where synthetic cells lie.",
                "Share of held-out cells inside the ball of a synthetic cell.",
                "Scattered synthetic cells have large balls: a few of them reach everywhere.",
            ),
            (
                "density",
                "Synthetic cells lie in real neighbourhoods {value} times as densely as expected.",
                "Number of real balls around a synthetic cell, divided by five.",
                "Above 1 for a generator that repeats typical cells: that is not better than 1.",
            ),
            (
                "coverage",
                "{percent} of real cells have a synthetic cell nearby.",
                "Share of held-out cells with a synthetic cell inside their ball.",
                "It needs as many synthetic as real cells; so many are drawn.",
            ),
        )
    ),
    ExpressionMetric(
        name="mmd",
        theme="distribution",
        title="MMD², unbiased",
        bounds=(-1.0, 2.0),
        source="Gretton et al. 2012, A kernel two-sample test",
        meaning="The squared maximum mean discrepancy is {value}.",
        reading=f"Mean of five Gaussian kernels, unbiased: 0 on average for real cells, and as often below it; "
        f"{_POOLED}.",
        lies="It looks at averages of kernels: generators of independent genes within types have passed it. Never rank "
        "by it alone.",
        good="As real cells.",
        rows=VARIABLE,
    ),
    ExpressionMetric(
        name="ilisi",
        theme="distribution",
        title="iLISI",
        direction="higher",
        bounds=(1.0, 2.0),
        ideal=2.0,
        source="Korsunsky et al. 2019, Harmony",
        meaning="A neighbourhood holds effectively {value} of the two sets.",
        reading=f"Inverse of Simpson's index of real and synthetic among 90 weighted neighbours, mean over cells, "
        f"{_POOLED}: 2 is mixed, 1 is apart.",
        lies="It forgives what is smaller than a neighbourhood.",
        good="As real cells: with sampling noise these stay a little below 2.",
        rows=VARIABLE,
    ),
    *(
        ExpressionMetric(
            name=name,
            theme="distribution",
            title=title,
            direction="half",
            bounds=(0.0, 1.0),
            ideal=0.5,
            source=source,
            meaning="A classifier tells synthetic from held-out real cells with AUC {value}.",
            reading=f"{reading} Five stratified folds; 0.5 is chance, and a little below it is chance too.",
            lies=lies,
            good="As real cells, near 0.5.",
            rows=DETECTED,
        )
        for name, title, source, reading, lies in (
            (
                "auc_forest_components",
                "AUC of a forest, components",
                "Zinati et al. 2024, GRouNdGAN",
                f"Random forest of 100 trees {_POOLED}.",
                "What lies outside of the first components is not seen.",
            ),
            (
                "auc_forest_genes",
                "AUC of a forest, genes",
                "Zinati et al. 2024, GRouNdGAN",
                "Random forest of 100 trees on the log-normalised variable genes.",
                "Single genes of single cells are noise, which hides wrong relations; but values that no real cell has,"
                " such as rounded means, are seen at once.",
            ),
            (
                "auc_forest_quality",
                "AUC of a forest, quality control",
                LOPEZ_PAZ,
                "Random forest of 100 trees on library size, detected genes and the largest value of cells.",
                "Three numbers of each cell: it can be perfect for cells without any biology.",
            ),
            (
                "auc_boosted_components",
                "AUC of boosted trees, components",
                LOPEZ_PAZ,
                f"LightGBM {_POOLED}.",
                "What lies outside of the first components is not seen.",
            ),
        )
    ),
)
METRICS: Mapping[str, ExpressionMetric] = MappingProxyType(
    {metric.name: metric for metric in (*_MARGINS, *_JOINT, *_DISTRIBUTION, *BIOLOGY, *UTILITY, *COPIES)}
)
"""Every score of gene expression by name, in the order in which reports show them."""
