"""One call from real, held-out and synthetic rows to risks with controls, a policy's verdict and who is exposed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from synthkit.auditing.attack import Attack, Need
from synthkit.auditing.attacks import ATTACKS
from synthkit.auditing.case import AuditCase, AuditLimits, ShadowModels
from synthkit.auditing.exposure import find_exposure
from synthkit.auditing.guarantee import read_guarantee
from synthkit.auditing.intervals import FAMILY, adjusted
from synthkit.auditing.reading import Asked, ReadTables, read_tables, row_hashes
from synthkit.auditing.records import Estimate, Risk, not_applicable
from synthkit.auditing.result import Audit
from synthkit.errors import InputError
from synthkit.evaluation.metrics import METRICS
from synthkit.evaluation.records import Score
from synthkit.evaluation.threads import few_threads

if TYPE_CHECKING:
    from synthkit.auditing.policy import Policy

FEWEST_SHADOWS = 4
_UTILITY = ("shape_err", "trend_err", "tstr", "trtr")
_NEEDED: dict[Need, str] = {
    "holdout": "held-out rows that the generator never saw (--holdout)",
    "sensitive": "a sensitive column (--sensitive)",
    "quasi-identifiers": "quasi-identifiers (--quasi-identifiers)",
    "known columns": "at least two columns",
    "shadow models": "the model and a number of shadow models (--model, --shadow)",
}


def audit(
    real: pd.DataFrame,
    synthetic: pd.DataFrame,
    *,
    holdout: pd.DataFrame | None = None,
    policy: str | Path | Policy | None = None,
    quasi_identifiers: Sequence[str] = (),
    sensitive: Sequence[str] = (),
    person: str | None = None,
    target: str | None = None,
    model: str | Path | None = None,
    ledger: str | Path | None = None,
    shadow: int = 0,
    seed: int = 0,
    raw_rows: bool = False,
    limits: AuditLimits | None = None,
    progress: Callable[[str], None] | None = None,
) -> Audit:
    """Attack a synthetic table, whoever made it, and hold what is found against a policy.

    Parameters
    ----------
    real
        The rows that the generator learned from.
    synthetic
        The released table, with the same columns in any order.
    holdout
        Rows of the same source that the generator never saw. Without them no attack has a control: all are refused,
        and the result says so.
    policy
        Gates: the name of a policy that comes with the package, a YAML file, or a `Policy`. None for no verdict.
    quasi_identifiers
        Columns that an attacker may know of a person from elsewhere.
    sensitive
        Columns that an attacker wants to learn.
    person
        Column that names the person of a row: each person is then one target.
    target
        Column that the utility scores predict.
    model
        File of the model that made the release: its privacy ledger is read and checked, and with `shadow` its settings
        are fitted again.
    ledger
        Ledger file of the data, for the epsilon of all releases together.
    shadow
        Number of shadow models for the membership of the most exposed records; needs `model`. 0 for none.
    seed
        Seed of every draw; the same tables and seed give the same audit.
    raw_rows
        Whether the most exposed training rows themselves are in the result.
    limits
        At most how many rows are looked at.
    progress
        Is told the title of each attack before it is made.

    Returns
    -------
    Audit
        A risk for each attack with interval, baseline, positive and negative control; verdicts of the policy.

    Raises
    ------
    SchemaError
        Columns differ, or an option names an unknown one.
    DataError
        A table is too small, or the held-out rows are training rows.
    InputError
        The policy cannot be read, or options contradict each other.

    Notes
    -----
    Attacks show what some attackers can do, never what none can. What proves the latter is a privacy budget
    (`docs/explanation/privacy.md`).

    Examples
    --------
    >>> import numpy as np, pandas as pd
    >>> rng = np.random.default_rng(0)
    >>> people = pd.DataFrame({"x": rng.normal(size=600), "y": rng.normal(size=600)})
    >>> found = audit(people[:300], people[:300], holdout=people[300:])
    >>> found["nearest"].outcome
    'disclosure'
    """
    from synthkit.auditing.policy import Policy, load_policy

    gates = policy if policy is None or isinstance(policy, Policy) else load_policy(policy)
    if shadow < 0:
        raise InputError(f"the number of shadow models is {shadow}, expected at least 0", remedy="give --shadow 0")
    if shadow and model is None:
        raise InputError("shadow models need the model whose settings they repeat", remedy="give --model MODEL")
    guarantee, about_model = read_guarantee(model, ledger)
    asked = Asked(tuple(quasi_identifiers), tuple(sensitive), person, target)
    tables = read_tables(real, synthetic, holdout, asked, seed=seed, limits=limits)
    tell = progress or (lambda title: None)
    notes = [*tables.notes, *about_model]
    with few_threads(max(len(real), len(synthetic))):
        case = tables.case
        if case is not None and shadow and model is not None:
            case = replace(case, shadow=shadow_models(model, shadow, tell))
        risks = attack_all(case, tell)
        exposure = None
        if case is not None:
            exposure = find_exposure(case, risks, raw_rows=raw_rows, original=real.iloc[tables.members])
            notes += _other_source(risks)
        else:
            notes.append(_copies(tables))
        tell("utility")
        utility = _utility(tables, target)
    result = Audit(
        risks=risks,
        exposure=exposure,
        guarantee=guarantee,
        utility=utility,
        rows={
            "real": len(real),
            "held-out": 0 if holdout is None else len(holdout),
            "synthetic": len(synthetic),
            "targets": 0 if tables.case is None else len(tables.case.members),
        },
        left_out=tables.left_out,
        quasi_identifiers=asked.quasi_identifiers,
        sensitive=asked.sensitive,
        person=person,
        target=target,
        overlap=tables.overlap,
        seed=seed,
        confidence=FAMILY,
        notes=tuple(notes),
        created=datetime.now(UTC).isoformat(timespec="seconds"),
    )
    if gates is None:
        return result
    return replace(result, policy=gates.to_dict(), verdicts=gates.verdicts(result))


def attack_all(
    case: AuditCase | None, tell: Callable[[str], None], attacks: Iterable[Attack] | None = None
) -> dict[str, Risk]:
    """Make attacks on a release and on both controls.

    Parameters
    ----------
    case
        The release; None without held-out rows, when no attack has a control.
    tell
        Is told the title of each attack.
    attacks
        Which; all of them by default.

    Returns
    -------
    dict
        Risk by name, judged.
    """
    chosen = tuple(ATTACKS.values()) if attacks is None else tuple(attacks)
    if case is None:
        lacking = f"It needs {_NEEDED['holdout']}: without them nobody can tell a leak from a likeness."
        return {attack.name: not_applicable(attack.name, lacking) for attack in chosen}
    intervals: dict[str, int] = {}
    for attack in chosen:
        if _lacks(attack, case) is not None:
            continue
        together = len(attack.subjects(case)) * len(attack.measures)
        intervals[attack.family] = intervals.get(attack.family, 0) + together
    negative = case.negative_control()
    leaky = {noise: case.positive_control(noise) for noise in {attack.control_noise for attack in chosen}}
    risks: dict[str, Risk] = {}
    for attack in chosen:
        missing = _lacks(attack, case)
        if missing is not None:
            risks[attack.name] = not_applicable(attack.name, f"It needs {_NEEDED[missing]}.")
            continue
        tell(attack.title)
        level = adjusted(FAMILY, intervals[attack.family])
        own, caught, missed = (
            attack.run(replace(part, confidence=level)) for part in (case, leaky[attack.control_noise], negative)
        )
        for risk in own:
            judged = risk.judged(_matching(caught, risk.subject), _matching(missed, risk.subject))
            risks[judged.name] = judged
    return risks


def shadow_models(model: str | Path, models: int, tell: Callable[[str], None]) -> ShadowModels:
    """Return how a generator can be fitted again with its settings.

    Parameters
    ----------
    model
        Its file. A model under a budget is fitted again under the same budget, with the schema that was declared.
    models
        How many times.
    tell
        Is told of each fit.

    Raises
    ------
    InputError
        There are too few to have each target in one and out of another, or the model protects persons with several
        rows: shadow models do not see whose row is whose.
    ModelFileError
        The file is no model of a table.
    """
    if models < FEWEST_SHADOWS:
        raise InputError(
            f"the number of shadow models is {models}, expected at least {FEWEST_SHADOWS}",
            remedy="each target is in one half of them and out of the other",
        )
    from synthkit.privacy.budget import ROW
    from synthkit.tables.gan import TableGAN

    fitted = TableGAN.load(model)
    settings = fitted.get_params() | {"verbose": False, "log": None, "ledger": None}
    declared = None if fitted.privacy is None else fitted.schema_
    if fitted.privacy is not None and fitted.privacy.unit != ROW:
        raise InputError(
            f"the model protects the rows of one {fitted.privacy.unit!r} together, and shadow models are made for "
            "single rows",
            remedy="give --shadow 0; the other attacks can be made",
        )

    def release(frame: pd.DataFrame, rows: int, number: int) -> pd.DataFrame:
        tell(f"shadow model {number + 1} of {models}")
        schema = declared
        if schema is not None:
            schema = schema.only(column.name for column in schema if column.name in frame)
        again = TableGAN(**(settings | {"random_state": number})).fit(frame, schema=schema)
        return again.sample(rows, random_state=number)

    return ShadowModels(models, release)


def _matching(risks: Sequence[Risk], subject: str) -> Estimate | None:
    """The deciding measure of a control on the same subject."""
    return next((risk.headline for risk in risks if risk.subject == subject), None)


def _lacks(attack: Attack, case: AuditCase) -> Need | None:
    """What an attack needs and the case does not have."""
    given: dict[Need, bool] = {
        "holdout": True,
        "sensitive": bool(case.sensitive),
        "quasi-identifiers": bool(case.quasi_identifiers),
        "known columns": len(case.view.columns) > 1,
        "shadow models": case.shadow is not None,
    }
    return next((need for need in attack.needs if not given[need]), None)


def _other_source(risks: Mapping[str, Risk]) -> list[str]:
    """Whether held-out rows lie nearer to other held-out rows than real ones do, which needs no release to be seen."""
    control = risks["nearest"].negative
    if control is None or not control.high < control.baseline:
        return []
    return [
        "The held-out rows lie nearer to one another than the real rows lie to them: the two tables are not of the "
        "same source. An attack may take that difference for a leak, or overlook a leak because of it."
    ]


def _copies(tables: ReadTables) -> str:
    """What can be told without held-out rows: how many synthetic rows are real ones."""
    synthetic, train = row_hashes(tables.scored.synthetic.coded), row_hashes(tables.scored.train.coded)
    copies = int(pd.Series(synthetic).isin(train).sum())
    return (
        f"{copies:,} of {len(synthetic):,} synthetic rows equal a real row; without held-out rows nobody can tell how "
        "many would by chance."
    )


def _utility(tables: ReadTables, target: str | None) -> dict[str, Score]:
    """A few scores of how good the release is: privacy alone is easy."""
    case = replace(tables.scored, groups=())
    without_holdout = tables.case is None
    names = [name for name in _UTILITY if METRICS[name].wants(case) is None]
    if without_holdout:
        # models cannot be tested on rows that they learned from
        names = [name for name in names if METRICS[name].theme == "fidelity"]
        return {name: METRICS[name].compute(case) for name in names}
    return {name: METRICS[name].score(case) for name in names}
