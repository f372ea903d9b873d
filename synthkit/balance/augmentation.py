"""What an experiment returns: small records, each value with its interval and what doing nothing gets."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from synthkit.balance.paired import Choice, Difference
from synthkit.plain_json import plain_json

FORMAT = "synthkit-augmentation"
FORMAT_VERSION = 1


@dataclass(frozen=True)
class Outcome:
    """One measure of one model after one treatment.

    Attributes
    ----------
    treatment, model, measure
        Names.
    value, low, high
        Mean over the repeats and its 95 % interval.
    control
        The same measure after doing nothing.
    chance
        What knowing the shares of the classes alone reaches.
    gain
        Difference to doing nothing, positive where the treatment is better whichever way the measure counts; None for
        doing nothing itself.
    values
        The value of each repeat.
    """

    treatment: str
    model: str
    measure: str
    value: float
    low: float
    high: float
    control: float
    chance: float
    gain: Difference | None
    values: tuple[float, ...]


@dataclass(frozen=True)
class TreatmentRun:
    """How a treatment went.

    Attributes
    ----------
    name, title
        Its name on the command line, and for readers.
    added
        Rows that it added to the training rows, mean over the repeats.
    seconds
        Wall time of one treatment, mean over the repeats.
    problem
        Why it was left out, or nothing.
    """

    name: str
    title: str
    added: float = 0.0
    seconds: float = 0.0
    problem: str = ""


@dataclass(frozen=True)
class Recommendation:
    """What to do, with the model that is best after doing it.

    Attributes
    ----------
    treatment, model
        Names.
    reason
        Why, in one sentence.
    """

    treatment: str
    model: str
    reason: str

    def __str__(self) -> str:
        """Return the reason."""
        return self.reason


@dataclass(frozen=True, repr=False)
class AugmentResult:
    """The outcome of an experiment.

    Attributes
    ----------
    target
        The column that was predicted.
    classes
        Its classes as text; empty for a number.
    positive
        Of two classes the one to find; None otherwise.
    metric
        Name of the measure that decides.
    precision
        The fixed precision at which the recall was asked for.
    design
        How rows were drawn for the repeats, in one sentence.
    repeats
        Repeats that were finished.
    asked_repeats
        Repeats that were asked for.
    rows
        Number of real "training" and "test" rows of a repeat.
    treatments
        How each treatment went, from the simplest to the least simple.
    models
        Names of the models.
    outcomes
        Every measure of every model after every treatment.
    choices
        By model: the recommended treatment, and the differences that it rests on.
    recommended
        What to do.
    notes
        What a reader must know, in sentences.
    seed
        Seed of every draw.
    interrupted
        Whether it was stopped before all repeats were done.
    provenance
        Command, versions and hashes of the inputs, where the caller knows them.
    """

    target: str
    classes: tuple[str, ...]
    positive: str | None
    metric: str
    precision: float
    design: str
    repeats: int
    asked_repeats: int
    rows: Mapping[str, int]
    treatments: tuple[TreatmentRun, ...]
    models: tuple[str, ...]
    outcomes: tuple[Outcome, ...]
    choices: Mapping[str, Choice]
    recommended: Recommendation
    notes: tuple[str, ...]
    seed: int
    interrupted: bool = False
    provenance: Mapping[str, Any] = field(default_factory=dict)

    @property
    def helped(self) -> bool:
        """Whether any treatment was significantly better than doing nothing, for any model."""
        return any(choice.helpful for choice in self.choices.values())

    def outcome(self, treatment: str, model: str, measure: str | None = None) -> Outcome:
        """Return one outcome; of the measure that decides without a measure.

        Raises
        ------
        KeyError
            There is none of these names.
        """
        wanted = treatment, model, measure or self.metric
        for one in self.outcomes:
            if (one.treatment, one.model, one.measure) == wanted:
                return one
        raise KeyError(f"there is no outcome of {wanted}")

    def title_of(self, treatment: str) -> str:
        """Return the name of a treatment for readers."""
        return next(run.title for run in self.treatments if run.name == treatment)

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain values that JSON can hold."""
        from synthkit import __version__

        fields: dict[str, Any] = plain_json(dataclasses.asdict(self))
        about = {"format": FORMAT, "format_version": FORMAT_VERSION, "created_with": __version__}
        return about | fields | {"helped": self.helped}

    def to_json(self) -> str:
        """Return `to_dict` as indented JSON text."""
        return json.dumps(self.to_dict(), indent=2, allow_nan=False) + "\n"

    def to_text(self, *, width: int = 100) -> str:
        """Return the tables and what they say in plain words.

        Parameters
        ----------
        width
            Width of the text in characters.
        """
        from synthkit.balance.augment_text import as_text

        return as_text(self, width=width)

    def __str__(self) -> str:
        """Return the readable text."""
        return self.to_text()

    def _repr_html_(self) -> str:
        from synthkit.balance.augment_report import notebook_html

        return notebook_html(self)

    def __repr__(self) -> str:
        """Return what was asked and what is recommended, in one line."""
        found = self.recommended
        return (
            f"AugmentResult({self.target!r}, {self.repeats} repeats, recommended: {found.treatment!r} with the "
            f"{found.model!r} model)"
        )
