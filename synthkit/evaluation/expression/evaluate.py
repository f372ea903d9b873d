"""One call from sets of cells to all scores, each with its interval, its ceiling and its floor."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from synthkit.errors import InputError
from synthkit.evaluation.expression.case import MOST_CELLS, MOST_GENES, Columns, ExpressionCase, read_case
from synthkit.evaluation.expression.drawing import draw_pictures
from synthkit.evaluation.expression.judge import Judge
from synthkit.evaluation.expression.metrics import METRICS
from synthkit.evaluation.expression.records import ExpressionEvaluation
from synthkit.evaluation.expression.suite import ExpressionSuite, load_expression_suite
from synthkit.evaluation.threads import few_threads
from synthkit.io.expression_set import ExpressionSet
from synthkit.random import RandomSource


def evaluate_expression(
    real: ExpressionSet,
    synthetic: ExpressionSet,
    holdout: ExpressionSet | None = None,
    *,
    label: str | None = None,
    batch: str | None = None,
    donor: str | None = None,
    suite: str | Path | ExpressionSuite = "standard",
    seed: int = 0,
    most_cells: int = MOST_CELLS,
    most_genes: int = MOST_GENES,
    progress: Callable[[str], None] | None = None,
) -> ExpressionEvaluation:
    """Score synthetic gene expression against real one, whoever made it.

    Parameters
    ----------
    real
        The cells (or samples of tissue) that the generator learned from.
    synthetic
        The cells to judge, of the same measure, with at least some genes in common.
    holdout
        Real cells that the generator never saw, best of other donors. Without them a fifth of `real` is split off, and
        the result says so.
    label, batch, donor
        Names of columns of the cells: type, batch and donor. Without them, scores that need them are left out; with
        donors, these are held out, left out for intervals and drawn as a whole. Synthetic cells need no donor.
    suite
        Which scores are computed and which gates they have to pass: "standard", "quick", "scores-only", a YAML file or
        an `ExpressionSuite`.
    seed
        Seed of every draw; the same cells, in whatever order, and the same seed give the same scores.
    most_cells, most_genes
        At most this many cells of each kind, and of the most variable genes, are compared.
    progress
        Is told what is done next.

    Returns
    -------
    ExpressionEvaluation
        Scores with interval, ceiling (real cells in place of synthetic ones) and floor (training cells of which each
        gene is permuted within its type), the types one by one, and the verdict of the suite.

    Raises
    ------
    InputError
        Different measures, a column or type that is missing, or an option that names something unknown.
    DataError
        Too few cells or common genes, or values that are no finite numbers.

    References
    ----------
    Zinati et al. (2024), GRouNdGAN, Nature Communications 15; Viñas et al. (2022), Bioinformatics 38; Crowell et al.
    (2023), The shaky foundations of simulating single-cell RNA sequencing data, Genome Biology 24.
    """
    tell = progress or (lambda title: None)
    asked = suite if isinstance(suite, ExpressionSuite) else load_expression_suite(suite)
    for name, count, fewest in (("most_cells", most_cells, 20), ("most_genes", most_genes, 2)):
        if count < fewest:
            raise InputError(f"{name} is {count}, expected at least {fewest}", remedy=f"Give a larger {name}.")
    random = RandomSource(seed)
    tell("reading the cells")
    case, notes = read_case(
        real, synthetic, holdout, Columns(label, batch, donor), random, most_cells=most_cells, most_genes=most_genes
    )
    wanted = set(asked.metrics or METRICS)
    given = {"label": bool(case.classes), "batch": bool(case.batches)}
    left_out = {
        name: need for name, metric in METRICS.items() for need in metric.needs if name in wanted and not given[need]
    }
    wanted -= set(left_out)
    with few_threads(len(case.sides["real"])):
        judge = Judge(case, seed, tell)
        scores = judge.scores(wanted)
        ordered = {name: scores[name] for name in METRICS if name in scores and name in wanted}
        tell("drawing")
        pictures = draw_pictures(case, judge.pooled("synthetic"))
    return ExpressionEvaluation(
        scores=ordered,
        types=judge.type_rows(),
        cells={**{name: len(data) for name, data in case.sets.items()}, "compared": len(case.sides["real"])},
        form=_form(case),
        seed=seed,
        notes=notes,
        suite=asked.name,
        verdicts=asked.verdicts(ordered, left_out),
        left_out=left_out,
        pictures=pictures,
    )


def _form(case: ExpressionCase) -> dict[str, Any]:
    side = case.sides["real"]
    return {
        "measure": side.data.measure,
        "genes": len(side.data.genes),
        "variable genes": len(side.variable),
        "normalisation": case.normalisation.transform,
        "library size after normalisation": case.normalisation.target,
        "label": case.columns.label,
        "batch": case.columns.batch,
        "donor": case.columns.donor,
        "types": list(case.classes),
        "batches": list(case.batches),
    }
