"""Events: every touch of private data, described so that an accountant can add it up.

Conventions, which the accounting relies on:

- The noise multiplier of a **Gaussian** event is the standard deviation of the noise divided by the L2 sensitivity of
  the query *under the adjacency of the budget*. Who plans the event works the sensitivity out (a histogram of rows: 1
  for "add-remove", sqrt(2) for "replace-one"), and the accountant adds no factor of its own.
- The noise multiplier of a **sampled Gaussian** event (DP-SGD) is the standard deviation divided by the clipping norm,
  which is the largest contribution of one unit, *under either adjacency*. The accountant knows that a replaced unit may
  turn its contribution around.
- A **Laplace** event is the discrete Laplace mechanism on whole numbers of L1 sensitivity 1. Its privacy loss takes two
  values, +-epsilon, so that it dominates every mechanism that is epsilon-private ("add-remove" only).
"""

from __future__ import annotations

import math
import numbers
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from dp_accounting import DpEvent, GaussianDpEvent, PoissonSampledDpEvent, SelfComposedDpEvent
from dp_accounting.dp_event import DiscreteLaplaceDpEvent

from synthkit.errors import PrivacyError

Scalar = str | int | float | bool | None

GAUSSIAN = "gaussian"
SAMPLED_GAUSSIAN = "sampled-gaussian"
DISCRETE_LAPLACE = "discrete-laplace"
CATEGORIES_OF = "categories of "
"""How the name of an event begins that buys the labels of the column named after it."""
EMBEDDING = "embedding"
"""Name of the event that releases mean features of scans; its query is no count."""
MOMENTS = "moments of "
"""How the name of an event begins that releases bounded sums over cells of gene expression; its query is no count."""

_AS_WRITTEN = "Use the file as synthkit wrote it."


@dataclass(frozen=True)
class Event:
    """One touch of private data.

    Parameters
    ----------
    name
        What the event is for, unique within a release, such as "pair counts".
    reads
        What is read, for the certificate, such as "all pairs of 15 columns".
    dp_event
        What dp-accounting composes: a Gaussian, a discrete Laplace or a Poisson-sampled Gaussian, alone or repeated.
    discrete
        Whether the noise is a whole number: the discrete Gaussian (Canonne, Kamath and Steinke, 2020) or Laplace.
    delta
        Failure probability of the whole event that is added to the total (thresholded histograms).
    details
        Plain values for the certificate; they take no part in the accounting.
    sensitivity
        L2 sensitivity of one application of a discrete Gaussian event, in whole numbers of the query, at least 1:
        times the noise multiplier it is the parameter sigma of the noise, which the accountant of discrete noise needs.

    Raises
    ------
    PrivacyError
        If the event is of another type, or a parameter is out of range (no noise among them).

    Privacy
    -------
    The guarantee is that of `dp_event`, under the adjacency by which its noise multiplier was worked out, plus `delta`.
    """

    name: str
    reads: str
    dp_event: DpEvent
    discrete: bool = False
    delta: float = 0.0
    details: Mapping[str, Scalar] = field(default_factory=dict, hash=False)
    sensitivity: float = field(default=1.0, kw_only=True)

    def __post_init__(self) -> None:
        """Refuse what cannot be accounted."""
        for what, text in (("name", self.name), ("reads", self.reads)):
            if not isinstance(text, str) or not text.strip():
                raise PrivacyError(
                    f"the {what} of a private event is {text!r}, expected some text",
                    remedy="Say what the event is for and what it reads: the certificate lists it.",
                )
        object.__setattr__(self, "delta", _number(self.name, "delta", self.delta))
        object.__setattr__(self, "sensitivity", _number(self.name, "sensitivity", self.sensitivity))
        object.__setattr__(self, "details", _plain_details(self.name, self.details))
        if not 0 <= self.delta < 1:
            raise _out_of_range(self.name, "delta", self.delta, "at least 0 and below 1")
        if self.sensitivity < 1:
            # A whole-number query that depends on the data at all changes by at least 1.
            raise _out_of_range(self.name, "sensitivity", self.sensitivity, "at least 1, in whole numbers of the query")
        kind = self.kind
        if kind == SAMPLED_GAUSSIAN and self.discrete:
            raise PrivacyError(
                f"the event '{self.name}' is a sampled Gaussian with discrete noise, which no accountant here covers",
                remedy="Use continuous noise for sampled gradients.",
            )
        if kind == DISCRETE_LAPLACE and not self.discrete:
            object.__setattr__(self, "discrete", True)
        _check_mechanism(self)

    @property
    def kind(self) -> str:
        """The type of the mechanism: "gaussian", "sampled-gaussian" or "discrete-laplace"."""
        inner = self._inner
        if isinstance(inner, GaussianDpEvent):
            return GAUSSIAN
        if isinstance(inner, PoissonSampledDpEvent) and isinstance(inner.event, GaussianDpEvent):
            return SAMPLED_GAUSSIAN
        if isinstance(inner, DiscreteLaplaceDpEvent):
            return DISCRETE_LAPLACE
        raise PrivacyError(
            f"the event '{self.name}' is of type {type(inner).__name__}, expected a Gaussian, a discrete Laplace or a "
            "Poisson-sampled Gaussian, alone or repeated",
            remedy="Describe it by gaussian_event, laplace_event or sampled_gaussian_event.",
        )

    @property
    def count(self) -> int:
        """How often the mechanism is applied (the steps of a sampled Gaussian)."""
        return cast(int, self.dp_event.count) if isinstance(self.dp_event, SelfComposedDpEvent) else 1

    @property
    def noise_multiplier(self) -> float | None:
        """Standard deviation of Gaussian noise over the sensitivity (the clipping norm, if sampled); else None."""
        inner = self._inner
        gaussian = inner.event if isinstance(inner, PoissonSampledDpEvent) else inner
        return float(gaussian.noise_multiplier) if isinstance(gaussian, GaussianDpEvent) else None

    @property
    def sampling_probability(self) -> float | None:
        """Probability with which a unit takes part in one step, or None when all take part always."""
        inner = self._inner
        return float(inner.sampling_probability) if isinstance(inner, PoissonSampledDpEvent) else None

    @property
    def epsilon(self) -> float | None:
        """Epsilon of one application of a Laplace event; else None."""
        inner = self._inner
        return float(inner.noise_parameter) if isinstance(inner, DiscreteLaplaceDpEvent) else None

    @property
    def _inner(self) -> Any:
        return self.dp_event.event if isinstance(self.dp_event, SelfComposedDpEvent) else self.dp_event

    def to_json(self) -> dict[str, Any]:
        """Return plain values that :meth:`from_json` reads; what does not apply is None."""
        return {
            "name": self.name,
            "reads": self.reads,
            "type": self.kind,
            "noise_multiplier": self.noise_multiplier,
            "epsilon": self.epsilon,
            "count": self.count,
            "sampling_probability": self.sampling_probability,
            "discrete": self.discrete,
            "sensitivity": self.sensitivity,
            "delta": self.delta,
            "details": dict(self.details),
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Event:
        """Return the event that :meth:`to_json` wrote.

        Raises
        ------
        PrivacyError
            If it is not one, or of a type that this version does not know.
        """
        expected = {
            "name", "reads", "type", "noise_multiplier", "epsilon", "count", "sampling_probability", "discrete",
            "sensitivity", "delta", "details",
        }  # fmt: skip
        if not isinstance(value, Mapping) or set(value) != expected:
            got = ", ".join(map(str, value)) if isinstance(value, Mapping) else type(value).__name__
            raise PrivacyError(
                f"a stored private event has {', '.join(sorted(expected))}, got {got or 'nothing'}", remedy=_AS_WRITTEN
            )
        make = DP_EVENTS.get(value["type"]) if isinstance(value["type"], str) else None
        if make is None or not isinstance(value["discrete"], bool) or not isinstance(value["details"], Mapping):
            raise PrivacyError(
                f"a stored private event is of type {value['type']!r}, expected one of {', '.join(DP_EVENTS)}",
                remedy=_AS_WRITTEN,
            )
        name = str(value["name"])
        inner = make(
            {
                key: _number(name, key, value[key])
                for key in ("noise_multiplier", "epsilon", "sampling_probability")
                if value[key] is not None
            },
            name,
        )
        event = cls(
            value["name"],
            value["reads"],
            _repeated(inner, value["count"], name),
            value["discrete"],
            value["delta"],
            value["details"],
            sensitivity=value["sensitivity"],
        )
        if event.discrete != value["discrete"]:
            raise PrivacyError(f"the stored event '{name}' says that Laplace noise is continuous", remedy=_AS_WRITTEN)
        return event


def gaussian_event(
    name: str,
    reads: str,
    noise_multiplier: float,
    *,
    count: int = 1,
    discrete: bool = True,
    sensitivity: float = 1.0,
    **details: Scalar,
) -> Event:
    """Describe `count` applications of the Gaussian mechanism.

    Parameters
    ----------
    name, reads, discrete, sensitivity, details
        See :class:`Event`. `sensitivity` matters to discrete noise only.
    noise_multiplier
        Standard deviation of the noise (for discrete noise its parameter sigma) over the L2 sensitivity of one
        application under the budget's adjacency. Above 0.
    count
        Number of applications, at least 1.

    Returns
    -------
    Event
    """
    inner = GaussianDpEvent(_number(name, "noise multiplier", noise_multiplier))
    return Event(name, reads, _repeated(inner, count, name), discrete, 0.0, details, sensitivity=sensitivity)


def laplace_event(
    name: str, reads: str, epsilon: float, *, count: int = 1, delta: float = 0.0, **details: Scalar
) -> Event:
    """Describe `count` applications of the discrete Laplace mechanism ("add-remove" only).

    Parameters
    ----------
    name, reads, details
        See :class:`Event`.
    epsilon
        Epsilon of one application: L1 sensitivity over the scale of the noise. Above 0.
    count
        Number of applications, at least 1.
    delta
        Failure probability of all applications together, for thresholded histograms.

    Returns
    -------
    Event
    """
    inner = DiscreteLaplaceDpEvent(_number(name, "epsilon", epsilon), 1)
    return Event(name, reads, _repeated(inner, count, name), True, delta, details)


def sampled_gaussian_event(
    name: str, reads: str, noise_multiplier: float, sampling_probability: float, steps: int, **details: Scalar
) -> Event:
    """Describe DP-SGD: `steps` Gaussian mechanisms, each on a fresh Poisson sample of the units.

    Parameters
    ----------
    name, reads, details
        See :class:`Event`.
    noise_multiplier
        Standard deviation of the noise over the clipping norm, under either adjacency. Above 0.
    sampling_probability
        Probability with which each unit takes part in a step, independently. Above 0 and at most 1.
    steps
        Number of steps, at least 1.

    Returns
    -------
    Event
    """
    inner = PoissonSampledDpEvent(
        _number(name, "sampling probability", sampling_probability),
        GaussianDpEvent(_number(name, "noise multiplier", noise_multiplier)),
    )
    return Event(name, reads, _repeated(inner, steps, name), False, 0.0, details)


def _stored_gaussian(values: Mapping[str, float], name: str) -> DpEvent:
    return GaussianDpEvent(*_only(values, ("noise_multiplier",), name))


def _stored_sampled(values: Mapping[str, float], name: str) -> DpEvent:
    probability, multiplier = _only(values, ("sampling_probability", "noise_multiplier"), name)
    return PoissonSampledDpEvent(probability, GaussianDpEvent(multiplier))


def _stored_laplace(values: Mapping[str, float], name: str) -> DpEvent:
    return DiscreteLaplaceDpEvent(*_only(values, ("epsilon",), name), 1)


# What a stored event may be: its type and the function that builds it from stored numbers.
DP_EVENTS: dict[str, Callable[[Mapping[str, float], str], DpEvent]] = {
    GAUSSIAN: _stored_gaussian,
    SAMPLED_GAUSSIAN: _stored_sampled,
    DISCRETE_LAPLACE: _stored_laplace,
}


def _only(values: Mapping[str, float], names: tuple[str, ...], event: str) -> list[float]:
    """Return the values by these names, if there are these and no others."""
    if set(values) != set(names):
        raise PrivacyError(
            f"the stored event '{event}' has {', '.join(values) or 'no numbers'}, expected {', '.join(names)}",
            remedy=_AS_WRITTEN,
        )
    return [values[name] for name in names]


def _check_mechanism(event: Event) -> None:
    """Refuse a mechanism without noise, with an impossible sample, or with a repetition that is no number."""
    inner = event._inner
    if event.noise_multiplier is not None and not 0 < event.noise_multiplier < math.inf:
        raise _out_of_range(event.name, "noise multiplier", event.noise_multiplier, "above 0 and finite")
    if event.sampling_probability is not None and not 0 < event.sampling_probability <= 1:
        raise _out_of_range(event.name, "sampling probability", event.sampling_probability, "above 0 and at most 1")
    if event.epsilon is not None:
        if not 0 < event.epsilon < math.inf:
            raise _out_of_range(event.name, "epsilon", event.epsilon, "above 0 and finite")
        if inner.sensitivity != 1:
            raise _out_of_range(event.name, "L1 sensitivity", inner.sensitivity, "1; divide epsilon by it instead")
    _repeated(inner, event.count, event.name)


def _repeated(inner: DpEvent, count: Any, name: str) -> DpEvent:
    """Return the mechanism applied `count` times, if that is a whole number of at least 1."""
    if isinstance(count, bool) or not isinstance(count, numbers.Integral) or count < 1:
        raise _out_of_range(name, "count", count, "a whole number of at least 1")
    return inner if count == 1 else SelfComposedDpEvent(inner, int(count))


def _plain_details(name: str, details: Mapping[str, Any]) -> Mapping[str, Scalar]:
    """Return a copy with plain Python values that JSON keeps as they are."""
    plain: dict[str, Scalar] = {}
    for key, value in details.items():
        # numpy's scalars become Python's, so that an event read back from JSON equals the one that was planned.
        scalar = value.item() if hasattr(value, "item") and getattr(value, "shape", None) == () else value
        if not isinstance(key, str) or not (scalar is None or isinstance(scalar, (str, bool, int, float))):
            raise PrivacyError(
                f"the detail {key!r} of the event '{name}' is of type {type(value).__name__}, expected a plain value",
                remedy="Give text, a number, true, false or nothing.",
            )
        if isinstance(scalar, float) and not math.isfinite(scalar):
            raise _out_of_range(name, f"detail '{key}'", scalar, "finite")
        plain[key] = scalar
    return plain


def _number(name: str, what: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        raise _out_of_range(name, what, value, "a number")
    return float(value)


def _out_of_range(name: str, what: str, value: Any, expected: str) -> PrivacyError:
    return PrivacyError(
        f"the {what} of the private event '{name}' is {value!r}, expected {expected}",
        remedy="Plan the event with values in range.",
    )
