"""Writes the golden model of scans and what it draws: ``python tests/golden/make_scans_model.py``, once per version.

A later version of synthkit must open the model of every version of the part about scans, whatever its recipes have
become, and draw scans of the same form; the samples themselves are the same up to rounding.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from synthkit import ScanForm, ScanGAN, ScanSet
from synthkit.scans.storage import VERSION

HERE = Path(__file__).parent


def heads(n: int = 40) -> ScanSet:
    """Made-up CT slices of two classes with a lesion in one of them, in HU."""
    rng = np.random.default_rng(42)
    rows, columns = np.meshgrid(np.arange(12), np.arange(10), indexing="ij")
    labels = np.arange(n) % 2
    inside = np.hypot(rows - 6, columns - 5) < 4.5
    lesion = np.hypot(rows - 6, columns - 5) < 2
    images = np.where(inside, 40, -1000) + rng.integers(-9, 10, (n, 12, 10))
    images[labels == 1] += np.where(lesion, 300, 0)
    form = ScanForm("CT", "HU", 12, False, (-1024.0, 3071.0), (1.5, 0.8), body_part="HEAD")
    masks = np.where(labels[:, None, None] == 1, lesion, False).astype(np.uint8)
    return ScanSet(images[:, None].astype(np.int16), labels, ("normal", "lesion"), masks, form=form)


if __name__ == "__main__":
    gan = ScanGAN(steps=4, batch=4, widths=(8, 4), random_state=0, time_budget=None, verbose=False).fit(heads())
    gan.save(HERE / f"scans-v{VERSION}.synth")
    drawn = gan.sample(6, random_state=1)
    np.savez_compressed(HERE / f"scans-v{VERSION}.npz", images=drawn.images, labels=drawn.labels, masks=drawn.masks)
