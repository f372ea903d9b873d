"""Which scans make up a set: volumes or slices, of one modality and one number of channels, at one size."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import replace
from pathlib import PurePosixPath
from typing import Any, Literal

import numpy as np

from synthkit.errors import InputError
from synthkit.io.resampling import Fit
from synthkit.io.scan_labels import Labelled
from synthkit.io.scan_reading import FoundSeries, Notebook
from synthkit.io.scan_set import ScanForm
from synthkit.io.scan_stack import Item, Stack, hashed
from synthkit.phrases import counted

_AIR = -1024.0  # HU
_FEW_VOLUMES = 16
_TURNED = 0.94  # cosine of 20 degrees
_UID = re.compile(r"\d+(?:\.\d+){4,}")
_UNKNOWN = 1e30


def chosen_items(stacks: Sequence[Stack], slices: Literal["auto"] | bool, notebook: Notebook) -> list[Item]:
    """Decide whether volumes or their slices are the scans.

    Parameters
    ----------
    stacks
        What was found.
    slices
        True: every plane is a scan. False: volumes, and what is none is left out. "auto": volumes where at least half
        of the stacks are some.
    notebook
        The choice, and what is left out, is noted here.

    Raises
    ------
    InputError
        Volumes are wanted and there is none.
    """
    volumes = [stack for stack in stacks if stack.volume is not None]
    planes = slices is True or (slices == "auto" and 2 * len(volumes) < len(stacks))
    if slices == "auto" and volumes:
        n_planes = sum(len(stack.plane_names) for stack in stacks)
        if planes:
            notebook.note(f"each slice is a scan, because fewer than half of {len(stacks)} series are volumes")
        else:
            few = f"; --slices each makes {n_planes:,} scans of their slices" if len(volumes) < _FEW_VOLUMES else ""
            notebook.note(f"the scans are {counted(len(volumes), 'volume')}{few}")
    if planes:
        return [Item(stack, i) for stack in stacks for i in range(len(stack.plane_names))]
    if not volumes:
        raise InputError(
            f"'{notebook.source}' holds no volume ({stacks[0].name}: {stacks[0].few})",
            remedy="Leave out slices=False (--volumes).",
        )
    for stack in stacks:
        if stack.volume is None:
            notebook.leave(stack.name, f"{stack.few}, and the others are volumes", stack.n_files)
    return [Item(stack, None) for stack in volumes]


def of_one_kind(items: Sequence[Item], notebook: Notebook) -> list[Item]:
    """Keep the scans of the commonest modality and unit, then those of the commonest number of channels."""
    kinds: Counter[tuple[str, str]] = Counter()
    for item in items:  # a volume counts as its slices
        n_planes = len(item.stack.plane_names) if item.plane is None else 1
        kinds[item.stack.form.modality, item.stack.form.units] += n_planes
    (modality, units), _ = max(kinds.items(), key=lambda one: (one[1], one[0]))
    channels, _ = max(
        Counter(item.stack.channels for item in items if item.stack.form.modality == modality).items(),
        key=lambda one: (one[1], -one[0]),
    )
    kept = []
    gone: dict[tuple[str, str], list[str]] = defaultdict(list)
    for item in items:
        form = item.stack.form
        if (form.modality, form.units) != (modality, units):
            if form.modality != modality:
                reason = f"modality {form.modality}, and most are {modality}: read them on their own"
            else:
                reason = f"values in {form.units or 'no unit'}, and most are in {units or 'no unit'}"
        elif item.stack.channels != channels:
            colours = {1: "grey", 3: "colours"}
            reason = f"{colours[item.stack.channels]}, and most are {colours[channels]}"
        else:
            kept.append(item)
            continue
        if item.file not in gone[item.stack.name, reason]:
            gone[item.stack.name, reason].append(item.file)
    for (name, reason), files in gone.items():
        notebook.leave(name, reason, len(files))
    return kept


def target_size(items: Sequence[Item], size: int | tuple[int, ...] | None, notebook: Notebook) -> tuple[int, ...]:
    """Return the size of the set: the given one, or the commonest (of several equally common ones the smallest).

    Raises
    ------
    InputError
        A size with another number of axes.
    """
    axes = len(items[0].size)
    if size is not None:
        wanted = (size,) * axes if isinstance(size, int) else tuple(size)
        if len(wanted) != axes:
            what = "volumes, expected slices, rows and columns" if axes == 3 else "pictures, expected rows and columns"
            raise InputError(
                f"the size {' x '.join(map(str, wanted))} is for {len(wanted)} axes, and these are {what}",
                remedy="Give one length per axis, or one number for all.",
            )
        return wanted
    sizes = Counter(item.size for item in items)
    best = max(sizes.values())
    wanted = min((one for one, n in sizes.items() if n == best), key=lambda one: (int(np.prod(one)), one))
    if len(sizes) > 1:
        listed = ", ".join(f"{' x '.join(map(str, one))} ({n:,})" for one, n in sizes.most_common(4))
        more = f" and {len(sizes) - 4} more" if len(sizes) > 4 else ""
        notebook.warn(
            f"scans have {len(sizes)} sizes: {listed}{more}; all are brought to {' x '.join(map(str, wanted))}; --size "
            "chooses another"
        )
    return wanted


def common_form(
    items: Sequence[Item], fits: Sequence[Fit | None], notebook: Notebook
) -> tuple[ScanForm, np.dtype[Any]]:
    """Return what the scans have in common, and the dtype that holds all of them; warn of what differs."""
    forms = {id(item.stack): item.stack.form for item in items}.values()
    first = items[0].stack.form
    low, high = min(form.limits[0] for form in forms), max(form.limits[1] for form in forms)
    orientations = Counter(form.orientation for form in forms)
    orientation = orientations.most_common(1)[0][0]
    turned = sum(n for one, n in orientations.items() if _differs(one, orientation))
    if turned:
        notebook.warn(f"{counted(turned, 'series')} lie in other directions than the rest, such as sagittal to axial")
    spacings = [item.spacing if fit is None else fit.spacing for item, fit in zip(items, fits, strict=True)]
    spacing = _spacing(spacings, notebook)
    parts = Counter(form.body_part for form in forms if form.body_part)
    if len(parts) > 1:
        notebook.warn(f"body parts differ: {', '.join(f'{name} ({n})' for name, n in parts.most_common(5))}")
    dtype = np.result_type(*{item.stack.dtype for item in items})
    if dtype == np.float64:  # int32 beside float32
        dtype = np.dtype(np.float32)
    form = replace(
        first,
        bits=max(form.bits for form in forms),
        signed=low < 0,
        limits=(low, high),
        spacing=spacing,
        orientation=orientation,
        body_part=parts.most_common(1)[0][0] if parts else "",
    )
    return form, dtype


def _differs(one: tuple[float, ...] | None, other: tuple[float, ...] | None) -> bool:
    if one is None or other is None:
        return one is not other
    return bool(min(np.dot(one[:3], other[:3]), np.dot(one[3:], other[3:])) < _TURNED)


def _spacing(spacings: Sequence[tuple[float, ...] | None], notebook: Notebook) -> tuple[float, ...] | None:
    known = np.array([one for one in spacings if one is not None])
    if not len(known):
        return None
    middle = np.median(known, axis=0)
    if len(known) < len(spacings):
        notebook.warn(f"the spacing of {counted(len(spacings) - len(known), 'scan')} is unknown")
    if (np.abs(known / middle - 1) > 0.01).any():
        ends = zip(known.min(axis=0), known.max(axis=0), strict=True)
        said = " x ".join(f"{low:.3g}-{high:.3g}" if high > low * 1.001 else f"{low:.3g}" for low, high in ends)
        notebook.warn(f"spacing differs between scans ({said} mm); the median is stated for all")
    return tuple(float(f"{one:.9g}") for one in middle)


def empty_of(form: ScanForm) -> float:
    """Return the value that stands for nothing: air in HU, otherwise 0 where that can be stored, else the lowest."""
    low, high = form.limits
    if form.units == "HU":
        return max(_AIR, low)
    return 0.0 if low <= 0 <= high else low


# ------------------------------------------------------------ names and series


def plain_name(item: Item) -> str:
    """Return the name of a scan without the identifiers that folders and files are often called after."""
    patient = item.stack.patient
    parts = []
    for part in item.name.split("/"):
        stem, dot, ending = part.partition(".")
        if patient is not None and patient in (hashed(part, "patient"), hashed(stem, "patient")):
            part = f"patient-{patient[:8]}" + (dot + ending if patient == hashed(stem, "patient") else "")
        parts.append(_UID.sub(lambda found: f"uid-{hashed(found[0], 'uid')[:8]}", part))
    return "/".join(parts)


def described(kept: Sequence[Labelled], stacks: Sequence[Stack]) -> tuple[FoundSeries, ...]:
    """Return one record per series or volume; single pictures of one folder and size are one record together."""
    used = Counter(id(one.item.stack) for one in kept)
    as_volume = {id(one.item.stack) for one in kept if one.item.plane is None}
    found: list[FoundSeries] = []
    pictures: dict[tuple[object, ...], list[Stack]] = defaultdict(list)
    for stack in stacks:
        if len(stack.plane_names) == 1:
            folder = PurePosixPath(stack.files[0]).parent.as_posix()
            pictures[folder, stack.form.modality, stack.size, stack.form.spacing, stack.channels].append(stack)
            continue
        whole = id(stack) in as_volume
        spacing = stack.form.spacing
        if spacing is not None and stack.slice_spacing is not None:
            spacing = (stack.slice_spacing, *spacing)
        size = (len(stack.plane_names), *stack.size) if stack.volume_size is None else stack.volume_size
        name = plain_name(Item(stack, None))
        found.append(
            FoundSeries(
                name,
                stack.form.modality,
                size if whole else (len(stack.plane_names), *stack.size),
                spacing,
                stack.n_files,
                used[id(stack)],
                stack.notes if whole else (),
            )
        )
    for members in pictures.values():
        first = members[0]
        found.append(
            FoundSeries(
                plain_name(Item(first, None)),
                first.form.modality,
                first.size,
                first.form.spacing,
                len({stack.files[0] for stack in members}),
                sum(used[id(stack)] for stack in members),
                ("colours",) if first.channels == 3 else (),
            )
        )
    return tuple(found)
