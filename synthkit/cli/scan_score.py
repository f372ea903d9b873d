"""What ``synthkit score`` does with scans: how unusual each is, and where."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from synthkit.cli.scan_derived import model_of_scans, read_like, require_recipe

if TYPE_CHECKING:
    from synthkit.cli.scan_options import ScanOptions
    from synthkit.io.scan_set import ScanSet
    from synthkit.io.source import Address
    from synthkit.scans.anomaly import ScanAnomalies
    from synthkit.scans.gan import ScanGAN

SCANS: dict[str, str] = dict.fromkeys(("heat_maps", "replace"), "scans")
TABLES: dict[str, str] = dict.fromkeys(("query", "explain"), "table")
_SHOWN = 10


def score_scans(
    model_path: Path,
    data: Path,
    output: Path | Address | None,
    reading: ScanOptions,
    *,
    heat_maps: Path | None,
    replace: bool,
    as_json: bool,
) -> None:
    """Score scans, write the scores and the heat-maps that were asked for, and show the most unusual scans."""
    from synthkit.io import check_target
    from synthkit.io.scan_folder import check_scan_folder

    if output is not None:
        check_target(output, inputs=[model_path, data])
    if heat_maps is not None:
        check_scan_folder(heat_maps, replace=replace)
    model = model_of_scans(model_path, "score")
    require_recipe(model, "anomaly", "score", "fanogan")
    scans = read_like(model, data, reading, native=False, quiet=as_json)
    scores = model.anomaly_scores(scans)
    if heat_maps is not None:
        write_heat_maps(scores, scans, heat_maps, model, model_path, replace=replace)
    if output is not None:
        import pandas as pd

        from synthkit.io import write_table

        write_table(pd.DataFrame(scores.rows()), output)
    if as_json:
        click.echo(json.dumps(_as_json(scores), indent=2, allow_nan=False))
    elif output is None:
        order = scores.order()[:_SHOWN]
        click.echo(f"the {len(order)} most unusual of {len(scores):,} scans")
        for i in order:
            parts = ", ".join(f"{name} {values[i]:.1f}" for name, values in scores.parts.items())
            click.echo(
                f"{scores.name(i)}: score {scores.total[i]:.2f} ({parts}); {scores.share[i]:.1%} of usual scans are as "
                "unusual"
            )


def write_heat_maps(
    scores: ScanAnomalies, scans: ScanSet, folder: Path, model: ScanGAN, model_path: Path, *, replace: bool
) -> None:
    """Write a map for each scan into a new folder: a picture, or, for volumes, NIfTI; and a sheet of the most unusual.

    All maps have one scale: as they are up to 1, and palest at the largest value that occurs in one of 200 samples.
    """
    from dataclasses import replace as changed

    import numpy as np

    from synthkit.cli.scan_sample import provenance_of
    from synthkit.evaluation.scans.pictures import heat_map, heat_map_png, window_of
    from synthkit.io.nifti_write import write_nifti
    from synthkit.io.png import png_bytes
    from synthkit.io.scan_folder import new_scan_folder, write_manifest
    from synthkit.io.scan_set import ScanForm

    provenance = provenance_of(model, model_path, 0, from_scans=True)
    window, most = window_of(scans.images), max(2.0, window_of(scores.heat)[1])
    spacing = scans.form.spacing if len(scans.size) == 3 else None
    with new_scan_folder(folder, replace=replace) as temporary:
        if len(scans.size) == 3:
            top = float(max(scores.heat.max(initial=0.0), 1.0))
            form = ScanForm("OT", bits=16, limits=(0.0, top), spacing=spacing, orientation=scans.form.orientation)
            write_nifti(
                changed(scans, images=scores.heat[:, None], masks=None, labels=None, classes=(), form=form),
                temporary,
                provenance=provenance,
            )
        else:
            digits = max(6, len(str(len(scans))))
            for i in range(len(scans)):
                picture = heat_map(scans.images[i], scores.heat[i], window=window, heat_window=(1.0, most))
                (temporary / f"{i + 1:0{digits}}.png").write_bytes(png_bytes(picture))
        chosen = np.asarray(scores.order()[: 8 if len(scans.size) == 2 else 1])
        if len(chosen):
            sheet = heat_map_png(
                scans.images[chosen], scores.heat[chosen], window=window, heat_window=(1.0, most), spacing=spacing
            )
            (temporary / "most-unusual.png").write_bytes(sheet)
        named = {scores.name(i): round(float(scores.total[i]), 6) for i in range(len(scores))}
        write_manifest(temporary, {"scores": named, "scale": [1.0, most], "provenance": provenance.to_dict()})


def _as_json(scores: ScanAnomalies) -> dict[str, Any]:
    rows = scores.rows()
    return {
        "scans": len(scores),
        "parts": list(scores.parts),
        "scores": [row["score"] for row in rows],
        "most_unusual": [rows[i] for i in scores.order()[:_SHOWN]],
    }
