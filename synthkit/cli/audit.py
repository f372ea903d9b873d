"""``synthkit audit``: what synthetic rows, scans or cells disclose of the real ones they were made from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from synthkit.cli.common import PATH, SOURCE, Source, query_option, quiet_option
from synthkit.cli.expression_audit import CELLS, audit_files
from synthkit.cli.expression_options import EXPRESSION, ExpressionOptions, expression_options, kind_of_input
from synthkit.cli.judging import check_outputs, metric_progress, text_width, words
from synthkit.cli.kinds import refuse_options
from synthkit.cli.scan_audit import EXTRACTORS, SCANS, TABLES, audit_folders, check_kinds
from synthkit.cli.scan_options import SCANS as READING
from synthkit.cli.scan_options import ScanOptions, scan_options
from synthkit.errors import GateError, InputError

if TYPE_CHECKING:
    import pandas as pd

    from synthkit.auditing import Audit

_NO_POLICY = "none"
_MOST_NAMED = 4


def _check(context: click.Context, _: click.Parameter, path: Path | None) -> None:
    """Compare the files of a manifest with what they were, and end."""
    if path is None or context.resilient_parsing:
        return
    from synthkit.auditing.manifest import check_manifest
    from synthkit.visible import one_line

    found = check_manifest(path)
    for file in found.files:
        click.echo(f"{file.state:<9}  {one_line(f'{file.part}: {file.path}')}")
    click.echo(f"SHA-256 of this manifest: {found.sha256}")
    click.echo("Nothing above means anything unless this is the digest that was kept elsewhere.")
    if found.policy:
        said = {True: "passed when the audit was made", False: "not passed when the audit was made", None: "no verdict"}
        click.echo(f"Policy {found.policy!r}: {said[found.passed]}.")
    if found.expires is not None:
        click.echo(f"The audit {'counted' if found.expired else 'counts'} until {found.expires}.")
    if found.wrong:
        listed = ", ".join(one_line(f"{file.path} is {file.state}") for file in found.wrong[:_MOST_NAMED])
        more = f" and {len(found.wrong) - _MOST_NAMED} more" if len(found.wrong) > _MOST_NAMED else ""
        raise GateError(
            f"the manifest '{path}' does not hold: {listed}{more}",
            remedy="Fetch the files as they were, or audit again.",
        )
    if found.expired:
        raise GateError(f"the audit of '{path}' counted until {found.expires}", remedy="Make it again.")
    context.exit()


@click.command()
@click.argument("real_path", metavar="REAL", type=SOURCE)
@click.argument("synthetic_path", metavar="SYNTHETIC", type=SOURCE, required=False)
@query_option
@click.option(
    "--train",
    "train_path",
    metavar="REAL",
    type=SOURCE,
    help="The same as REAL before SYNTHETIC: audit SYNTHETIC --train REAL.",
)
@click.option(
    "--holdout",
    "holdout_path",
    metavar="FILE",
    type=SOURCE,
    help="Real rows, scans or cells that the generator never saw: a control.",
)
@click.option(
    "--policy",
    metavar="NAME|FILE",
    default="internal-test-data",
    show_default=True,
    help="What has to hold: internal-test-data, research-sharing, public-release, a YAML file, or none.",
)
@click.option(
    "--quasi-identifiers",
    metavar="COL,COL",
    multiple=True,
    help="Columns that an attacker may know of a person. May be given several times.",
)
@click.option(
    "--sensitive",
    metavar="COL",
    multiple=True,
    help="A column that an attacker wants to learn. May be given several times.",
)
@click.option("--person", metavar="COL", help="The column that names the person, where persons have several rows.")
@click.option("--target", metavar="COL", help="The column that models of the utility scores predict.")
@click.option(
    "--donor", metavar="COL", help="Gene expression: the column of REAL that names the donor, who is protected."
)
@click.option("--label", metavar="COL", help="Gene expression: the column of REAL that names the type of a cell.")
@click.option("--model", "model_path", metavar="FILE", type=PATH, help="The model that made SYNTHETIC: its guarantee.")
@click.option("--ledger", "ledger_path", metavar="FILE", type=PATH, help="The ledger of the data: all its releases.")
@click.option(
    "--shadow",
    metavar="K",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="Fit K models like --model (at least 4) with and without the rarest records, up to 100 members and 100 "
    "non-members, each in one half of the models, to tell which of them were in REAL. Slow.",
)
@click.option(
    "--raw-rows",
    is_flag=True,
    help="Put the most exposed real rows themselves into the reports; of scans, the names of the real ones shown.",
)
@click.option(
    "--extractor",
    type=click.Choice(EXTRACTORS),
    default=EXTRACTORS[0],
    show_default=True,
    help="Scans: compared by what beside pixels: a network that learns to know REAL again, one that learns its "
    "classes, radiomic features, ImageNet's MobileNetV2, or none.",
)
@click.option(
    "--report",
    "reports",
    metavar="FILE",
    type=PATH,
    multiple=True,
    help="Write a report: .html (to print and sign), .md or .json. May be given several times.",
)
@click.option("--json", "json_path", metavar="FILE", type=PATH, help="Write everything as JSON too.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Seed of every draw.")
@click.option(
    "--check",
    metavar="MANIFEST",
    type=PATH,
    is_eager=True,
    expose_value=False,
    callback=_check,
    help="Audit nothing: say whether the files of an earlier audit are what they were.",
)
@scan_options
@expression_options
@quiet_option
def command(
    real_path: Source,
    synthetic_path: Source | None,
    train_path: Source | None,
    holdout_path: Source | None,
    policy: str,
    quasi_identifiers: tuple[str, ...],
    sensitive: tuple[str, ...],
    person: str | None,
    target: str | None,
    donor: str | None,
    label: str | None,
    model_path: Path | None,
    ledger_path: Path | None,
    shadow: int,
    raw_rows: bool,
    extractor: str,
    reports: tuple[Path, ...],
    json_path: Path | None,
    seed: int,
    quiet: bool,
    reading: ScanOptions,
    expression: ExpressionOptions,
) -> None:
    """Attack SYNTHETIC, made from REAL by whatever tool, and hold what it discloses against a policy.

    Every attack is also made on noisy copies of REAL, which it must catch, and on held-out rows, which it must not. So
    without --holdout no attack is made, and no policy that asks for one is met. The exit code is 3 when a gate is not
    met. Beside the first report lies a manifest with the SHA-256 of every file.

    \b
    synthkit audit train.csv synthetic.csv --holdout holdout.csv --sensitive income --report audit.html
    synthkit audit scans/train/ synthetic/ --holdout scans/test/ --report audit.html
    synthkit audit train.h5ad synthetic.h5ad --holdout holdout.h5ad --donor donor --label cell_type
    synthkit audit --check audit.manifest.json
    """
    real_path, synthetic_path = _sides(real_path, synthetic_path, train_path)
    kind = kind_of_input(real_path)
    refuse_options(kind, real_path, {**SCANS, **READING, **TABLES, **CELLS, **EXPRESSION})
    if kind == "expression":
        refuse_options(kind, real_path, {"raw_rows": "table"})  # reports on cells tell positions only
    given = {
        "real": real_path,
        "synthetic": synthetic_path,
        "held-out": holdout_path,
        "model": model_path,
        "ledger": ledger_path,
        "policy": _file(policy),
    }
    inputs = {part: path for part, path in given.items() if path is not None}
    written = (*reports, *((json_path,) if json_path is not None else ()))
    check_kinds(kind, real_path, {"synthetic": synthetic_path, "held-out": holdout_path})
    manifest = _check_places(reports, json_path, written, inputs)
    if kind == "scans":
        scans = audit_folders(
            inputs,
            reading,
            policy=None if policy == _NO_POLICY else policy,
            extractor=extractor,
            model=model_path,
            ledger=ledger_path,
            raw_names=raw_rows,
            seed=seed,
            quiet=quiet,
        )
        _publish(scans, reports, json_path, inputs, manifest, quiet)
        _refuse(scans)
        return

    if kind == "expression":
        cells = audit_files(
            inputs,
            expression,
            donor=donor,
            label=label,
            policy=None if policy == _NO_POLICY else policy,
            model=model_path,
            ledger=ledger_path,
            seed=seed,
            quiet=quiet,
        )
        _publish(cells, reports, json_path, inputs, manifest, quiet)
        _refuse(cells)
        return

    from synthkit.auditing.policy import load_policy

    gates = None if policy == _NO_POLICY else load_policy(policy)

    from synthkit.evaluation.provenance import describe_run
    from synthkit.io import read_table

    # before anything is read: what changes meanwhile differs from its hash, and --check says so
    origin = describe_run(words(), inputs, seed=seed)
    tables = {part: read_table(inputs[part]) for part in ("real", "synthetic", "held-out") if part in inputs}

    import dataclasses

    from synthkit.auditing.audit import audit

    with metric_progress(quiet=quiet, doing="auditing") as progress:
        found = audit(
            tables["real"],
            tables["synthetic"],
            holdout=tables.get("held-out"),
            policy=gates,
            quasi_identifiers=_columns(quasi_identifiers, tables["real"]),
            sensitive=sensitive,
            person=person,
            target=target,
            model=model_path,
            ledger=ledger_path,
            shadow=shadow,
            seed=seed,
            raw_rows=raw_rows,
            progress=progress,
        )
    provenance = {**found.provenance, **origin}
    _publish(dataclasses.replace(found, provenance=provenance), reports, json_path, inputs, manifest, quiet)
    _refuse(found)


def _sides(first: Source, second: Source | None, train: Source | None) -> tuple[Source, Source]:
    """Return what is real and what is synthetic: both in this order, or the synthetic one alone beside --train."""
    if train is None:
        if second is None:
            raise click.UsageError("Missing argument 'SYNTHETIC'.")
        return first, second
    if second is not None:
        raise click.UsageError("--train names REAL, and so does the first of the two arguments: leave one out.")
    return train, first


def _file(policy: str) -> Path | None:
    """Return the path of a policy that is a file of the user; names of shipped ones come first."""
    from synthkit.auditing.policy import POLICIES

    return None if policy == _NO_POLICY or policy in POLICIES or not Path(policy).is_file() else Path(policy)


def _check_places(
    reports: Sequence[Path], json_path: Path | None, written: Sequence[Path], inputs: Mapping[str, Source]
) -> Path | None:
    """Refuse what cannot be written before anything is read; return where the manifest will lie."""
    check_outputs(reports, json_path, list(inputs.values()))
    if not written:
        return None
    from synthkit.archive import check_output
    from synthkit.auditing.manifest import manifest_path

    manifest = manifest_path(written[0])
    if manifest in written:
        raise InputError(
            f"'{manifest}' is named as an output, and the manifest goes there", remedy="Name another file."
        )
    check_output(manifest, inputs=list(inputs.values()))
    return manifest


def _columns(given: Iterable[str], real: pd.DataFrame) -> tuple[str, ...]:
    """Return columns that were given one by one or with commas; a column may have a comma in its name."""
    names = set(map(str, real.columns))
    split = (part for word in given for part in ((word,) if word in names else word.split(",")))
    return tuple(dict.fromkeys(part.strip() for part in split if part.strip()))


def _publish(
    found: Audit,
    reports: Sequence[Path],
    json_path: Path | None,
    inputs: Mapping[str, Source],
    manifest: Path | None,
    quiet: bool,
) -> None:
    """Write what was found to every file that was asked for, then the manifest, and show it unless quiet."""
    from contextlib import ExitStack

    from synthkit.archive import atomic_path

    with ExitStack() as all_or_none:
        for report in reports:
            place = all_or_none.enter_context(atomic_path(report))
            _write_report(found, place)
        if json_path is not None:
            all_or_none.enter_context(atomic_path(json_path)).write_text(found.to_json(), encoding="utf-8")
    digest = ""
    if manifest is not None:
        from synthkit.auditing.manifest import write_manifest
        from synthkit.io import source_path

        files = {part: path for part, source in inputs.items() if (path := source_path(source)) and path.exists()}
        digest = write_manifest(manifest, (*reports, *((json_path,) if json_path is not None else ())), found, files)
    if quiet:
        return
    click.echo(found.to_text(width=text_width()), nl=False)
    if manifest is not None:
        click.echo(f"\nManifest {manifest}, SHA-256 {digest}\nKeep this digest where nobody can change it.")


def _write_report(found: Audit, place: Path) -> None:
    """Write the report of an audit of any kind."""
    from synthkit.auditing.expression.report import write_report as write_expression_report
    from synthkit.auditing.expression.result import ExpressionAuditResult
    from synthkit.auditing.report import write_report
    from synthkit.auditing.scans.report import write_report as write_scan_report
    from synthkit.auditing.scans.result import ScanAudit

    if isinstance(found, ScanAudit):
        write_scan_report(found, place)
    elif isinstance(found, ExpressionAuditResult):
        write_expression_report(found, place)
    else:
        write_report(found, place)


def _refuse(found: Audit) -> None:
    """Raise with exit code 3 when gates of the policy are not met."""
    from synthkit.visible import one_line

    failed = [one_line(verdict.gate) for verdict in found.failed]
    if not failed:
        return
    more = f" and {len(failed) - _MOST_NAMED} more" if len(failed) > _MOST_NAMED else ""
    name = (found.policy or {}).get("name", "")
    remedy = "See the verdict above, or pass --policy none for findings without one."
    if not found.rows.get("held-out"):
        remedy = f"No attack could be made: pass real {found.thing}s that the generator never saw with --holdout."
    gates = f"{len(failed)} gates" if len(failed) > 1 else "1 gate"
    verb = "are" if len(failed) > 1 else "is"
    raise GateError(
        f"{gates} of the policy {name!r} {verb} not met: {', '.join(failed[:_MOST_NAMED])}{more}",
        remedy=remedy,
    )
