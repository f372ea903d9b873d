"""What the report of scans shows: grids of either kind at one window, class by class, and rows of neighbours."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from synthkit.evaluation.scans.case import ScanCase
from synthkit.evaluation.scans.distances import Features
from synthkit.evaluation.scans.pictures import grid_png, triples_png, window_of
from synthkit.evaluation.scans.records import ClassGrids, Curve, ScanPictures
from synthkit.io.scan_set import ScanSet

_EACH = {2: 12, 3: 2}
_COLUMNS = {2: 4, 3: 1}
_MOST_CLASSES = 24
_NEIGHBOURS = {2: 8, 3: 4}


def draw_pictures(
    case: ScanCase,
    features: Mapping[str, Features],
    rows: Mapping[str, npt.NDArray[np.int64]],
    histogram: Curve,
    spectrum: Curve,
) -> ScanPictures:
    """Return what the report shows.

    Parameters
    ----------
    case
        The scans.
    features
        Of the scans that were compared, by kind.
    rows
        Positions of these scans, by kind.
    histogram, spectrum
        The curves.
    """
    dimensions = len(case.train.size)
    # The window of the real scans: synthetic values beyond it show as black and white, as a viewer would show them.
    window = window_of(case.train.images, case.held_out.images)
    grids = []
    for place, name in enumerate(case.classes[:_MOST_CLASSES] or ("",)):
        chosen = [_some(case, scans, place if case.classes else None) for scans in (case.train, case.synthetic)]
        if all(len(one) for one in chosen):
            pictures = [
                grid_png(
                    scans.images,
                    window=window,
                    columns=_COLUMNS[dimensions],
                    zoom=_zoom(scans.size),
                    spacing=_spacing(scans),
                )
                for scans in chosen
            ]
            grids.append(ClassGrids(name, *pictures))
    neighbours, texts = _neighbours(case, features, rows, window)
    return ScanPictures(tuple(grids), neighbours, texts, window, histogram, spectrum)


def _some(case: ScanCase, scans: ScanSet, label: int | None) -> ScanSet:
    """Return a few scans of a class, drawn at random: nobody picks the best."""
    found = np.arange(len(scans)) if label is None else np.flatnonzero(scans.labels == label)
    order = case.random.numpy(f"shown {label}").permutation(len(found))
    return scans.take(found[order[: _EACH[len(scans.size)]]])


def _neighbours(
    case: ScanCase,
    features: Mapping[str, Features],
    rows: Mapping[str, npt.NDArray[np.int64]],
    window: tuple[float, float],
) -> tuple[tuple[bytes, ...], tuple[str, ...]]:
    """Return rows of the scans that lie nearest to a training scan in comparison to a held-out one."""
    from sklearn.metrics import pairwise_distances_argmin_min

    found = {
        kind: pairwise_distances_argmin_min(features["synthetic"], features[kind]) for kind in ("real", "held-out")
    }
    ratio = found["real"][1] / np.maximum(found["held-out"][1], 1e-12)
    worst = np.argsort(ratio, kind="stable")[: _NEIGHBOURS[len(case.train.size)]]
    synthetic = case.synthetic.images[rows["synthetic"][worst]]
    training = case.train.images[rows["real"][found["real"][0][worst]]]
    held_out = case.held_out.images[rows["held-out"][found["held-out"][0][worst]]]
    shown = (synthetic, training, held_out)
    each = [slice(row, row + 1) for row in range(len(worst))] if synthetic.ndim == 5 else [slice(None)]
    pictures = tuple(
        triples_png(
            *(images[part] for images in shown),
            window=window,
            zoom=_zoom(case.train.size),
            spacing=_spacing(case.train),
        )
        for part in each
    )
    texts = tuple(
        f"{found['real'][1][place]:.2f} from the nearest training scan, {found['held-out'][1][place]:.2f} from the "
        "nearest held-out scan"
        for place in worst
    )
    return pictures, texts


def _zoom(size: tuple[int, ...]) -> int:
    return max(1, min(4, 128 // max(size[-2:])))


def _spacing(scans: ScanSet) -> tuple[float, ...] | None:
    spacing = scans.form.spacing
    return spacing if spacing is not None and len(spacing) == len(scans.size) == 3 else None
