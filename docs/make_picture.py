"""Draw docs/images/result.png: a real table that scikit-learn ships beside a synthetic one, from a fit of this version.

    python docs/make_picture.py

Needs matplotlib (extra ``dev``); takes less than a minute. Nothing is chosen by hand but the columns that are shown.
"""

from __future__ import annotations

from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from sklearn.datasets import load_diabetes

from synthkit import TableGAN, evaluate
from synthkit.archive import atomic_path

PICTURE = Path(__file__).resolve().parent / "images" / "result.png"
MOST_BYTES = 200_000
# Okabe and Ito: told apart by readers with any kind of colour vision, and in grey by their lightness
REAL, SYNTHETIC = "#0072B2", "#E69F00"
HISTOGRAMS = ("bmi", "s4", "s6", "progression")
PAIRS = (("s1", "s2"), ("bmi", "progression"))


def main() -> None:
    """Fit, sample, score and draw."""
    patients = load_diabetes(as_frame=True, scaled=False).frame.rename(columns={"target": "progression"})
    holdout = patients.sample(frac=0.2, random_state=7)
    real = patients.drop(index=holdout.index).reset_index(drop=True)
    model = TableGAN(random_state=0, verbose=False).fit(real, target="progression")
    synthetic = model.sample(len(real), random_state=1)
    auc = evaluate(real, synthetic, test=holdout.reset_index(drop=True))["c2st_tree"].value
    mpl.rcParams.update({"font.size": 8, "axes.spines.top": False, "axes.spines.right": False})
    figure = draw(real, synthetic, auc)
    with atomic_path(PICTURE) as temporary:
        figure.savefig(temporary, format="png", dpi=110, metadata={"Software": None})
    size = PICTURE.stat().st_size
    print(f"{PICTURE.name}: {size:,} bytes, boosted two-sample AUC {auc:.3f}")
    if size > MOST_BYTES:
        raise SystemExit(f"the picture has {size:,} bytes, more than {MOST_BYTES:,}")


def draw(real: pd.DataFrame, synthetic: pd.DataFrame, auc: float) -> Figure:
    """Draw single columns, pairs of columns and correlations."""
    figure = plt.figure(figsize=(9.5, 5.2), layout="constrained")
    figure.suptitle(
        f"{len(real)} patients (diabetes study, shipped with scikit-learn) and as many synthetic ones; "
        f"boosted trees tell them apart with AUC {auc:.2f} (0.5 is guessing)",
        fontsize=9,
    )
    top, bottom = figure.subfigures(2, 1, height_ratios=[1, 1.35])
    for axes, name in zip(top.subplots(1, len(HISTOGRAMS)), HISTOGRAMS, strict=True):
        histogram(axes, real[name], synthetic[name], name)
    top.axes[0].legend(frameon=False, loc="upper right")
    *pairs, correlations = bottom.subplots(1, len(PAIRS) + 1)
    for axes, (x, y) in zip(pairs, PAIRS, strict=True):
        scatter(axes, real, synthetic, x, y)
    correlation_difference(figure, correlations, real, synthetic)
    return figure


def histogram(axes: Axes, real: pd.Series, synthetic: pd.Series, name: str) -> None:
    """Draw one column of both tables."""
    edges = np.histogram_bin_edges(pd.concat([real, synthetic]), bins=20)
    axes.hist(real, edges, color=REAL, alpha=0.35, label="real")
    axes.hist(synthetic, edges, histtype="step", color=SYNTHETIC, linewidth=1.6, label="synthetic")
    axes.set(title=name, yticks=[])
    axes.spines["left"].set_visible(False)


def scatter(axes: Axes, real: pd.DataFrame, synthetic: pd.DataFrame, x: str, y: str) -> None:
    """Draw two columns against each other; shapes differ as well as colours."""
    axes.scatter(real[x], real[y], s=11, marker="o", color=REAL, alpha=0.5, linewidths=0)
    axes.scatter(synthetic[x], synthetic[y], s=14, marker="+", color=SYNTHETIC, linewidths=0.9)
    found = [table[x].corr(table[y]) for table in (real, synthetic)]
    axes.set(xlabel=x, ylabel=y, title=f"correlation {found[0]:.2f} real, {found[1]:.2f} synthetic")


def correlation_difference(figure: Figure, axes: Axes, real: pd.DataFrame, synthetic: pd.DataFrame) -> None:
    """Draw synthetic minus real correlation of all pairs of columns."""
    difference = (synthetic.corr() - real.corr()).to_numpy()
    image = axes.imshow(difference, cmap="PuOr", vmin=-0.5, vmax=0.5)
    pairs = difference[np.triu_indices_from(difference, k=1)]
    axes.set_title(f"correlation, synthetic - real\nmean size of the difference {np.abs(pairs).mean():.3f}")
    axes.set_xticks(range(len(real.columns)), real.columns, rotation=90)
    axes.set_yticks(range(len(real.columns)), real.columns)
    figure.colorbar(image, ax=axes, shrink=0.8)


if __name__ == "__main__":
    main()
