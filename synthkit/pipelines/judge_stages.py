"""The stages that judge: evaluate, audit, augment. Their reports stay in the workspace whatever the verdict is."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ValidationError

from synthkit.evaluation.provenance import describe_run
from synthkit.gan.budget import Budget
from synthkit.pipelines.model_stages import undated_hash
from synthkit.pipelines.reading import wrong_entry
from synthkit.pipelines.settings import AuditSettings, AugmentSettings, EvaluateSettings, Recipe
from synthkit.pipelines.work import Made, Outcome, Work
from synthkit.pipelines.workspace import GateResult
from synthkit.plain_json import plain_json

if TYPE_CHECKING:
    from synthkit.auditing.policy import Policy
    from synthkit.evaluation.suite import Suite

_NO_POLICY = "none"
_STATUS = {"pass": "met", "fail": "not met"}
_PLAINER = {
    "extra_forbidden": "unknown key",
    "missing": "this key is missing",
    "tuple_type": "expected a list",
    "model_type": "expected keys and values",
}


# -------------------- evaluate


def evaluate(work: Work) -> Outcome:
    """Judge the sample against the real rows."""
    from synthkit.evaluation import evaluate as judge
    from synthkit.evaluation.metrics import METRICS
    from synthkit.evaluation.report import write_report

    settings: EvaluateSettings = work.settings
    found = judge(
        work.training(),
        work.table("sample"),
        test=work.holdout(),
        target=work.recipe.target,
        # an attacker may want to learn the target; whether a model of it is fair is asked of the other columns
        sensitive=[name for name in work.recipe.sensitive if name != work.recipe.target],
        groups=settings.groups,
        suite=suite_of(work.recipe),
        seed=work.random.integer("evaluate"),
        progress=work.tell,
    )
    found = dataclasses.replace(found, provenance=_origin(work, {"synthetic": work.path("sample", "table")}))
    places = {form: work.place(f"evaluation.{form}") for form in ("json", "html", "md")}
    for place in places.values():
        write_report(found, place)
    gates = tuple(
        GateResult("evaluate", METRICS[one.metric].title, _STATUS.get(one.status, one.status), one.sentence)
        for one in found.verdicts
    )
    return Outcome(
        {("evaluation" if form == "json" else f"report {form}"): place for form, place in places.items()},
        gates,
        facts={"scores": {name: plain_json(score.value) for name, score in found.scores.items()}},
    )


def suite_of(recipe: Recipe) -> Suite:
    """Return the suite of the stage evaluate with the recipe's own gates."""
    from synthkit.evaluation.suite import Suite, load_suite

    settings = recipe.evaluate or EvaluateSettings()
    suite = load_suite(settings.suite)
    own = _own_gates(recipe, "evaluate", Suite, settings.gates)
    metrics = suite.metrics
    if metrics:  # a gate on what is not computed would not apply
        metrics = tuple(dict.fromkeys([*metrics, *(gate.metric for gate in own)]))
    return suite.model_copy(update={"gates": (*suite.gates, *own), "metrics": metrics})


# -------------------- audit


def audit(work: Work) -> Outcome:
    """Attack the sample and hold what it discloses against a policy."""
    from synthkit.auditing.audit import audit as attack
    from synthkit.auditing.manifest import write_manifest
    from synthkit.auditing.report import write_report

    settings: AuditSettings = work.settings
    recipe, policy = work.recipe, policy_of(work.recipe)
    ledger = None if recipe.privacy is None else recipe.privacy.ledger
    model = work.path("fit", "model")
    found = attack(
        work.training(),
        work.table("sample"),
        holdout=work.holdout(),
        policy=policy,
        quasi_identifiers=recipe.quasi_identifiers,
        sensitive=recipe.sensitive,
        person=recipe.person,
        target=recipe.target,
        model=model,
        ledger=ledger,
        shadow=settings.shadow,
        seed=work.random.integer("audit"),
        progress=work.tell,
    )
    inputs = {
        "real": work.path("split", "train"),
        "held-out": work.path("split", "holdout"),
        "synthetic": work.path("sample", "table"),
        "model": model,
    }
    found = dataclasses.replace(found, provenance=_origin(work, inputs))
    # the audit says when it was made, because a policy may say for how long it counts
    same = undated_hash(found.to_dict())
    places = {form: work.place(f"audit.{form}") for form in ("json", "html", "md")}
    for place in places.values():
        write_report(found, place)
    manifest = work.place("audit.manifest.json")
    write_manifest(manifest, tuple(places.values()), found, inputs)
    made = {("audit" if form == "json" else f"report {form}"): Made(place, same) for form, place in places.items()}
    expires = None if policy is None else policy.expires(found.created)
    return Outcome(
        {**made, "manifest": Made(manifest, same)},
        tuple(GateResult("audit", one.gate, one.status, one.sentence) for one in found.verdicts),
        facts={
            "expires": None if expires is None else expires.isoformat(),
            "disclosures": [risk.name for risk in found.disclosures],
        },
    )


def policy_of(recipe: Recipe) -> Policy | None:
    """Return the policy of the stage audit with the recipe's own gates, or None without either."""
    from synthkit.auditing.policy import Policy, load_policy

    settings = recipe.audit or AuditSettings()
    own = _own_gates(recipe, "audit", Policy, settings.gates)
    if settings.policy == _NO_POLICY:
        return Policy(name=recipe.name, gates=own) if own else None
    policy = load_policy(settings.policy)
    taken = {gate.name for gate in policy.gates}
    for position, gate in enumerate(own):
        if gate.name in taken:
            place = ("audit", "gates", position, "name")
            raise wrong_entry(recipe, place, f"the gate {gate.name!r} is there twice, expected another name")
        taken.add(gate.name)
    return policy.model_copy(update={"gates": (*policy.gates, *own)}) if own else policy


# -------------------- augment


def augment(work: Work) -> Outcome:
    """Compare what may help a model with rare classes."""
    from synthkit.balance.augment import augment as compare
    from synthkit.balance.augment_report import write_report

    settings: AugmentSettings = work.settings
    inputs = {"table": work.path("split", "train"), "test": work.path("split", "holdout")}
    found = compare(
        work.training(),
        str(work.recipe.target),
        test=work.holdout(),
        treatments=settings.treatments or None,
        models=settings.models or None,
        repeats=settings.repeats,
        metric=settings.metric,
        max_rows=settings.max_rows,
        time_budget=settings.time_budget,
        random_state=work.random.integer("augment"),
        progress=work.tell,
    )
    if found.interrupted:
        raise KeyboardInterrupt  # fewer repeats than were asked for are another experiment
    found = dataclasses.replace(found, provenance=_origin(work, inputs))
    # the reports tell how long each treatment took, which is not what was found
    same = undated_hash(
        dataclasses.replace(
            found, treatments=tuple(dataclasses.replace(run, seconds=0.0) for run in found.treatments)
        ).to_dict()
    )
    places = {form: work.place(f"augment.{form}") for form in ("json", "html", "md")}
    for place in places.values():
        write_report(found, place)
    slowest = max(run.seconds for run in found.treatments) * found.repeats
    surely_whole = slowest < Budget.parse(settings.time_budget).seconds
    return Outcome(
        {("augment" if form == "json" else f"report {form}"): Made(place, same) for form, place in places.items()},
        facts={"recommended": found.recommended.treatment, "reason": found.recommended.reason, "helped": found.helped},
        unrepeatable=""
        if surely_whole
        else f"a fit may have been cut short by its time budget of {settings.time_budget}",
    )


# -------------------- what they share


def check_judges(recipe: Recipe) -> None:
    """Refuse suites, policies and gates that cannot be read, before anything runs."""
    if recipe.evaluate is not None:
        suite_of(recipe)
    if recipe.audit is not None:
        policy_of(recipe)


def _origin(work: Work, inputs: Mapping[str, Path]) -> dict[str, Any]:
    """Return where a report comes from; without a time, so that the same run writes the same report."""
    found = describe_run(["synthkit", "run", work.recipe.name], inputs, seed=work.recipe.seed)
    return {name: value for name, value in found.items() if name != "created"}


def _own_gates(recipe: Recipe, stage: str, kind: type[BaseModel], gates: Sequence[Mapping[str, Any]]) -> Any:
    """Return the gates that the recipe adds to a suite or policy, checked as that would check them."""
    try:
        checked: Any = kind.model_validate({"name": recipe.name, "gates": [dict(gate) for gate in gates]})
        return checked.gates
    except ValidationError as error:
        first = sorted(error.errors(), key=lambda entry: entry["type"] != "extra_forbidden")[0]
        place = tuple(part for part in first["loc"] if not str(part).startswith("gate on "))
        message = _PLAINER.get(first["type"], first["msg"].removeprefix("Value error, "))
        raise wrong_entry(recipe, (stage, *place), message) from error
