"""Whether sets of scans can be compared, and reading all of them in the same way."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from synthkit.errors import DataError, InputError, unknown_name
from synthkit.io.scan_set import ScanSet
from synthkit.random import RandomSource

FEWEST_SCANS = 10
_HELD_OUT_SHARE = 0.2


@dataclass(frozen=True)
class ScanCase:
    """Scans to compare, with the same size, channels and classes.

    Attributes
    ----------
    train
        The scans that the generator learned from.
    held_out
        Real scans that it never saw.
    synthetic
        The scans to judge.
    classes
        Names of the classes; empty where there is nothing to tell apart.
    random
        Where randomness comes from.
    """

    train: ScanSet
    held_out: ScanSet
    synthetic: ScanSet
    classes: tuple[str, ...]
    random: RandomSource

    @property
    def sets(self) -> dict[str, ScanSet]:
        """The three sets by the names that reports give them."""
        return {"real": self.train, "held-out": self.held_out, "synthetic": self.synthetic}

    def drawn(self, most: int) -> dict[str, npt.NDArray[np.int64]]:
        """Return positions of equally many scans of each set, at most `most`, drawn at random."""
        n = min(most, *(len(scans) for scans in self.sets.values()))
        return {
            name: np.sort(self.random.numpy(f"draw {name}").permutation(len(scans))[:n])
            for name, scans in self.sets.items()
        }


def read_case(
    real: ScanSet, synthetic: ScanSet, holdout: ScanSet | None, random: RandomSource
) -> tuple[ScanCase, tuple[str, ...]]:
    """Return the case of an evaluation, and what was done to the scans, in sentences.

    Parameters
    ----------
    real, synthetic
        The scans that the generator learned from, and the scans to judge.
    holdout
        Real scans that it never saw; without them a fifth of the patients of `real` is split off.
    random
        Where randomness comes from.

    Raises
    ------
    DataError
        Too few scans, or values that are no numbers.
    InputError
        Another size or number of channels, or a class that real scans do not have.
    """
    given = {"real": real, "synthetic": synthetic} | ({} if holdout is None else {"held-out": holdout})
    for name, scans in given.items():
        _check(name, scans, real)
    notes = []
    if holdout is None:
        real, holdout = _split(real, random)
        notes.append(
            f"no held-out scans were given, so {len(holdout):,} of as yet unknown patients were split off the real "
            "ones; if the generator learned from them, the controls look too much like the synthetic scans."
        )
    if {real.form.units, synthetic.form.units} - {""} != {real.form.units} - {""}:
        notes.append(
            f"real scans are in {real.form.units or 'unknown units'}, synthetic ones in "
            f"{synthetic.form.units or 'unknown units'}; values are compared as they stand."
        )
    classes = _common_classes(real, {"synthetic": synthetic, "held-out": holdout})
    if not classes and len(real.classes) > 1:
        notes.append("not all sets have classes, so nothing is scored class by class and no classifier is trained.")
    if classes:
        real, holdout, synthetic = (_in_classes(scans, classes) for scans in (real, holdout, synthetic))
        for name, scans in (("synthetic", synthetic), ("held-out", holdout)):
            empty = [label for label, count in scans.counts().items() if count == 0]
            if empty:
                notes.append(f"there is no {name} scan of {', '.join(map(repr, empty))}.")
    else:
        real, holdout, synthetic = (
            dataclasses.replace(scans, labels=None, classes=()) for scans in (real, holdout, synthetic)
        )
    return ScanCase(real, holdout, synthetic, classes, random), tuple(notes)


def _check(name: str, scans: ScanSet, real: ScanSet) -> None:
    if len(scans) < FEWEST_SCANS:
        raise DataError(
            f"there {'is' if len(scans) == 1 else 'are'} {len(scans)} {name} scan{'' if len(scans) == 1 else 's'}, and "
            f"{FEWEST_SCANS} are needed",
            remedy="Pass more scans.",
        )
    if scans.images.shape[1:] != real.images.shape[1:]:
        raise InputError(
            f"{name} scans have the shape {scans.images.shape[1:]} (channels, samples along each axis), real ones "
            f"{real.images.shape[1:]}",
            remedy="Read both at one size: read_scans(..., size=...), or --size.",
        )
    if np.issubdtype(scans.images.dtype, np.floating):
        for place, image in enumerate(scans.images):
            if not np.isfinite(image).all():
                called = f" ({scans.names[place]})" if scans.names else ""
                raise DataError(
                    f"{name} scan {place + 1:,}{called} holds a value that is no finite number",
                    remedy="Leave that scan out.",
                )


def _split(real: ScanSet, random: RandomSource) -> tuple[ScanSet, ScanSet]:
    """Return the scans of four fifths of the patients, and those of the others."""
    groups = real.groups
    patients = np.unique(groups)
    aside = random.numpy("held out").permutation(patients)[: max(1, round(_HELD_OUT_SHARE * len(patients)))]
    is_aside = np.isin(groups, aside)
    parts = real.take(~is_aside), real.take(is_aside)
    if min(map(len, parts)) < FEWEST_SCANS:
        raise DataError(
            f"there are {len(real)} real scans of {len(patients)} patients, too few to hold some out",
            remedy="Pass held-out scans (--test HOLDOUT).",
        )
    return parts


def _common_classes(real: ScanSet, others: dict[str, ScanSet]) -> tuple[str, ...]:
    """Return the classes of the real scans where all sets have labels; InputError for a class they do not have."""
    if real.labels is None or len(real.classes) < 2 or any(scans.labels is None for scans in others.values()):
        return ()
    for name, scans in others.items():
        for label, count in scans.counts().items():
            if count and label not in real.classes:
                raise InputError(
                    f"{name} scans: {unknown_name('class', label, real.classes)}", remedy="Name classes alike."
                )
    return real.classes


def _in_classes(scans: ScanSet, classes: tuple[str, ...]) -> ScanSet:
    """Return scans with their labels as positions in these classes."""
    if scans.classes == classes or scans.labels is None:
        return scans
    places = np.array([classes.index(name) if name in classes else 0 for name in scans.classes])
    return dataclasses.replace(scans, labels=places[scans.labels], classes=classes)
