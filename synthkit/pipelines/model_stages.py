"""The stages that make synthetic rows: fit, sample, balance."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from synthkit.io import TableWriter, write_table
from synthkit.pipelines.data_stages import with_records
from synthkit.pipelines.settings import BalanceSettings, FitSettings, PrivacySettings, Recipe, SampleSettings
from synthkit.pipelines.work import Made, Outcome, Work
from synthkit.pipelines.workspace import GateResult, content_hash, write_json
from synthkit.plain_json import plain_json
from synthkit.schema import Schema
from synthkit.tables.gan import TableGAN

_OUT_OF_TIME = "time budget"
_SECONDS = re.compile(r" in \d+(\.\d+)? s\b")
_NOISE = "noise of a privacy budget comes from the operating system and is never repeated"
_DATED = ("created", "provenance")  # what tells when and where a document was made, and not what it says


def fit(work: Work) -> Outcome:
    """Fit a generator; a killed fit goes on from its checkpoint, but for one under a privacy budget."""
    settings: FitSettings = work.settings
    private = settings.privacy
    model = TableGAN(
        generator=settings.generator,
        loss=settings.loss,
        n_codes=settings.n_codes,
        adversary=settings.adversary,
        refine=settings.refine,
        time_budget=settings.time_budget,
        random_state=work.recipe.seed,
        device=settings.device,
        verbose=work.verbose,
        **({} if private is None else _private_settings(private)),
    )
    place = work.place("model.synth")
    checkpoint = work.place(f"{work.key[:16]}.checkpoint")
    for left in work.workspace.folder("fit").glob("*.checkpoint"):
        if left != checkpoint or not work.resume:
            left.unlink()
    if private is None:
        model.fit(
            work.training(),
            schema=work.schema(),
            target=work.recipe.target,
            checkpoint=checkpoint,
            resume=checkpoint.exists(),
        )
    else:
        _open_ledger(private)
        model.fit(work.training(), schema=work.schema(), target=work.recipe.target)
    if model.report_.get("interrupted"):
        raise KeyboardInterrupt  # the checkpoint stays: a model of half a fit is not what the recipe asks for
    report = dict(model.report_)
    unrepeatable = ""
    if any(str(text).endswith(_OUT_OF_TIME) for text in report.get("stages", {}).values()):
        unrepeatable = f"the fit was cut short by its time budget of {settings.time_budget}"
    if private is not None:
        unrepeatable = _NOISE
    _forget_times(model.report_)
    model.set_params(verbose=None).save(place)
    checkpoint.unlink(missing_ok=True)
    artefacts: dict[str, Any] = {"model": place}
    gates: tuple[GateResult, ...] = ()
    if private is not None:
        certificate, gates = _certify(work)
        artefacts |= certificate
    return Outcome(artefacts, gates, facts={"report": plain_json(report)}, unrepeatable=unrepeatable)


def _private_settings(private: PrivacySettings) -> Mapping[str, Any]:
    """Return the settings of `TableGAN` for a fit under a budget."""
    return {
        "privacy": _budget(private, private.epsilon),
        "privacy_engine": private.engine,
        "buy": private.buy,
        "ledger": private.ledger,
    }


def _budget(private: PrivacySettings, epsilon: float) -> Any:
    from synthkit.privacy.budget import PrivacyBudget

    return PrivacyBudget(
        epsilon,
        private.delta,
        unit=private.unit,
        adjacency=private.adjacency,
        rows_per_unit=private.rows_per_unit,
    )


def _open_ledger(private: PrivacySettings) -> None:
    """Make the ledger with the total of all releases, where there is none yet."""
    from synthkit.privacy.ledger import LedgerFile

    LedgerFile.open_or_create(private.ledger, _budget(private, private.total_epsilon or private.epsilon))


def check_private(recipe: Recipe) -> None:
    """Refuse a fit under a budget that cannot be made, before anything is read.

    Raises
    ------
    PrivacyError
        Something is not declared, or the budget or the ledger does not allow it.
    """
    from synthkit.tables.private import check_private as check

    private = recipe.privacy
    if private is None or recipe.inspect is None or recipe.inspect.schema_file is None:
        return
    schema = with_records(Schema.load(recipe.inspect.schema_file), recipe)
    check(TableGAN(**_private_settings(private)).get_params(), schema)


def _forget_times(report: dict[str, Any]) -> None:
    """Take out of the report of a model how long it took, so that the same fit gives the same file."""
    report.pop("seconds", None)
    for name, text in report.get("stages", {}).items():
        report["stages"][name] = _SECONDS.sub("", str(text))


def _certify(work: Work) -> tuple[dict[str, Made], tuple[GateResult, ...]]:
    """Check a private model against its own ledger and write its certificate."""
    from synthkit.privacy.certificate import certify
    from synthkit.privacy.private_model import PrivateModel
    from synthkit.tables.private_lint import lint

    model = PrivateModel.open(work.place("model.synth"))
    checked = lint(model)
    found = certify(model, lint=checked)
    content = plain_json(found.to_json())
    places = {form: work.place(f"certificate.{form}") for form in ("html", "txt", "json")}
    places["html"].write_text(found.to_html(), encoding="utf-8")
    places["txt"].write_text(found.to_text(), encoding="utf-8")
    write_json(places["json"], content)
    gates = [
        GateResult("fit", f"privacy {one.check}", "not met", f"{one.title}: {one.reason}") for one in checked.failed
    ]
    if not gates:
        said = "; ".join(found.stamps)
        gates = [
            GateResult(
                "fit",
                "privacy certificate",
                "met" if found.holds else "not met",
                said or f"all {len(checked.findings)} checks of the model against its ledger passed",
            )
        ]
    same = undated_hash(content)
    return {f"certificate {form}": Made(place, same) for form, place in places.items()}, tuple(gates)


def undated_hash(content: Mapping[str, Any]) -> str:
    """Return the hash of what a document says, without when and where it was made."""
    return content_hash({name: value for name, value in content.items() if name not in _DATED})


# -------------------- sample


def sample(work: Work) -> Outcome:
    """Draw synthetic rows of the whole law."""
    from synthkit import load

    settings: SampleSettings = work.settings
    model = load(work.path("fit", "model"))
    rows = settings.rows
    if rows == "same":
        # under a budget the true number of rows is not for free
        rows = _public_rows(work, model) if work.recipe.privacy is not None else _training_rows(work)
    place = work.place("table.parquet")
    written = Schema(tuple(column for column in model.schema_ if column.type != "text"))
    with TableWriter(place, written) as writer:
        for batch in model.iter_sample(rows, random_state=work.random.integer("rows")):
            writer.write(batch)
    return Outcome({"table": place}, facts={"rows": rows})


def _training_rows(work: Work) -> int:
    facts = work.inputs["split"].facts if "split" in work.inputs else work.inputs["load"].facts
    return int(facts["train"] if "split" in work.inputs else facts["rows"])


def _public_rows(work: Work, model: TableGAN) -> int:
    """The public number of records, or the noisy one that the fit bought."""
    records = model.schema_.records
    return records if records is not None else int(model.report_["rows"])


# -------------------- balance


def balance(work: Work) -> Outcome:
    """Add synthetic rows of the rarer classes to the rows that may be learned from."""
    from synthkit.balance import balance_table

    settings: BalanceSettings = work.settings
    frame, target = work.training(), str(work.recipe.target)
    by_text = {str(label): label for label in frame[target].dropna().unique()}
    found = balance_table(
        frame,
        target,
        model=work.path("fit", "model"),
        ratio=settings.ratio,
        counts={by_text.get(name, name): rows for name, rows in settings.counts.items()} or None,
        quantiles=settings.quantiles or None,
        random_state=work.random.integer("balance"),
        verbose=work.verbose,
    )
    table = found.frame if settings.mark is None else found.frame.assign(**{settings.mark: found.synthetic})
    report = {name: value for name, value in plain_json(found.report).items() if name != "seconds"}
    place, told = work.place("table.parquet"), work.place("report.json")
    write_table(table, place)
    write_json(told, report)
    return Outcome({"table": place, "report": told}, facts={"rows": len(table), **report})
