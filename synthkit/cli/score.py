"""``synthkit score``: how unusual rows or scans are for a model, and which cells or places make them so."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from synthkit.cli.common import PATH, SINK, SOURCE, Source, json_option, query_option
from synthkit.cli.kinds import kind_of_model, refuse_options
from synthkit.cli.scan_options import SCANS as READING
from synthkit.cli.scan_options import scan_options
from synthkit.cli.scan_score import SCANS, TABLES, score_scans
from synthkit.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

    from synthkit.cli.scan_options import ScanOptions
    from synthkit.tables.anomaly import AnomalyScores

_SHOWN = 10


@click.command()
@click.argument("model_path", metavar="MODEL", type=PATH)
@click.argument("data", type=SOURCE)
@query_option
@click.option(
    "-o",
    "--output",
    "--to",
    "output",
    type=SINK,
    metavar="OUT",
    help="Write the score of every row or scan of DATA, in its order, to this table.",
)
@click.option(
    "--explain",
    type=click.IntRange(min=0),
    default=3,
    show_default=True,
    metavar="N",
    help="Name the N columns that make a row most unusual.",
)
@click.option(
    "--heat-maps", type=PATH, metavar="FOLDER", help="Scans: write where each is unusual, as pictures or NIfTI."
)
@click.option("--replace", is_flag=True, help="Scans: replace a folder of heat-maps that synthkit wrote.")
@scan_options
@json_option
def command(
    model_path: Path,
    data: Source,
    output: Source | None,
    explain: int,
    heat_maps: Path | None,
    replace: bool,
    as_json: bool,
    reading: ScanOptions,
) -> None:
    """Score the rows or scans of DATA by how unusual they are for MODEL, and show the most unusual ones.

    The score is measured against synthetic rows of the model: it is the mean of several readings in nats, and "1 in N"
    says how many synthetic rows there are for one that is as unusual.

    \b
    synthkit score people.synth today.csv
    synthkit score people.synth today.csv -o scores.csv --explain 5
    synthkit score normal-chest.synth today/ -o scores.csv --heat-maps where/
    """
    kind = kind_of_model(model_path)
    refuse_options(kind, model_path, {**SCANS, **READING, **TABLES})
    if kind == "scans":
        if not isinstance(data, Path):
            raise InputError("scans are not read from a database", remedy="Name a folder of scans.")
        score_scans(model_path, data, output, reading, heat_maps=heat_maps, replace=replace, as_json=as_json)
        return
    from synthkit.io import check_target

    if output is not None:
        check_target(output, inputs=[model_path, data])

    from synthkit import load
    from synthkit.io import read_table, write_table

    model = load(model_path)
    frame = read_table(data)
    scores = model.anomaly_scores(frame)
    if output is not None:
        table = scores.to_frame(explain)
        table.insert(0, "row", range(1, len(table) + 1))
        write_table(table, output)
    if as_json:
        import json

        click.echo(json.dumps(_as_json(scores, explain), indent=2, allow_nan=False))
    elif output is None:
        _show(scores, frame, explain)


def _most_unusual(scores: AnomalyScores) -> list[int]:
    """Rows by falling score, at most ten."""
    import numpy as np

    order: list[int] = np.argsort(-scores.total, kind="stable")[:_SHOWN].tolist()
    return order


def _as_json(scores: AnomalyScores, explain: int) -> dict[str, Any]:
    from dataclasses import asdict

    return {
        "rows": len(scores),
        "parts": list(scores.parts),
        "scores": [round(value, 6) for value in scores.total.tolist()],
        "most_unusual": [
            {
                "row": row + 1,
                "score": round(float(scores.total[row]), 6),
                "one_in": round(float(scores.one_in[row]), 1),
                "parts": {name: round(float(values[row]), 6) for name, values in scores.parts.items()},
                "columns": [asdict(cell) for cell in scores.explain(row, explain)],
            }
            for row in _most_unusual(scores)
        ],
    }


def _show(scores: AnomalyScores, frame: pd.DataFrame, explain: int) -> None:
    click.echo(f"the {min(_SHOWN, len(scores))} most unusual of {len(scores):,} rows")
    for row in _most_unusual(scores):
        cells = [
            f"{cell.column}={_text(frame[cell.column].iloc[row])} ({cell.share:.0%}"
            f"{', given the others' if cell.given_others else ''})"
            for cell in scores.explain(row, explain)
        ]
        line = f"row {row + 1:,}: score {scores.total[row]:.2f}, {scores.rarity(row)}"
        click.echo(f"{line}: {', '.join(cells)}" if cells else line)


def _text(value: Any) -> str:
    import pandas as pd

    from synthkit.visible import one_line

    return "missing" if pd.isna(value) else one_line(str(value))
