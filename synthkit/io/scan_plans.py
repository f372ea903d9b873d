"""Scans that are about to be read: what they will be, and reading them, one at a time, into one array."""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from synthkit.errors import InputError
from synthkit.io import scan_labels as naming
from synthkit.io.resampling import Fit, fitted, fitted_mask
from synthkit.io.scan_choice import described, empty_of, plain_name
from synthkit.io.scan_labels import Labelled
from synthkit.io.scan_masks import Masks
from synthkit.io.scan_reading import Notebook, ReadingReport
from synthkit.io.scan_set import ScanForm, ScanSet
from synthkit.io.scan_stack import Stack, UnreadableScan

_MEMORY_SHARE = 0.5  # of the memory of the machine that a set may take
_UNKNOWN = 1e30  # limits beyond this are those of a dtype, and say nothing of the values


@dataclass(frozen=True)
class ScanSurvey:
    """What would be read, before any pixel is.

    Attributes
    ----------
    n_scans
        Number of scans, if none turns out to be damaged.
    size, channels, form, dtype
        As in the `ScanSet` to be.
    counts
        Scans of each class; empty without classes.
    n_patients
        Number of patients; None where they are unknown.
    has_masks
        Whether there are masks.
    report
        What was found, used, left out and why.
    """

    n_scans: int
    size: tuple[int, ...]
    channels: int
    form: ScanForm
    dtype: np.dtype[Any]
    counts: dict[str, int]
    n_patients: int | None
    has_masks: bool
    report: ReadingReport

    @property
    def n_bytes(self) -> int:
        """Memory that the images take."""
        return int(self.n_scans * self.channels * np.prod(self.size) * self.dtype.itemsize)

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON-safe form."""
        return {
            "scans": self.n_scans,
            "size": list(self.size),
            "channels": self.channels,
            "form": self.form.to_dict(),
            "classes": self.counts,
            "patients": self.n_patients,
            "masks": self.has_masks,
            "bytes": self.n_bytes,
            "report": self.report.to_dict(),
        }


@dataclass(frozen=True)
class ArraysPlan:
    """Scans of an .npz file: they are in memory already."""

    scans: ScanSet
    notebook: Notebook
    fit: Fit | None
    window: tuple[float, float] | None

    def survey(self) -> ScanSurvey:
        """Say what will be read."""
        scans, fit = self.scans, self.fit
        form = _windowed(scans.form, self.window)
        if fit is not None:
            form = replace(form, spacing=fit.spacing)
        return ScanSurvey(
            len(scans), scans.size if fit is None else fit.size, scans.channels, form, scans.images.dtype,
            scans.counts(), None if scans.patients is None else len(np.unique(scans.patients)),
            scans.masks is not None, self.notebook.report(),
        )  # fmt: skip

    def read(self) -> tuple[ScanSet, ReadingReport]:
        """Return the scans at the size and within the window that were asked for."""
        scans, fit = self.scans, self.fit
        if fit is not None:
            _check_memory(len(scans) * scans.channels * int(np.prod(fit.size)) * scans.images.dtype.itemsize)
            images = np.empty((len(scans), scans.channels, *fit.size), scans.images.dtype)
            for i, image in enumerate(scans.images):
                images[i] = fitted(image, fit, empty_of(scans.form))
            masks = None if scans.masks is None else np.stack([fitted_mask(mask, fit) for mask in scans.masks])
            scans = replace(scans, images=images, masks=masks, form=replace(scans.form, spacing=fit.spacing))
        if self.window is not None:
            scans = replace(scans, images=_clipped(scans.images, self.window))
        return replace(scans, form=_windowed(scans.form, self.window)), self.notebook.report()


@dataclass(frozen=True)
class FilesPlan:
    """Scans that still lie in files."""

    kept: tuple[Labelled, ...]
    stacks: tuple[Stack, ...]
    masks: Masks | None
    mask_files: tuple[Path | None, ...]
    size: tuple[int, ...]
    fits: tuple[Fit | None, ...]
    form: ScanForm
    dtype: np.dtype[Any]
    notebook: Notebook
    window: tuple[float, float] | None

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes, in alphabetical order."""
        return tuple(sorted({one.label for one in self.kept if one.label is not None}))

    def survey(self) -> ScanSurvey:
        """Say what will be read."""
        counts = Counter(one.label for one in self.kept if one.label is not None)
        patients = {one.patient for one in self.kept if one.patient is not None}
        report = replace(self.notebook.report(), found=described(self.kept, self.stacks))
        return ScanSurvey(
            len(self.kept), self.size, self.kept[0].item.stack.channels, _windowed(self.form, self.window), self.dtype,
            {name: counts[name] for name in self.classes}, len(patients) if patients else None,
            self.masks is not None, report,
        )  # fmt: skip

    def read(self) -> tuple[ScanSet, ReadingReport]:
        """Read one scan after the other; a damaged one is noted and left out.

        Raises
        ------
        InputError
            All are damaged, or there is not enough memory for them.
        """
        channels = self.kept[0].item.stack.channels
        n = len(self.kept)
        _check_memory(n * channels * int(np.prod(self.size)) * self.dtype.itemsize)
        images = np.empty((n, channels, *self.size), self.dtype)
        codes = None if self.masks is None else np.empty((n, *self.size), np.uint8)
        empty = empty_of(self.form)
        used: list[int] = []
        low, high = np.inf, -np.inf
        for i, one in enumerate(self.kept):
            place = len(used)
            fit = self.fits[i]
            try:
                image = one.item.read()
                if codes is not None and self.masks is not None:
                    mask = self.masks.read(one, self.mask_files[i])
                    codes[place] = mask if fit is None else fitted_mask(mask, fit)
            except UnreadableScan as error:
                self.notebook.leave(one.item.name, error.what)
                continue
            if self.window is not None:
                image = _clipped(image, self.window)
            images[place] = image if fit is None else fitted(image, fit, empty)
            if max(map(abs, self.form.limits)) >= _UNKNOWN:
                low, high = min(low, float(image.min())), max(high, float(image.max()))
            used.append(i)
        if not used:
            raise nothing_usable(self.notebook)
        return self._set(images[: len(used)], None if codes is None else codes[: len(used)], used, (low, high))

    def _set(
        self, images: np.ndarray, codes: np.ndarray | None, used: list[int], ends: tuple[float, float]
    ) -> tuple[ScanSet, ReadingReport]:
        kept = [self.kept[i] for i in used]
        gone = {one.label for one in self.kept} - {one.label for one in kept}
        naming.warn_of_classes(kept, self.notebook, [name for name in gone if name is not None])
        form = self.form
        if ends[0] <= ends[1]:
            form = replace(form, limits=(ends[0], max(ends[1], ends[0] + 1e-6)), signed=ends[0] < 0)
        classes = tuple(sorted({one.label for one in kept if one.label is not None}))
        position = {name: i for i, name in enumerate(classes)}
        patients = None
        if any(one.patient is not None for one in kept):
            patients = np.array([one.patient or f"alone-{i}" for i, one in enumerate(kept)])
        masks = None
        if codes is not None and self.masks is not None:
            masks = self.masks.numbers(self.notebook)[codes]
        scans = ScanSet(
            images,
            np.array([position[one.label] for one in kept if one.label is not None], np.int64) if classes else None,
            classes,
            masks,
            patients,
            tuple(plain_name(one.item) for one in kept),
            _windowed(form, self.window),
        )
        return scans, replace(self.notebook.report(), found=described(kept, self.stacks))


def _clipped(images: np.ndarray, window: tuple[float, float]) -> np.ndarray:
    low, high = window
    if images.dtype.kind in "iu":
        info = np.iinfo(images.dtype)
        low, high = max(np.ceil(low), info.min), min(np.floor(high), info.max)
    found: np.ndarray = np.clip(images, images.dtype.type(low), images.dtype.type(high))
    return found


def _windowed(form: ScanForm, window: tuple[float, float] | None) -> ScanForm:
    if window is None:
        return form
    low, high = max(form.limits[0], window[0]), min(form.limits[1], window[1])
    if low >= high:
        raise InputError(
            f"the window {window[0]:g} to {window[1]:g} lies beside the values, which reach from {form.limits[0]:g} to "
            f"{form.limits[1]:g}",
            remedy="Give a window in the unit of the values (HU for CT).",
        )
    return replace(form, limits=(low, high))


def _check_memory(n_bytes: int) -> None:
    whole = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 0
    if whole and n_bytes > _MEMORY_SHARE * whole:
        raise InputError(
            f"the scans take {n_bytes / 2**30:.1f} GiB of memory, and this machine has {whole / 2**30:.1f} GiB",
            remedy="Give a smaller size, such as size=64, or read fewer scans.",
        )


def nothing_usable(notebook: Notebook) -> InputError:
    """Return the error that says why no scan can be used."""
    return InputError(
        f"no scan of '{notebook.source}' can be used ({notebook.reasons()})",
        remedy="See `synthkit inspect` for the reason of each file.",
    )
