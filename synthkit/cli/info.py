"""``synthkit info``: what is in a model file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from synthkit.cli.common import PATH, json_option, print_facts
from synthkit.cli.scan_info import show_scans
from synthkit.plain_json import plain_json


@click.command()
@click.argument("model_path", metavar="MODEL", type=PATH)
@json_option
def command(model_path: Path, as_json: bool) -> None:
    """Show what is in the file MODEL: its columns, its form of scans or its genes, and how well the fit did."""
    from synthkit import load
    from synthkit.archive import read_manifest

    model = load(model_path)
    manifest = read_manifest(model_path)
    facts: dict[str, object] = {
        "kind": manifest["kind"],
        "format version": manifest["format_version"],
        "written with": f"synthkit {manifest['created_with']}",
        "bytes": model_path.stat().st_size,
    }
    if model.privacy is not None:
        budget = model.privacy
        facts["privacy"] = f"epsilon {budget.epsilon:g}, delta {budget.delta:g} for each {budget.unit}"
    if manifest["kind"] == "scans":
        show_scans(model, model_path, facts, as_json=as_json)
        return
    if manifest["kind"] == "expression":
        _show_expression(model, model_path, facts, as_json=as_json)
        return
    if as_json:
        content = {**facts, "schema": model.schema_.to_dict(), "report": model.report_}
        click.echo(json.dumps(plain_json(content), indent=2, ensure_ascii=False))
        return
    from synthkit.tables.showing import summary

    print_facts({"model": model_path, **facts, **summary(model.report_)})
    click.echo("\ncolumns")
    for column in model.schema_:
        roles = f" ({', '.join(column.roles)})" if column.roles else ""
        click.echo(f"  {column.name}: {column.type}{roles}")


def _show_expression(model: Any, model_path: Path, facts: Mapping[str, object], *, as_json: bool) -> None:
    from synthkit.expression.showing import summary

    space = model.space_
    if as_json:
        content = {**facts, "space": space.to_dict(), "report": model.report_}
        click.echo(json.dumps(plain_json(content), indent=2, ensure_ascii=False))
        return
    shown = {
        "model": model_path,
        **facts,
        "draws": f"{space.measure} of {len(space.genes):,} genes",
        "conditions": ", ".join([*space.labels, *([space.batch] if space.batch else [])]) or None,
    }
    print_facts({**shown, **summary({**model.report_, "model": model.model_})})
