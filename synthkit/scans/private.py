"""Between `ScanGAN` and a fit under a privacy budget: what is declared, the plan, the ledger, what the file tells."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from synthkit.errors import InputError, PrivacyError, unknown_name
from synthkit.gan.budget import Budget
from synthkit.gan.images.recipe import Recipe
from synthkit.privacy.budget import ROW, PrivacyBudget
from synthkit.privacy.events import EMBEDDING
from synthkit.privacy.ledger import Ledger, LedgerFile
from synthkit.privacy.noise import NoiseSource
from synthkit.privacy.private_model import FORMAT_VERSION
from synthkit.privacy.scan_plan import (
    AUTO,
    CRITIC,
    SCAN_ENGINES,
    CriticPlan,
    ScanReleasePlan,
    plan_scan_release,
)
from synthkit.privacy.wording import PATIENT, SCAN
from synthkit.scans.domain import ScanDomain
from synthkit.scans.plan import ScanPlan
from synthkit.scans.private_pace import private_pace

UNITS = (PATIENT, SCAN)
_WIDTHS = (96, 48, 24)  # of the generator, from coarse to fine: what noise allows to learn needs no more
_WHOLE = 32  # samples along the longest axis up to which a generator makes every sample by itself

# settings of a `ScanGAN` that would read scans outside the budget, and the value that does not
_WITHOUT: dict[str, tuple[object, str]] = {
    "class_balance": (False, "would draw rare scans more often than was accounted"),
    "flip": (False, "is not part of the private critic"),
    "validation_share": ("auto", "would choose by scans that are held out, which is one more release"),
    "paired": (False, "is for translation, which has no private fit"),
    "loss": (None, "belongs to the open fit; the private critic has a loss of its own"),
}


@dataclass(frozen=True)
class PrivateScanSettings:
    """How a budget for scans is to be spent.

    Attributes
    ----------
    budget
        Epsilon, delta and adjacency; its unit is "patient" or "scan".
    engine
        One of `SCAN_ENGINES`.
    domain
        What is declared.
    recipe
        Of the generator, without what looks at real scans outside the budget.
    critic
        Size of DP-SGD.
    match
        Steps of the generator against the embedding.
    ledger
        File of releases from the same scans, or None.
    reproducible_noise
        Seed of the noise for tests, or None for the operating system's; with a seed nothing is private.
    """

    budget: PrivacyBudget
    engine: str
    domain: ScanDomain
    recipe: Recipe
    critic: CriticPlan
    match: int
    ledger: Path | None = None
    reproducible_noise: int | None = None

    def plan(self) -> ScanReleasePlan:
        """What a fit will read, with which noise; nothing is read for it."""
        return plan_scan_release(self.budget, records=self.domain.records, engine=self.engine, critic=self.critic)


def private_recipe(recipe: Recipe, size: tuple[int, ...], widths: tuple[int, ...] | None = None) -> Recipe:
    """Return a recipe without what looks at real scans outside the budget, with a small generator.

    No spread within a batch, no augmentation that adapts to real scores, no former fakes, no anchor, which would place
    the noise of each class by its scans, and no tones, which would read their values. Small scans keep the
    channels of their finest level.
    """
    own = widths or _WIDTHS
    return recipe.changed(
        spread=False,
        pool=0,
        augment=replace(recipe.augment, flip=False, probability=0.0),
        penalties=(),
        spectral=False,
        anchor=0.0,
        tones=False,
        auxiliary=(),
        patch=1 if max(size) <= _WHOLE else recipe.patch,
        widths_2d=own,
        widths_3d=own,
    )


def unit_of(budget: PrivacyBudget, *, patients: bool) -> PrivacyBudget:
    """Return a budget for scans, whose unit is the patient wherever patients are known.

    Parameters
    ----------
    budget
        Of the unit "patient" or "scan", or of a table's usual unit, which stands for whichever of them there is.
    patients
        Whether it is known whose each scan is.

    Raises
    ------
    PrivacyError
        Another unit, or patients that are not known.
    """
    if budget.unit == ROW:
        return replace(budget, unit=PATIENT if patients else SCAN)
    if budget.unit not in UNITS:
        raise PrivacyError(
            unknown_name("unit of privacy for scans", budget.unit, UNITS),
            remedy="Protect 'patient' (all scans of one), or 'scan' where each is somebody else's.",
        )
    if budget.unit == PATIENT and not patients:
        raise PrivacyError(
            "the budget protects patients, and nothing says whose each scan is",
            remedy="Give patients (DICOM has them; a CSV of labels can), or protect each scan with the unit 'scan'.",
        )
    if budget.unit == SCAN and budget.rows_per_unit != 1:
        raise PrivacyError(
            f"the unit of privacy is a scan, but {budget.rows_per_unit} scans per unit were asked for",
            remedy="Protect the unit 'patient', or leave the scans per patient out.",
        )
    return budget


def private_settings(
    settings: Mapping[str, Any],
    plan: ScanPlan,
    *,
    patients: bool,
    channels: int = 1,
    axes: int = 2,
    modality: str = "OT",
    units: str = "",
    whole: bool = True,
) -> PrivateScanSettings:
    """Check all about a fit under a budget that can be checked before any scan is looked at.

    Parameters
    ----------
    settings
        Those of a `ScanGAN`.
    plan
        The same, checked.
    patients, channels, axes, modality, units, whole
        Form of the scans: whether patients are known, channels, axes, modality, units, and whether values are whole.

    Raises
    ------
    PrivacyError
        Something is not declared, would be read outside the budget, or has no private fit.
    InputError
        A setting that makes no sense.
    """
    budget = settings["privacy"]
    if not isinstance(budget, PrivacyBudget):
        raise InputError(
            f"privacy is {budget!r}, expected a PrivacyBudget", remedy="PrivacyBudget(epsilon=10, delta=1e-6)"
        )
    if settings["privacy_engine"] not in SCAN_ENGINES:
        raise PrivacyError(unknown_name("privacy engine for scans", str(settings["privacy_engine"]), SCAN_ENGINES))
    for name, (without, why) in _WITHOUT.items():
        if settings.get(name, without) != without:
            raise PrivacyError(f"{name}={settings[name]!r} under a privacy budget {why}", remedy=f"leave {name} out")
    recipe = plan.chosen_recipe()
    if recipe.family != "noise":
        raise PrivacyError(
            f"the recipe {recipe.name!r} starts from scans, and only recipes that start from noise have a private fit",
            remedy="choose r3, stylegan, sagan, wgan-gp, wgan, dcgan, cgan or vanilla",
        )
    classes, counts = declared_classes(settings.get("classes"))
    domain = ScanDomain(
        size=_declared_size(plan, axes),
        window=_declared_window(plan),
        records=_declared_records(settings.get("records"), counts),
        classes=classes if recipe.conditional else (),
        counts=counts if recipe.conditional else (),
        channels=channels,
        modality=modality,
        units=units,
        whole=whole,
    )
    own = private_recipe(recipe, domain.size, plan.widths)
    engine = AUTO if settings["privacy_engine"] == "auto" else settings["privacy_engine"]
    batch = plan.batch or CriticPlan().batch
    seconds = Budget.parse(settings.get("time_budget")).seconds
    pace = private_pace(domain, own, engine, seconds, batch, plan.device)
    size = CriticPlan(steps=plan.steps or max(pace.critic, 1), batch=batch)
    path = settings.get("ledger")
    return PrivateScanSettings(
        unit_of(budget, patients=patients),
        engine,
        domain,
        own,
        size,
        pace.match,
        None if path is None else Path(path),
        settings.get("reproducible_noise"),
    )


def declared_classes(value: object) -> tuple[tuple[str, ...], tuple[int, ...]]:
    """Return declared classes and, where they are public, numbers of units of each.

    Parameters
    ----------
    value
        Names, names with numbers, or None for no classes.
    """
    if value is None:
        return (), ()
    if isinstance(value, Mapping):
        return tuple(map(str, value)), tuple(value.values())
    if isinstance(value, str) or not isinstance(value, Sequence):
        raise InputError(f"classes is {value!r}, expected names", remedy='Give for example ("benign", "malignant").')
    return tuple(map(str, value)), ()


def _declared_size(plan: ScanPlan, axes: int) -> tuple[int, ...]:
    if isinstance(plan.size, str):
        raise PrivacyError(
            f"size={plan.size!r} takes the size from the scans, and under a privacy budget it is declared",
            remedy="give the samples along each axis, such as size=(64, 64), or --size 64x64",
        )
    return plan.size_for((0,) * axes)


def _declared_window(plan: ScanPlan) -> tuple[float, float]:
    if plan.window is None:
        raise PrivacyError(
            "the range of intensities is not declared, and a window that is read from the scans (percentiles, smallest "
            "and largest value) tells of them",
            remedy="give window=(low, high) in real units, or --intensity LOW..HIGH: 0..255 for 8 bits, -1024..3071 "
            "for CT",
        )
    return plan.window


def _declared_records(value: object, counts: tuple[int, ...]) -> int:
    if value is None and counts:
        return sum(counts)
    if value is None:
        raise PrivacyError(
            "the public number of patients is not declared, and a budget must not count them for free",
            remedy="give records=N or --records N: patients, or scans where each is a unit; a rounded number will do",
        )
    return value  # type: ignore[return-value]  # the domain refuses what is no number


def check_ledger(settings: PrivateScanSettings, plan: ScanReleasePlan) -> None:
    """Refuse a plan that the ledger file has no room for, before anything is read.

    Raises
    ------
    PrivacyError
        The releases so far leave too little, or the ledger keeps another unit.
    """
    if settings.ledger is not None and settings.ledger.exists():
        file = LedgerFile(settings.ledger)
        before = Ledger(settings.budget, data=file.data, before=file.releases, total=file.total)
        before.plan(tuple(plan.events.values()))


def open_ledger(settings: PrivateScanSettings, plan: ScanReleasePlan) -> AbstractContextManager[Ledger]:
    """Return a ledger of this fit alone, or the next release of a ledger file."""
    events = tuple(plan.events.values())
    if settings.ledger is not None:
        return LedgerFile.open_or_create(settings.ledger, settings.budget).release(settings.budget, events)
    ledger = Ledger(settings.budget)
    ledger.plan(events)
    return nullcontext(ledger)


def privacy_record(
    settings: PrivateScanSettings,
    plan: ScanReleasePlan,
    ledger: Ledger,
    noise: NoiseSource,
    embedding: Mapping[str, Any] | None,
    critic: Mapping[str, Any] | None,
) -> dict[str, Any]:
    """Return what the model file tells of its budget; the certificate and the linter read it.

    Parameters
    ----------
    settings, plan, ledger, noise
        Of the fit.
    embedding
        Shape of the release, or None.
    critic
        What the critic was made of, or None.
    """
    from synthkit import __version__

    event = plan.events.get(CRITIC)
    return {
        "format_version": FORMAT_VERSION,
        "ledger": ledger.to_json(),
        "engine": plan.engine,
        "unit": plan.budget.unit,
        "records": plan.records,
        "bought": {"records": False, "bins": [], "categories": []},
        "declared": {
            "domain": settings.domain.to_dict(),
            "domain_sha256": settings.domain.sha256,
            "embedding": embedding if EMBEDDING in plan.events else None,
            "critic": critic if event is not None else None,
        },
        "noise": {"private": noise.is_private},
        "critic": event and {"sampling_probability": event.sampling_probability, "steps": event.count},
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "versions": {"synthkit": __version__},
    }
