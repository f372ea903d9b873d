"""What a recipe may say: one frozen model per stage, and the recipe that holds them.

Nothing heavy is imported here: a run that has nothing to do must end in a second. Names of suites, policies and gates
are therefore checked by their own readers, before any stage runs.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, PrivateAttr, model_validator

from synthkit.errors import InputError
from synthkit.gan.budget import Budget

FORMAT_VERSION = 1
STAGES = ("load", "split", "inspect", "fit", "sample", "balance", "augment", "evaluate", "audit", "publish")
"""Every stage, in the only order in which they run."""
NEEDS: Mapping[str, tuple[str, ...]] = {
    "sample": ("fit",),
    "balance": ("fit",),
    "augment": ("split",),
    "evaluate": ("sample",),
    "audit": ("sample", "split"),
}
"""Stages without which a stage has nothing to work on; the table is always loaded."""
_WHY = {
    "sample": "it draws from the model",
    "balance": "it draws from the model",
    "augment": "it judges on held-out rows",
    "evaluate": "it judges the sample",
    "audit": "without held-out rows no attack on the sample has a control",
}


def _name(value: Any) -> Any:
    """Take a whole number for the name of a column: 2020 is one without quotes."""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _named(value: Any) -> Any:
    """Take the keys of a mapping as the text that they are in a table."""
    return {str(key): entry for key, entry in value.items()} if isinstance(value, Mapping) else value


def _listed(value: Any) -> Any:
    """Take a single name for a list of one."""
    return (value,) if isinstance(value, str | int) and not isinstance(value, bool) else value


def _duration(value: str | float | None) -> str | float | None:
    """Refuse what is no time budget."""
    try:
        Budget.parse(value)
    except InputError as error:
        raise ValueError(str(error).rstrip(".")) from error
    return value


ColumnName = Annotated[str, BeforeValidator(_name), Field(min_length=1)]
Columns = Annotated[tuple[ColumnName, ...], BeforeValidator(_listed), Field(strict=False)]
Words = Annotated[tuple[str, ...], BeforeValidator(_listed), Field(strict=False)]
TimeBudget = Annotated[str | float | None, AfterValidator(_duration)]
Gates = Annotated[tuple[dict[str, Any], ...], Field(strict=False)]


class Settings(BaseModel):
    """What all parts of a recipe have in common: no other keys, no conversions, no changes afterwards."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, use_attribute_docstrings=True)


class LoadSettings(Settings):
    """Read the table."""

    columns: Columns = ()
    """Only these columns, in this order; all of them when left out."""


class SplitSettings(Settings):
    """Hold rows out: the generator never sees them."""

    test: float = Field(default=0.2, gt=0, lt=1)
    """Share of the rows that is held out."""
    stratify: bool = True
    """Keep the shares of the classes of the target. Not done under a privacy budget, and where there is no class."""


class InspectSettings(Settings):
    """Describe the columns."""

    schema_file: str | None = Field(default=None, alias="schema")
    """A schema that a person has reviewed, instead of a proposed one; a privacy budget needs one."""
    columns: Annotated[dict[str, dict[str, Any]], BeforeValidator(_named)] = {}
    """Fields of columns to set by hand in a proposed schema, such as {zip: {type: categorical}}."""


class PrivacySettings(Settings):
    """Budget of differential privacy of a fit."""

    epsilon: float = Field(gt=0)
    """Budget of this fit."""
    delta: float = Field(gt=0, lt=1)
    """Chance that the guarantee fails; at most 1 / (10 x records)."""
    ledger: str
    """File of all releases from this data, kept outside of the workspace: it must outlive it."""
    total_epsilon: float | None = Field(default=None, gt=0)
    """What all releases from this data may spend, if the ledger has to be made; epsilon when left out."""
    unit: ColumnName = "row"
    """The column that names the person; "row" where each row is one."""
    rows_per_unit: int = Field(default=1, ge=1)
    """Rows of one person that are used."""
    adjacency: Literal["add-remove", "replace-one"] = "add-remove"
    """What neighbouring tables are."""
    records: int | None = Field(default=None, ge=1)
    """The public number of records of the whole table, if the schema has none."""
    buy: Annotated[tuple[Literal["records", "categories"], ...], BeforeValidator(_listed), Field(strict=False)] = ()
    """What is bought from the budget instead of declared."""
    engine: Literal["auto", "anchor", "dp-sgd", "hybrid"] = "auto"
    """What the budget is spent on."""


class FitSettings(Settings):
    """Fit a generator to the rows that are not held out."""

    time_budget: TimeBudget = "5m"
    """The most time to take: 90s, 2m, 1h; null for no limit. A fit that it cuts short cannot be repeated exactly."""
    generator: Literal["codes", "network"] = "codes"
    """Latent codes, or the classical conditional GAN."""
    loss: Literal["relativistic", "wgan-gp", "wgan", "vanilla"] = "relativistic"
    """What the adversary is trained with."""
    adversary: Literal["auto", "on", "off"] = "auto"
    """Whether a critic challenges the generator."""
    refine: bool = True
    """Whether generated rows are moved by a boosted density ratio."""
    n_codes: Annotated[int, Field(ge=1)] | Literal["auto"] = "auto"
    """Number of latent codes."""
    device: str = "cpu"
    """Where to train."""
    privacy: PrivacySettings | None = None
    """A privacy budget; none when left out."""


class SampleSettings(Settings):
    """Draw synthetic rows."""

    rows: Annotated[int, Field(ge=1)] | Literal["same"] = "same"
    """How many; as many as the generator learned from when left out."""


class BalanceSettings(Settings):
    """Add synthetic rows of the rarer classes to the rows that are not held out."""

    ratio: float | None = Field(default=None, gt=0, le=1)
    """Size of every class against the largest; 1 when left out."""
    counts: Annotated[dict[str, Annotated[int, Field(ge=1)]], BeforeValidator(_named)] = {}
    """Rows of each class instead of a ratio."""
    quantiles: Annotated[tuple[float, ...], Field(strict=False)] = ()
    """Cuts a numeric target into ranges that are balanced as classes are: [0.1, 0.9] fills both ends up."""
    mark: ColumnName | None = None
    """Name of a column to add that says which rows are synthetic."""

    @model_validator(mode="after")
    def _one_wish(self) -> BalanceSettings:
        if self.ratio is not None and self.counts:
            raise ValueError("ratio and counts both say how many rows are wanted, expected one of them")
        return self


class AugmentSettings(Settings):
    """Compare what may help a model with rare classes: weights, over-sampling, SMOTE, synthetic rows, nothing."""

    treatments: Words = ()
    """Which treatments; all of them when left out."""
    models: Words = ()
    """Which models; linear, forest and boosted when left out."""
    repeats: int = Field(default=5, ge=2)
    """How often each treatment is tried."""
    metric: str | None = None
    """The measure that decides; average precision when left out, or r2 for a numeric target."""
    max_rows: Annotated[int, Field(ge=10)] | None = 50_000
    """Most rows that are used, drawn at random by class; null for all."""
    time_budget: TimeBudget = "2m"
    """The most time for each fit of a generator."""


class EvaluateSettings(Settings):
    """Judge the sample against the real rows."""

    suite: str = "standard"
    """Metrics and gates: standard, quick, scores-only or a YAML file."""
    groups: Columns = ()
    """Compare margins within the values of these columns."""
    gates: Gates = ()
    """Further gates, written as in a suite."""


class AuditSettings(Settings):
    """Attack the sample and hold what it discloses against a policy."""

    policy: str = "internal-test-data"
    """internal-test-data, research-sharing, public-release, a YAML file, or none."""
    gates: Gates = ()
    """Further gates, written as in a policy."""
    shadow: int = Field(default=0, ge=0)
    """Number of shadow models; slow."""


class PublishSettings(Settings):
    """Copy what may leave, once every gate is met."""

    to: str | None = None
    """Where the table goes: a file, or the address of a table in a data base."""
    table: Literal["auto", "balance", "sample"] = "auto"
    """Which table: the balanced one where there is one, else the sample."""
    holdout: str | None = None
    """Where the held-out real rows go, for whoever tests a model on them."""
    model: str | None = None
    """Where the model file goes."""
    certificate: str | None = None
    """Where the certificate of privacy goes: .html, .txt or .json."""
    reports: str | None = None
    """Folder for the reports."""
    overwrite: bool = False
    """Replace files that this workspace did not publish."""


def _wanted(value: Any) -> Any:
    """Read ``stage:`` and ``stage: true`` as the stage with its usual settings, ``stage: false`` as without it."""
    if value is None or value is True:
        return {}
    return None if value is False else value


class Recipe(Settings):
    """A pipeline: what is read, which stages run with which settings, and what is published."""

    version: Literal[1]
    """Version of this format."""
    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=100)
    """What the recipe is called, and its folder in runs/."""
    description: str = ""
    """What it is for."""
    data: str | None = None
    """The table: a file, a folder of Parquet files, or an address such as sqlite:///people.db?table=people."""
    target: ColumnName | None = None
    """The column that is predicted from the others."""
    sensitive: Columns = ()
    """Columns that an attacker wants to learn."""
    quasi_identifiers: Columns = ()
    """Columns that an attacker may know of a person."""
    person: ColumnName | None = None
    """The column that names the person, where persons have several rows."""
    seed: int = Field(default=0, ge=0)
    """Seed of every draw; noise for privacy never depends on it."""
    load: Annotated[LoadSettings, BeforeValidator(_wanted)] = LoadSettings()
    split: Annotated[SplitSettings | None, BeforeValidator(_wanted)] = None
    inspect: Annotated[InspectSettings | None, BeforeValidator(_wanted)] = None
    fit: Annotated[FitSettings | None, BeforeValidator(_wanted)] = None
    sample: Annotated[SampleSettings | None, BeforeValidator(_wanted)] = None
    balance: Annotated[BalanceSettings | None, BeforeValidator(_wanted)] = None
    augment: Annotated[AugmentSettings | None, BeforeValidator(_wanted)] = None
    evaluate: Annotated[EvaluateSettings | None, BeforeValidator(_wanted)] = None
    audit: Annotated[AuditSettings | None, BeforeValidator(_wanted)] = None
    publish: Annotated[PublishSettings | None, BeforeValidator(_wanted)] = None

    _origin: object = PrivateAttr(default=None)  # the text that it was read from, for errors that come later

    @property
    def stages(self) -> tuple[str, ...]:
        """The stages that it wants, in the order in which they run."""
        return tuple(name for name in STAGES if getattr(self, name) is not None)

    @property
    def privacy(self) -> PrivacySettings | None:
        """The privacy budget of the fit, or None."""
        return None if self.fit is None else self.fit.privacy

    @model_validator(mode="after")
    def _complete(self) -> Recipe:
        for stage, needed in NEEDS.items():
            missing = [name for name in needed if getattr(self, stage) is not None and getattr(self, name) is None]
            if missing:
                raise ValueError(f"the stage {stage} needs the stage {missing[0]}, for {_WHY[stage]}")
        self._check_target()
        self._check_privacy()
        if self.publish is not None:
            self._check_published(self.publish)
        return self

    def _check_target(self) -> None:
        for stage in ("balance", "augment"):
            if getattr(self, stage) is not None and self.target is None:
                raise ValueError(f"the stage {stage} needs a target, the column of classes (--set target=COLUMN)")

    def _check_privacy(self) -> None:
        if self.privacy is None:
            return
        if self.inspect is None or self.inspect.schema_file is None:
            raise ValueError(
                "a privacy budget needs a declared schema (--set inspect.schema=FILE): an inferred one reads the data"
            )
        for stage in ("balance", "augment"):
            if getattr(self, stage) is not None:
                raise ValueError(f"the stage {stage} works on real rows, and no privacy budget covers what it makes")

    def _check_published(self, publish: PublishSettings) -> None:
        tables = {"balance": self.balance, "sample": self.sample}
        if publish.table != "auto" and tables[publish.table] is None:
            raise ValueError(f"publish.table is {publish.table}, and there is no stage {publish.table}")
        needed: dict[str, tuple[bool, str]] = {
            "to": (any(one is not None for one in tables.values()), "a stage that makes a table: sample or balance"),
            "holdout": (self.split is not None, "the stage split"),
            "model": (self.fit is not None, "the stage fit"),
            "certificate": (self.privacy is not None, "fit.privacy"),
            "reports": (
                any((self.evaluate, self.audit, self.augment)),
                "a stage that reports: evaluate, audit, augment",
            ),
        }
        for key, (there, what) in needed.items():
            if getattr(publish, key) is not None and not there:
                raise ValueError(f"publish.{key} needs {what}")
        if publish.holdout is not None and self.privacy is not None:
            raise ValueError("publish.holdout would publish real rows, and no privacy budget covers them")
