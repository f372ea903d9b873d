"""What ``synthkit inspect`` says of gene expression: what the values are, labels, rare types, how long a fit takes."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from synthkit.cli.expression_options import ExpressionOptions
from synthkit.phrases import counted
from synthkit.plain_json import plain_json

if TYPE_CHECKING:
    import pandas as pd

    from synthkit.io.expression_reading import ExpressionReading

RARE = 20
"""Cells of a type below which it is hardly learned."""

_QUANTILES = (0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0)
_MOST_LABELS = 200
_MOST_SHOWN = 12
_FEW_CELLS = 100
_FEW_DONORS = 100
_LABEL = re.compile(
    r"label|class|type|cluster|louvain|leiden|condition|disease|diagnosis|status|treat|target|histology"
)
_BATCH = re.compile(r"batch|lane|plate|run|chip|library|channel|assay|protocol|site|cent(?:er|re)|sample|orig\.?ident")
_DONOR = re.compile(r"donor|patient|subject|individual|participant|person|animal|mouse_?id|replicate")


def inspect_expression(data: Path, options: ExpressionOptions, *, as_json: bool) -> None:
    """Read gene expression and say what is in it.

    Parameters
    ----------
    data
        A file or folder.
    options
        How it is read. Cells without any expression are told and left out, whatever they say.
    as_json
        Whether JSON is printed.

    Raises
    ------
    InputError
        It cannot be read: exit code 2.
    """
    reading = options.reading(data, drop_empty=True)
    content = described(reading, allowed_empty=options.drop_empty)
    if as_json:
        click.echo(json.dumps(plain_json(content), indent=2, ensure_ascii=False))
        return
    _tell(data, content)


def described(reading: ExpressionReading, *, allowed_empty: bool = False) -> dict[str, Any]:
    """Return what there is to say of gene expression, JSON-safe.

    Parameters
    ----------
    reading
        Cells by genes.
    allowed_empty
        Whether cells without any expression may be left out; otherwise they are warned of.
    """
    import numpy as np

    from synthkit.expression.outlook import expression_outlook

    data = reading.data
    n_cells, n_genes = data.values.shape
    stored = np.asarray((data.values != 0).sum(axis=1), dtype=np.int64).ravel()
    by_gene = np.asarray((data.values != 0).sum(axis=0), dtype=np.int64).ravel()
    n_stored = int(stored.sum())
    kinds = {name: _role(str(name), data.cells[name]) for name in data.cells}
    labels = {name: data.cells[name].value_counts().to_dict() for name, kind in kinds.items() if kind == "label"}
    counts = {name: {str(label): int(n) for label, n in found.items() if n} for name, found in labels.items()}
    n_held = n_stored if data.is_sparse else n_cells * n_genes
    content: dict[str, Any] = {
        "cells": n_cells,
        "genes": n_genes,
        "found": data.found,
        "measure": data.measure,
        "told": reading.told,
        "zeros": 1 - n_stored / (n_cells * n_genes),
        "totals": _quantiles(data.totals()),
        "genes_per_cell": _quantiles(stored),
        "genes_without_values": int((by_gene == 0).sum()),
        "empty_cells": reading.n_empty,
        "labels": dict(sorted(counts.items(), key=lambda item: not _LABEL.search(str(item[0]).lower()))),
        "rare": {
            name: rare for name, found in counts.items() if (rare := {k: n for k, n in found.items() if n < RARE})
        },
        "batches": {name: int(data.cells[name].nunique()) for name, kind in kinds.items() if kind == "batch"},
        "donors": {name: int(data.cells[name].nunique()) for name, kind in kinds.items() if kind == "donor"},
        "other_columns": [str(name) for name, kind in kinds.items() if kind == "other"],
        "notes": list(reading.notes),
        "outlook": expression_outlook(n_cells, n_genes, n_held).to_dict(),
    }
    content["warnings"] = _warnings(reading, content, allowed_empty)
    return content


def _role(name: str, column: pd.Series[Any]) -> str:
    """Tell what a column of the cells may be: ``donor``, ``batch``, ``label`` or ``other``."""
    import pandas as pd

    folded = name.lower()
    text = column.dtype == object or isinstance(column.dtype, pd.CategoricalDtype | pd.StringDtype | pd.BooleanDtype)
    distinct = int(column.nunique())
    if distinct < 2:
        return "other"
    # samples of tissue have types too: only a name that says nothing of a label is one of a batch
    if _DONOR.search(folded) and distinct < len(column):
        return "donor"
    if _BATCH.search(folded) and not _LABEL.search(folded) and distinct < len(column):
        return "batch"
    if (text or column.dtype.kind == "b" or _LABEL.search(folded)) and distinct <= min(_MOST_LABELS, len(column) // 2):
        return "label"
    return "other"


def _quantiles(values: Any) -> dict[str, float]:
    import numpy as np

    return {
        f"{share:.0%}": float(value) for share, value in zip(_QUANTILES, np.quantile(values, _QUANTILES), strict=True)
    }


def _warnings(reading: ExpressionReading, content: dict[str, Any], allowed_empty: bool) -> list[str]:
    data = reading.data
    found = []
    if reading.n_empty and not allowed_empty:
        found.append(
            f"{counted(reading.n_empty, 'cell')} without any expression; other commands refuse them unless "
            "--drop-empty leaves them out"
        )
    if content["cells"] < _FEW_CELLS:
        found.append(f"{counted(content['cells'], 'cell')} are few: a generator repeats what it saw")
    if content["genes_without_values"]:
        found.append(f"{counted(content['genes_without_values'], 'gene')} without a value in any cell")
    if data.cells.index.has_duplicates:
        found.append("names of cells are repeated")
    for name, rare in content["rare"].items():
        listed = ", ".join(f"{label!r} ({n})" for label, n in list(rare.items())[:5])
        more = f" and {len(rare) - 5} more" if len(rare) > 5 else ""
        found.append(f"types of {name!r} with fewer than {RARE} cells are hardly learned: {listed}{more}")
    for name, n in content["donors"].items():
        if n < _FEW_DONORS:
            found.append(f"{counted(n, 'donor')} in {name!r}: too few to protect each under a privacy budget")
    return found


def _tell(data: Path, content: dict[str, Any]) -> None:
    from synthkit.expression.outlook import ExpressionOutlook

    where = f", {content['found']}" if content["found"] else ""
    click.echo(f"{data}: {content['cells']:,} cells, {content['genes']:,} genes{where}")
    for note in content["notes"]:
        click.echo(f"note: {note}")
    click.echo(f"measure: {content['measure']}")
    click.echo(f"zeros: {content['zeros']:.1%}")
    called = "library size" if content["measure"] == "counts" else "sum of a cell"
    for what, key in ((called, "totals"), ("genes per cell", "genes_per_cell")):
        said = ", ".join(f"{name} {value:,.6g}" for name, value in content[key].items())
        click.echo(f"{what}: {said}")
    for name, counts in content["labels"].items():
        ordered = sorted(counts.items(), key=lambda item: -item[1])
        said = ", ".join(f"{label} {n:,}" for label, n in ordered[:_MOST_SHOWN])
        more = f" and {len(ordered) - _MOST_SHOWN} more" if len(ordered) > _MOST_SHOWN else ""
        click.echo(f"label {name!r}: {counted(len(counts), 'type')}: {said}{more}")
    if not content["labels"]:
        click.echo("labels: none found (--cells adds a table of them)")
    for kind, called in (("batches", "batch"), ("donors", "donor")):
        for name, n in content[kind].items():
            click.echo(f"{called} {name!r}: {n:,}")
    if content["other_columns"]:
        click.echo("other columns: " + ", ".join(map(repr, content["other_columns"])))
    click.echo("fit: " + ExpressionOutlook(**content["outlook"]).describe())
    for text in content["warnings"]:
        click.echo(f"warning: {text}")
