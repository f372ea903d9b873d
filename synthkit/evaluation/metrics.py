"""What each score is called, which way it is good, where it comes from and what it says in plain words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from synthkit.evaluation.records import Direction


@dataclass(frozen=True, kw_only=True)
class Metric:
    """The description of a score.

    Attributes
    ----------
    name
        Key in `Evaluation.scores`.
    theme
        Which question it belongs to.
    title
        Name for readers.
    direction
        Whether lower, higher or nearest to one half is better.
    ideal
        The value for tables drawn from the very same source, without sampling noise; None where that depends on the
        table.
    source
        Where the definition comes from.
    meaning
        One sentence in plain words; ``{value}`` is the number, ``{percent}`` the number in per cent.
    """

    name: str
    theme: str
    title: str
    direction: Direction
    ideal: float | None
    source: str
    meaning: str


_KYNKAANNIEMI = "Kynkaanniemi et al. 2019, Improved precision and recall"
_NAEEM = "Naeem et al. 2020, Reliable fidelity and diversity metrics"
_LOPEZ_PAZ = "Lopez-Paz and Oquab 2017, Revisiting classifier two-sample tests"

_DESCRIPTIONS = (
    Metric(
        name="shape_err",
        theme="fidelity",
        title="shape error",
        direction="lower",
        ideal=0.0,
        source="one minus Column Shapes of SDMetrics (KSComplement, TVComplement)",
        meaning="Single columns differ from the real ones by {percent} on average.",
    ),
    Metric(
        name="trend_err",
        theme="fidelity",
        title="trend error",
        direction="lower",
        ideal=0.0,
        source="as Column Pair Trends of SDMetrics, over all pairs",
        meaning="Relations of pairs of columns differ by {percent} on average.",
    ),
    Metric(
        name="c2st_tree",
        theme="detection",
        title="boosted two-sample AUC",
        direction="half",
        ideal=0.5,
        source=_LOPEZ_PAZ,
        meaning="Boosted trees tell synthetic rows from training rows with AUC {value}; 0.5 is guessing.",
    ),
    Metric(
        name="c2st_tree_test",
        theme="detection",
        title="boosted AUC, held-out rows",
        direction="half",
        ideal=0.5,
        source=_LOPEZ_PAZ,
        meaning="The same against real rows that the generator never saw: AUC {value}.",
    ),
    Metric(
        name="c2st_lr",
        theme="detection",
        title="logistic two-sample AUC",
        direction="half",
        ideal=0.5,
        source=_LOPEZ_PAZ,
        meaning="A linear model tells them apart with AUC {value}; it cannot see relations.",
    ),
    Metric(
        name="precision",
        theme="coverage",
        title="precision",
        direction="higher",
        ideal=None,
        source=_KYNKAANNIEMI,
        meaning="{percent} of synthetic rows lie where real rows lie.",
    ),
    Metric(
        name="recall",
        theme="coverage",
        title="recall",
        direction="higher",
        ideal=None,
        source=_KYNKAANNIEMI,
        meaning="{percent} of real rows lie where synthetic rows lie.",
    ),
    Metric(
        name="density",
        theme="coverage",
        title="density",
        direction="higher",
        ideal=1.0,
        source=_NAEEM,
        meaning="Synthetic rows lie in real neighbourhoods {value} times as densely as expected.",
    ),
    Metric(
        name="coverage",
        theme="coverage",
        title="coverage",
        direction="higher",
        ideal=None,
        source=_NAEEM,
        meaning="{percent} of real rows have a synthetic row nearby.",
    ),
    Metric(
        name="tstr",
        theme="utility",
        title="trained on synthetic rows",
        direction="higher",
        ideal=None,
        source="Esteban et al. 2017, Real-valued medical time series generation with recurrent conditional GANs",
        meaning="Boosted trees trained on the synthetic table reach {measure} {value} on real held-out rows.",
    ),
    Metric(
        name="trtr",
        theme="utility",
        title="trained on real rows",
        direction="higher",
        ideal=None,
        source="Esteban et al. 2017",
        meaning="Trained on the real table they reach {measure} {value}.",
    ),
    Metric(
        name="dcr_share",
        theme="copies",
        title="nearest-record share",
        direction="half",
        ideal=0.5,
        source="share of distances to the closest record, as in TabSyn (Zhang et al. 2024)",
        meaning="{percent} of synthetic rows lie nearer to a training than to a held-out row; 50 % is chance.",
    ),
    Metric(
        name="exact_train",
        theme="copies",
        title="equal to a training row",
        direction="lower",
        ideal=None,
        source="identical match share",
        meaning="{percent} of synthetic rows equal one of equally many training rows.",
    ),
    Metric(
        name="exact_test",
        theme="copies",
        title="equal to a held-out row",
        direction="lower",
        ideal=None,
        source="identical match share",
        meaning="{percent} equal one of equally many held-out rows: that much is chance.",
    ),
    Metric(
        name="copied",
        theme="copies",
        title="copied rows, whole table",
        direction="lower",
        ideal=None,
        source="identical match share",
        meaning="{percent} of all synthetic rows equal some training row in every column.",
    ),
)

METRICS: Mapping[str, Metric] = MappingProxyType({metric.name: metric for metric in _DESCRIPTIONS})
