"""Every score of scans with what a reader must know of it: the registry that suites, reports and texts rest on."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from synthkit.evaluation.metric import KYNKAANNIEMI, NAEEM
from synthkit.evaluation.records import Direction

ScanTheme = Literal["features", "coverage", "appearance", "utility", "copies"]
ScanNeed = Literal["classes", "scans"]


@dataclass(frozen=True, kw_only=True)
class ScanMetric:
    """The description of a score; the fields mean what they mean in `synthkit.evaluation.metric.Metric`.

    Attributes
    ----------
    name, theme, title, direction, bounds, ideal, source, meaning, reading, lies, good, rows
        As there; `rows` says which scans it looks at.
    needs
        "classes" where it needs labels of both sets.
    floor
        Whether blurred real scans are scored too.
    """

    name: str
    theme: ScanTheme
    title: str
    direction: Direction = "lower"
    bounds: tuple[float, float] = (0.0, math.inf)
    ideal: float | None = 0.0
    source: str
    meaning: str
    reading: str
    lies: str
    good: str
    rows: str
    needs: tuple[ScanNeed, ...] = ()
    floor: bool = True


NEEDED: Mapping[str, str] = {
    "classes": "classes in both sets (folders by class, or --labels)",
    "scans": "more scans",
}
QUESTIONS: Mapping[ScanTheme, tuple[str, str]] = {
    "features": ("Distance", "How far do synthetic scans lie from real ones, in the features of an extractor?"),
    "coverage": ("Coverage", "Do synthetic scans lie where real scans lie, and reach all of them?"),
    "appearance": ("Appearance", "Are values, sharpness and variety those of real scans?"),
    "utility": ("Utility", "Does a classifier trained on synthetic scans name real ones?"),
    "copies": ("Copies", "Are synthetic scans repetitions of training scans?"),
}

_EQUALLY = "equally many training, held-out and synthetic scans, at most 5,000"
_ALL = "at most 5,000 scans of either kind"
_BINKOWSKI = "Binkowski et al. 2018, Demystifying MMD GANs"

_METRICS = (
    ScanMetric(
        name="kid",
        theme="features",
        title="KID",
        bounds=(-math.inf, math.inf),
        source=_BINKOWSKI,
        meaning="The squared kernel distance of synthetic from training scans is {value}.",
        reading="Kernel inception distance: unbiased squared maximum mean discrepancy of a cubic kernel of the "
        "features. 0 on average for two sets from the same source, whatever their sizes; may be slightly negative. "
        "Generators are ranked by it.",
        lies="Copies of training scans score 0 or below. It depends on the extractor: never compare numbers of two.",
        good="Within the interval of real scans; at least several times below blurred ones.",
        rows=_EQUALLY,
    ),
    ScanMetric(
        name="kid_by_class",
        theme="features",
        title="KID, mean of classes",
        bounds=(-math.inf, math.inf),
        source=_BINKOWSKI,
        meaning="Within a class the squared kernel distance is {value} on average.",
        reading="KID of the synthetic scans of a class from the training scans of that class, averaged over the "
        "classes. It sees what KID of all does not: classes that are exchanged, and one that is bad among good ones.",
        lies="Classes with few scans make it uncertain.",
        good="As real scans.",
        rows=_EQUALLY,
        needs=("classes",),
    ),
    ScanMetric(
        name="fid",
        theme="features",
        title="FID",
        source="Heusel et al. 2017, GANs trained by a two time-scale update rule",
        meaning="The Fréchet distance is {value}; real scans of that number are the measure, not 0.",
        reading="Fréchet distance of two normal distributions with the means and covariances of the features. It is "
        "here because others publish it.",
        lies="It is biased: with fewer scans than some thousands it is far above 0 for two halves of the same real "
        "scans. Without n and that control it means nothing. Published numbers use another extractor.",
        good="As real scans, of the same n.",
        rows=_EQUALLY,
    ),
    ScanMetric(
        name="precision",
        theme="coverage",
        title="precision",
        direction="higher",
        bounds=(0.0, 1.0),
        ideal=None,
        source=KYNKAANNIEMI,
        meaning="{percent} of synthetic scans lie where real scans lie.",
        reading="Share of synthetic scans inside the ball of a training scan; the ball reaches to its fifth nearest "
        "neighbour among training scans.",
        lies="A generator that repeats one typical scan scores 1.",
        good="As real scans.",
        rows=_EQUALLY,
    ),
    ScanMetric(
        name="recall",
        theme="coverage",
        title="recall",
        direction="higher",
        bounds=(0.0, 1.0),
        ideal=None,
        source=KYNKAANNIEMI,
        meaning="{percent} of training scans lie where synthetic scans lie.",
        reading="Share of training scans inside the ball of a synthetic scan. With coverage it sees collapse, which "
        "precision and often KID do not.",
        lies="Scattered synthetic scans have large balls. GANs are usually low here.",
        good="As real scans.",
        rows=_EQUALLY,
    ),
    ScanMetric(
        name="density",
        theme="coverage",
        title="density",
        direction="higher",
        ideal=1.0,
        source=NAEEM,
        meaning="Synthetic scans lie in real neighbourhoods {value} times as densely as expected.",
        reading="Number of balls of training scans around a synthetic one, divided by five.",
        lies="Above 1 for a generator that repeats typical scans: that is not better than 1.",
        good="As real scans, near 1.",
        rows=_EQUALLY,
    ),
    ScanMetric(
        name="coverage",
        theme="coverage",
        title="coverage",
        direction="higher",
        bounds=(0.0, 1.0),
        ideal=None,
        source=NAEEM,
        meaning="{percent} of training scans have a synthetic scan nearby.",
        reading="Share of training scans with a synthetic scan inside their ball.",
        lies="It is lower when there are fewer synthetic than training scans; here there are equally many.",
        good="As real scans, near 0.97.",
        rows=_EQUALLY,
    ),
    ScanMetric(
        name="intensity_ks",
        theme="appearance",
        title="intensities, largest gap",
        bounds=(0.0, 1.0),
        source="Kolmogorov 1933; Smirnov 1948",
        meaning="The share of values below some intensity differs by up to {percent}.",
        reading="Largest gap of the distribution functions of all values, in the units of the scans.",
        lies="Values say nothing about where they lie. Background that fills most of a scan hides the rest.",
        good="As real scans.",
        rows=_ALL,
    ),
    ScanMetric(
        name="intensity_shift",
        theme="appearance",
        title="intensities, mean shift",
        source="Wasserstein's distance of order 1",
        meaning="A value has to be moved by {value} (in the units of the scans) on average.",
        reading="Area between the two distribution functions: in Hounsfield units for CT.",
        lies="As the largest gap. A few extreme values can make it large.",
        good="As real scans.",
        rows=_ALL,
    ),
    ScanMetric(
        name="spectrum_gap",
        theme="appearance",
        title="power spectrum gap",
        source="Durall et al. 2020, Watch your up-convolution",
        meaning="The radial power spectrum is off by {value} dB on average.",
        reading="Mean absolute gap of the radial power spectra in decibels, over all frequencies up to one half cycle "
        "per sample. The curve in the report shows where: too little power at the right is blur, too much is noise or "
        "a checkerboard.",
        lies="It averages over scans: a set of sharp and of blurred scans can look right.",
        good="As real scans.",
        rows=_ALL,
    ),
    ScanMetric(
        name="likeness_gap",
        theme="appearance",
        title="likeness within a class",
        bounds=(0.0, 1.0),
        source="Wang et al. 2003 (MS-SSIM); Odena et al. 2017, on classes",
        meaning="Pairs of scans of a class are more or less alike than real pairs by {value}.",
        reading="Mean absolute difference, over the classes, of the multi-scale structural similarity of random pairs."
        " The table shows the sign: synthetic pairs that are more alike point to collapse.",
        lies="A generator whose scans differ in noise only looks varied.",
        good="As real scans.",
        rows="at most 250 pairs of a class",
    ),
    ScanMetric(
        name="tstr",
        theme="utility",
        title="TSTR, balanced accuracy",
        direction="higher",
        bounds=(0.0, 1.0),
        ideal=None,
        source="Esteban et al. 2017 (train on synthetic, test on real)",
        meaning="A classifier trained on synthetic scans names {percent} of held-out ones rightly, mean of classes.",
        reading="The same small network is trained on real and on synthetic scans for the same number of batches, each "
        "class drawn equally often, and names held-out real scans. 'Real scans' is the network trained on real ones.",
        lies="An easy task is learned from bad scans. Copies of training scans do as well as real ones.",
        good="At least nine tenths of the control.",
        rows="all scans; tested on held-out ones",
        needs=("classes",),
        floor=False,
    ),
    ScanMetric(
        name="tstr_auc",
        theme="utility",
        title="TSTR, AUC",
        direction="higher",
        bounds=(0.0, 1.0),
        ideal=None,
        source="Esteban et al. 2017 (train on synthetic, test on real)",
        meaning="A classifier trained on synthetic scans ranks held-out real ones with AUC {value}.",
        reading="As above, but how well the classifier ranks: mean over the classes of the area under the ROC curve.",
        lies="As above; it does not see that probabilities are shifted.",
        good="At least nine tenths of the control.",
        rows="all scans; tested on held-out ones",
        needs=("classes",),
        floor=False,
    ),
    ScanMetric(
        name="augmentation_gain",
        theme="utility",
        title="gain of adding synthetic scans",
        direction="higher",
        bounds=(-1.0, 1.0),
        ideal=None,
        source="Frid-Adar et al. 2018, GAN-based synthetic medical image augmentation",
        meaning="Adding synthetic scans to the real ones changes balanced accuracy by {value}.",
        reading="Balanced accuracy of the network trained on real and synthetic scans, half of each batch of either, "
        "less that of real ones alone, with the same number of batches, paired by seed.",
        lies="Where real scans are many there is nothing to gain.",
        good="An interval above 0.",
        rows="all scans; tested on held-out ones",
        needs=("classes",),
        floor=False,
    ),
    ScanMetric(
        name="equal_scans",
        theme="copies",
        title="scans equal to a training scan",
        bounds=(0.0, 1.0),
        source="exact comparison of all values",
        meaning="{percent} of synthetic scans equal a training scan in every value.",
        reading="Share of synthetic scans of which every value equals that of a training scan.",
        lies="A copy that is shifted or has a little noise is not found: `synthkit audit` looks for those.",
        good="As real scans.",
        rows="all scans",
        floor=False,
    ),
    ScanMetric(
        name="nearest_training",
        theme="copies",
        title="nearer to training than to held-out",
        direction="half",
        bounds=(0.0, 1.0),
        ideal=0.5,
        source="Distance to closest record, by features",
        meaning="{percent} of synthetic scans lie nearer to a training than to a held-out scan; 50 % is chance.",
        reading="Among equally many training and held-out scans, the share of synthetic scans whose nearest one, in "
        "the features of the extractor, is a training scan.",
        lies="Near 50 % does not prove that nothing was memorised: a few copies do not move it, and the network of the "
        "extractor 'domain' has seen training scans, which shifts it a little.",
        good="Near one half.",
        rows="as many training as held-out scans",
        floor=False,
    ),
)
METRICS: Mapping[str, ScanMetric] = MappingProxyType({metric.name: metric for metric in _METRICS})
"""Every score of scans by name, in the order in which reports show them."""
