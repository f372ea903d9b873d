"""Synthetic pictures as PNG, 8 or 16 bits of grey or 8 bits of colour; and any scans as one npz of arrays."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from synthkit.errors import InputError
from synthkit.io.provenance import Provenance
from synthkit.io.scan_set import ScanSet
from synthkit.io.stored_values import stored_values

ARRAYS = "scans.npz"


def write_png(scans: ScanSet, folder: Path, *, provenance: Provenance) -> tuple[Path, ...]:
    """Write each picture as ``000001.png`` and each mask as ``masks/000001.png``.

    Parameters
    ----------
    scans
        Pictures, no volumes.
    folder
        Exists and is empty.
    provenance
        In the text chunks of each file, with the slope and intercept of its values where they are not 1 and 0.

    Raises
    ------
    InputError
        Pillow is missing, the scans are volumes, values are not finite, or colours have more than 8 bits.
    """
    try:
        from PIL import Image, PngImagePlugin
    except ImportError as error:
        raise InputError("PNG needs the package pillow", remedy="pip install 'synthkit[scans]'.") from error
    if len(scans.size) == 3:
        raise InputError("PNG holds pictures, and these scans are volumes", remedy="Write dicom, nifti or npz.")
    values = stored_values(scans)
    if scans.channels != 1 and (scans.channels != 3 or values.bits > 8 or values.rescales):
        raise InputError(
            f"scans with {scans.channels} channels of {values.bits} bits do not fit PNG, expected one channel, or "
            "three colours from 0 to 255",
            remedy="Write npz.",
        )
    if scans.masks is not None:
        (folder / "masks").mkdir()
    written = []
    digits = max(6, len(str(len(scans))))
    for i in range(len(scans)):
        about = PngImagePlugin.PngInfo()
        rule = {"slope": values.slope, "intercept": values.intercept} if values.rescales else {}
        about.add_text("Software", f"synthkit {provenance.version}")
        about.add_text("Description", provenance.describe(i))
        about.add_text("Provenance", provenance.to_json(index=i, units=scans.form.units, **rule))
        name = f"{i + 1:0{digits}}.png"
        stored = values.stored(scans.images[i])
        picture = stored[0] if len(stored) == 1 else np.moveaxis(stored, 0, -1)
        Image.fromarray(np.ascontiguousarray(picture)).save(folder / name, pnginfo=about)
        written.append(folder / name)
        if scans.masks is not None:
            mask = scans.masks[i].astype("u1" if scans.masks.max(initial=0) < 256 else "<u2")
            Image.fromarray(mask).save(folder / "masks" / name, pnginfo=about)
    return tuple(written)


def write_npz(scans: ScanSet, folder: Path, *, provenance: Provenance) -> tuple[Path, ...]:
    """Write all scans as arrays into ``scans.npz``: images, labels, classes, masks, form and provenance.

    Values are kept as they are. The texts `form` and `provenance` are JSON; nothing has to be unpickled.
    """
    arrays: dict[str, Any] = {"images": scans.images, "form": np.array(json.dumps(scans.form.to_dict()))}
    if scans.labels is not None:
        arrays |= {"labels": scans.labels, "classes": np.array(scans.classes)}
    if scans.masks is not None:
        arrays["masks"] = scans.masks
    if scans.patients is not None:
        arrays["patients"] = scans.groups.astype(str)  # who belongs together, never who it is
    arrays["provenance"] = np.array(provenance.to_json())
    path = folder / ARRAYS
    np.savez_compressed(path, **arrays)
    return (path,)
