"""What ``synthkit privacy plan`` does for scans."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from synthkit.errors import InputError
from synthkit.plain_json import plain_json

if TYPE_CHECKING:
    from synthkit.cli.budget import BudgetOptions


def show_plan(
    asked: BudgetOptions,
    *,
    size: str | None,
    window: str | None,
    classes: str | None,
    steps: int | None,
    batch: int | None,
    as_json: bool,
) -> None:
    """Print what a budget would be spent on for scans of a declared domain; no scan is read.

    Raises
    ------
    PrivacyError
        Something is not declared, or the budget does not allow it.
    InputError
        An option of tables, or a value that is none.
    """
    if asked.buy:
        raise InputError("--buy is for tables, and a plan of scans was asked for", remedy="Leave --buy out.")

    from synthkit.cli.scan_fit import parse_classes
    from synthkit.privacy.wording import SCAN
    from synthkit.scans.gan import ScanGAN
    from synthkit.scans.outlook import scan_outlook
    from synthkit.scans.plan import ScanPlan, parse_size, parse_window
    from synthkit.scans.private import private_settings

    model = ScanGAN(
        size="auto" if size is None else parse_size(size),
        window=None if window is None else parse_window(window),
        classes=None if classes is None else parse_classes(classes),
        records=asked.records,
        steps="auto" if steps is None else steps,
        batch="auto" if batch is None else batch,
        privacy=asked.budget(),
        privacy_engine=asked.engine or "auto",  # type: ignore[arg-type]
    )
    settings = model.get_params(deep=False)
    plan = ScanPlan.of(settings)
    axes = 2 if isinstance(plan.size, str) else max(2, len(plan.size))
    private = private_settings(settings, plan, patients=asked.unit != SCAN, axes=axes)
    found = scan_outlook(private.domain, private.plan())
    if as_json:
        click.echo(json.dumps(plain_json(found.to_json()), indent=2, ensure_ascii=False))
    else:
        click.echo(found.to_text(), nl=False)
