"""What an evaluation of gene expression returns: scores with interval and controls, and what is drawn."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from synthkit.evaluation.intervals import Floats
from synthkit.evaluation.records import Judged, Score, Verdict
from synthkit.plain_json import plain_json

FORMAT_VERSION = 1


@dataclass(frozen=True, eq=False)
class ExpressionPictures:
    """What the report shows; not part of the JSON.

    Attributes
    ----------
    points
        Held-out and synthetic cells in the first two components of both, ``[cells, 2]`` by kind.
    explained
        Share of the variance that each of the two shows.
    point_classes
        Type of each of these cells by kind, as a position in `classes`; empty without types.
    classes
        Names of the types.
    moments
        By kind, mean, variance and share of zeros of genes, each ``[genes]``.
    logarithmic
        Whether means and variances are drawn on logarithmic axes.
    correlated
        Names of the genes in the two matrices, in the order in which real cells cluster them.
    correlations
        By kind, ``[genes, genes]``.
    markers
        Names of marker genes, by type one after the other.
    marker_means
        By kind, the mean of each marker in each type, normalised, ``[types, markers]``.
    marker_shares
        By kind, the share of cells of each type in which it is above 0, ``[types, markers]``.
    """

    points: Mapping[str, npt.NDArray[np.float32]]
    explained: Floats
    point_classes: Mapping[str, npt.NDArray[np.int64]]
    classes: tuple[str, ...]
    moments: Mapping[str, tuple[Floats, Floats, Floats]]
    logarithmic: bool
    correlated: tuple[str, ...]
    correlations: Mapping[str, Floats]
    markers: tuple[str, ...]
    marker_means: Mapping[str, Floats]
    marker_shares: Mapping[str, Floats]


@dataclass(frozen=True)
class ExpressionEvaluation(Judged):
    """The scores of synthetic gene expression against real one.

    Attributes
    ----------
    scores
        Score by name; the names are explained in `synthkit.evaluation.expression.metrics`. `ceiling` is the score of
        real cells in place of synthetic ones, `floor` that of training cells whose genes are permuted by type.
    types
        For each type, numbers by name: how many cells there are, and scores of that type alone.
    cells
        Number of "real", "held-out" and "synthetic" cells as given, and how many of each are "compared".
    form
        Measure, number of genes, normalisation, names of the columns.
    seed
        Seed of every draw.
    notes
        What was done to the cells before scoring, in sentences.
    suite
        Name of the suite.
    verdicts
        One for each gate of the suite.
    left_out
        Scores that were not computed, with what they need.
    pictures
        What the report draws.
    provenance
        Command, versions and hashes of the inputs, where the caller knows them.
    """

    scores: Mapping[str, Score]
    types: Mapping[str, Mapping[str, float]]
    cells: Mapping[str, int]
    form: Mapping[str, Any]
    seed: int
    notes: tuple[str, ...] = ()
    suite: str = ""
    verdicts: tuple[Verdict, ...] = ()
    left_out: Mapping[str, str] = field(default_factory=dict)
    pictures: ExpressionPictures | None = field(default=None, compare=False, repr=False)
    provenance: Mapping[str, Any] = field(default_factory=dict)

    def __repr__(self) -> str:
        """Return one line: what was compared, and whether the suite is passed."""
        from synthkit.evaluation.expression.text import one_line

        return one_line(self)

    def _repr_html_(self) -> str:
        from synthkit.evaluation.expression.text import as_html

        return as_html(self)

    def to_camda(self) -> dict[str, dict[str, Any]]:
        """Return the scores by the names of columns of the CAMDA health privacy challenge, with what differs."""
        from synthkit.evaluation.expression.camda import camda_columns

        return camda_columns(self.scores)

    def to_dict(self) -> dict[str, Any]:
        """Return everything but the pictures as plain values that JSON can hold."""
        from synthkit import __version__

        content: dict[str, Any] = plain_json(
            {
                "format": "synthkit-expression-evaluation",
                "format_version": FORMAT_VERSION,
                "created_with": __version__,
                "cells": dict(self.cells),
                "form": dict(self.form),
                "seed": self.seed,
                "notes": list(self.notes),
                "scores": {name: score.to_dict() for name, score in self.scores.items()},
                "types": {name: dict(row) for name, row in self.types.items()},
                "camda": self.to_camda(),
                "suite": self.suite,
                "passed": self.passed,
                "verdicts": [verdict.to_dict() for verdict in self.verdicts],
                "left_out": dict(self.left_out),
                "provenance": dict(self.provenance),
            }
        )
        return content

    def to_text(self, *, width: int = 100) -> str:
        """Return a table of the scores with their controls, and what they say in plain words.

        Parameters
        ----------
        width
            Width of the text in characters.
        """
        from synthkit.evaluation.expression.text import as_text

        return as_text(self, width=width)
