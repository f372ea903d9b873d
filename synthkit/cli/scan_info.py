"""What ``synthkit info`` shows of a model of scans."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from synthkit.cli.common import print_facts
from synthkit.plain_json import plain_json


def show_scans(model: Any, model_path: Path, facts: Mapping[str, object], *, as_json: bool) -> None:
    """Show what is in the file of a `ScanGAN`.

    Parameters
    ----------
    model
        The model.
    model_path
        Its file.
    facts
        What is known of the file.
    as_json
        Print JSON instead of text.
    """
    from synthkit.scans.showing import summary

    space = model.space_
    form = space.form
    if as_json:
        content = {**facts, "space": space.to_dict(), "read_as": model.read_as_, "report": model.report_}
        click.echo(json.dumps(plain_json(content), indent=2, ensure_ascii=False))
        return
    spacing = None if form.spacing is None else " x ".join(f"{one:.3g}" for one in form.spacing) + " mm"
    shown = {
        "model": model_path,
        **facts,
        "draws": f"{form.modality}, {' x '.join(map(str, space.size))}, {space.dtype}"
        + (f" in {form.units}" if form.units else ""),
        "spacing": spacing,
        "read from": model.read_as_ or None,
        "masks": f"regions {', '.join(map(str, space.regions))}" if space.regions else None,
    }
    print_facts({**shown, **summary(model.report_)})
