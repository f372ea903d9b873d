"""The space that scans of a model live in: size, units, classes and regions; between `ScanSet` and networks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from synthkit.errors import DataError, unknown_name
from synthkit.io.scan_set import ScanForm, ScanSet
from synthkit.phrases import by
from synthkit.scans.intensity import Intensity
from synthkit.scans.regions import drawn_masks, region_values
from synthkit.scans.unit_images import UnitImages


@dataclass(frozen=True)
class ScanSpace:
    """What all scans of a model have in common.

    Attributes
    ----------
    size
        Samples along each axis, ``(rows, columns)`` or ``(slices, rows, columns)``.
    channels
        1 for grey values, 3 for colours.
    form
        Modality, units, spacing and how values are stored.
    intensity
        The map to [-1, 1].
    dtype
        Name of the dtype that scans come back in, that of the training scans.
    classes
        Names of the classes; empty without.
    counts
        Training scans of each class, or of all together without classes; public numbers under a privacy budget.
    regions
        Values of the masks other than the background; empty without masks.
    """

    size: tuple[int, ...]
    channels: int
    form: ScanForm
    intensity: Intensity
    dtype: str
    classes: tuple[str, ...] = ()
    counts: tuple[int, ...] = ()
    regions: tuple[int, ...] = ()

    @classmethod
    def of(cls, scans: ScanSet, intensity: Intensity) -> Self:
        """Return the space of training scans."""
        counts = tuple(scans.counts().values()) or (len(scans),)
        regions = () if scans.masks is None else region_values(scans.masks)
        return cls(
            scans.size,
            scans.channels,
            scans.form,
            intensity,
            str(scans.images.dtype),
            tuple(scans.classes) if scans.labels is not None else (),
            counts,
            regions,
        )

    @property
    def network_channels(self) -> int:
        """Channels of the networks: those of the images, and one for each region of the masks."""
        return self.channels + len(self.regions)

    @property
    def shares(self) -> NDArray[np.float64]:
        """Share of each class in training, ``[n_classes]``."""
        counts = np.asarray(self.counts, np.float64)
        shares: NDArray[np.float64] = counts / counts.sum()
        return shares

    def units(self, scans: ScanSet, *, masks: bool = True, labels: bool = True) -> UnitImages:
        """Return scans as networks see them.

        Parameters
        ----------
        scans
            Of the size and channels of this space.
        masks
            Whether masks become channels, where this space has regions.
        labels
            Whether classes are needed: they are then brought into the order of this space.

        Raises
        ------
        DataError
            Another size or number of channels, no masks, or a class that the model never saw.
        """
        if scans.size != self.size or scans.channels != self.channels:
            raise DataError(
                f"the scans have {scans.channels} x {by(scans.size)} samples, and the model was fitted to "
                f"{self.channels} x {by(self.size)}",
                remedy=f"read them with size={self.size}",
            )
        wanted = self.regions if masks else ()
        if wanted and scans.masks is None:
            raise DataError("the model draws masks too, and these scans have none", remedy="read them with their masks")
        units = UnitImages.of(scans, self.intensity, wanted)
        return UnitImages(
            units.stored,
            self._own_labels(scans) if labels else None,
            units.regions,
            units.groups,
            units.intensity,
        )

    def scans(
        self,
        drawn: Tensor,
        labels: NDArray[np.int64] | None = None,
        names: Sequence[str] = (),
        patients: NDArray[Any] | None = None,
    ) -> ScanSet:
        """Return what networks drew, ``[b, network channels, *size]`` in [-1, 1], in real units.

        Values are rounded where the dtype holds whole numbers, and stay inside what can be stored.
        """
        images = self.intensity.to_real(drawn[:, : self.channels], np.dtype(self.dtype))
        masks = drawn_masks(drawn[:, self.channels :], self.regions) if self.regions else None
        return ScanSet(
            images,
            labels=labels if self.classes else None,
            classes=self.classes,
            masks=masks,
            patients=patients,
            names=tuple(names),
            form=self.form,
        )

    def _own_labels(self, scans: ScanSet) -> NDArray[np.int64] | None:
        if not self.classes:
            return None
        if scans.labels is None:
            raise DataError(
                "the model has classes, and these scans have no labels",
                remedy="read them with labels: a folder for each class, or a CSV",
            )
        known = {name: place for place, name in enumerate(self.classes)}
        used = np.unique(scans.labels)
        unknown = [scans.classes[place] for place in used if scans.classes[place] not in known]
        if unknown:
            raise DataError(f"the scans have an {unknown_name('class', unknown[0], known)}")
        table = np.array([known.get(name, -1) for name in scans.classes], np.int64)
        labels: NDArray[np.int64] = table[scans.labels]
        return labels

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON-safe form, for model files."""
        return {
            "size": list(self.size),
            "channels": self.channels,
            "form": self.form.to_dict(),
            "intensity": self.intensity.to_dict(),
            "dtype": self.dtype,
            "classes": list(self.classes),
            "counts": list(self.counts),
            "regions": list(self.regions),
        }

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Self:
        """Inverse of `to_dict`."""
        return cls(
            tuple(content["size"]),
            int(content["channels"]),
            ScanForm.from_dict(dict(content["form"])),
            Intensity.from_dict(content["intensity"]),
            str(np.dtype(content["dtype"])),
            tuple(content["classes"]),
            tuple(content["counts"]),
            tuple(content["regions"]),
        )
