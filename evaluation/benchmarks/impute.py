"""Imputation of masked real cells: TableGAN against scikit-learn's IterativeImputer, mean and mode, and a hot deck.

    python evaluation/benchmarks/impute.py --data FOLDER [--only adult,mammography] [--mechanisms mcar] [--render]

Of each table 4,000 complete rows are drawn, cells are masked by a seeded mechanism, and every method completes the same
masked table. What is compared with the true cells is said in docs/benchmarks-impute.md. About 20 minutes on one core.
"""

from __future__ import annotations

import argparse
import json
import os
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
import pandas as pd
from command import write_runs
from impute_page import page
from numpy.typing import NDArray
from scipy.stats import wasserstein_distance
from sklearn.experimental import enable_iterative_imputer  # noqa: F401
from sklearn.impute import IterativeImputer
from sklearn.metrics import r2_score, roc_auc_score
from tables import SOURCES, machine, split

from synthkit import TableGAN, pool_estimates
from synthkit.archive import atomic_path

ROOT = Path(__file__).resolve().parents[2]
OUT = ROOT / "evaluation" / "baselines" / "impute.json"
PAGE = ROOT / "docs" / "benchmarks-impute.md"
TABLES = ("adult", "online_shoppers", "credit_default", "beijing_pm25", "mammography")
MECHANISMS = ("mcar", "mar", "mnar")
ROWS, DRAWS, TEST_ROWS = 4_000, 5, 5_000
# Columns of labels that are written as numbers; every method is told so.
LABELS = {
    "credit_default": ("SEX", "EDUCATION", "MARRIAGE", "default payment next month"),
    "online_shoppers": ("OperatingSystems", "Browser", "Region", "TrafficType", "Weekend", "Revenue"),
    "mammography": ("class",),
}
LEFT_OUT = {"beijing_pm25": ("No",)}  # the number of the row
LEAST_SHARE = 0.05  # of a label, for its share to be an estimand
CONFIDENCE = 0.9
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Case:
    """A table with known truth: 4,000 rows, the population that they were drawn from, and rows to test models on."""

    name: str
    target: str
    truth: pd.DataFrame
    population: pd.DataFrame
    test: pd.DataFrame

    @property
    def labels(self) -> list[str]:
        return [name for name in self.truth if self.truth[name].dtype == object]

    @property
    def numbers(self) -> list[str]:
        return [name for name in self.truth if self.truth[name].dtype != object]


def read(folder: Path, name: str) -> Case:
    """Complete rows only, so that every masked cell has a true value; labels as text, numbers as floats."""
    parts = []
    for frame in split(folder, name):
        kept = frame.drop(columns=list(LEFT_OUT.get(name, ()))).dropna().reset_index(drop=True)
        for column in kept:
            label = kept[column].dtype in (object, bool) or column in LABELS.get(name, ())
            kept[column] = kept[column].astype(str if label else float).astype(object if label else float)
            if column in LABELS.get(name, ()):
                kept[column] = "label " + kept[column]  # so that nobody takes them for numbers
        parts.append(kept)
    population, test = parts
    truth = population.sample(min(ROWS, len(population)), random_state=0).reset_index(drop=True)
    return Case(name, SOURCES[name].target, truth, population, test.head(TEST_ROWS))


# -- masks ------------------------------------------------------------------------------------------------------------


def standing(frame: pd.DataFrame) -> NDArray[np.float64]:
    """Rank of every cell in its column, standardised; labels by how frequent they are."""
    ranks = []
    for name in frame:
        column = frame[name]
        values = column.map(column.value_counts()) if column.dtype == object else column
        rank = values.rank(pct=True).to_numpy()
        ranks.append((rank - rank.mean()) / max(rank.std(), 1e-9))
    return np.stack(ranks, axis=1)


def mask(frame: pd.DataFrame, mechanism: str, rng: np.random.Generator) -> Mask:
    """Cells to hide.

    mcar: each cell with chance 20 %. mar: half of the columns, drawn at random, stay; each of the others loses 30 % of
    its cells with log-odds that rise by 2 per standard deviation of the rank of one of the columns that stay. mnar:
    each column loses 20 % with log-odds that rise by 2 per standard deviation of the cell's own rank.
    """
    n, columns = frame.shape
    if mechanism == "mcar":
        return rng.random((n, columns)) < 0.2
    ranks = standing(frame)
    hidden = np.zeros((n, columns), dtype=bool)
    order = rng.permutation(columns)
    stay, lose = order[: columns // 2], order[columns // 2 :]
    for column in lose if mechanism == "mar" else range(columns):
        driver = rng.choice(stay) if mechanism == "mar" else column
        slope = 2 * ranks[:, driver]
        wanted = 0.3 if mechanism == "mar" else 0.2
        low, high = -20.0, 20.0
        for _ in range(60):
            middle = (low + high) / 2
            share = (1 / (1 + np.exp(-(middle + slope)))).mean()
            low, high = (middle, high) if share < wanted else (low, middle)
        hidden[:, column] = rng.random(n) < 1 / (1 + np.exp(-(low + slope)))
    return hidden


def masked(truth: pd.DataFrame, hidden: Mask) -> pd.DataFrame:
    out = truth.copy()
    for place, name in enumerate(truth):
        out.loc[hidden[:, place], name] = None if truth[name].dtype == object else np.nan
    return out


# -- methods ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Completed:
    """Completed tables: draws from the law of the cells, one of best guesses, and the seconds of both."""

    draws: list[pd.DataFrame]
    guess: pd.DataFrame
    seconds_draws: float
    seconds_guess: float


def tablegan(refined: bool) -> Callable[[pd.DataFrame, Case, int], Completed]:
    """A model of the masked table alone, as `synthkit impute` fits it; its seconds are in those of the draws."""

    def run(holes: pd.DataFrame, case: Case, draws: int) -> Completed:
        start = time.perf_counter()
        model = TableGAN(refine=False, adversary="off", time_budget=None, random_state=0, verbose=False).fit(holes)
        drawn = model.impute(holes, multiple=draws, random_state=0, refined=refined)
        middle = time.perf_counter()
        guess = model.impute(holes, strategy="mean", random_state=0, refined=refined)
        return Completed(drawn, guess, middle - start, time.perf_counter() - middle)

    return run


def iterative(encoding: str) -> Callable[[pd.DataFrame, Case, int], Completed]:
    """IterativeImputer (BayesianRidge): labels one-hot and the largest wins, or as numbers from 0 and rounded.

    Draws are from its posterior, kept in the observed range and rounded to the decimals of the column; best guesses are
    its defaults, kept in the observed range and not rounded.
    """

    def run(holes: pd.DataFrame, case: Case, draws: int) -> Completed:
        blocks: list[NDArray[np.float64]] = []
        values: list[list[str]] = []
        for name in holes:
            column, labels = holes[name], []
            if name in case.labels:
                labels = sorted(column.dropna().unique())
                codes = column.map({label: place for place, label in enumerate(labels)}).to_numpy(dtype=float)
                one_hot = np.where(np.isnan(codes)[:, None], np.nan, codes[:, None] == np.arange(len(labels)))
                blocks.append(one_hot if encoding == "one-hot" else codes[:, None])
            else:
                blocks.append(column.to_numpy(dtype=float)[:, None])
            values.append(labels)
        numbers = np.hstack(blocks)
        low, high = np.nanmin(numbers, axis=0), np.nanmax(numbers, axis=0)
        high = np.where(high > low, high, low + 1e-9)  # a column with one observed value

        def one(posterior: bool, seed: int) -> pd.DataFrame:
            imputer = IterativeImputer(sample_posterior=posterior, random_state=seed, min_value=low, max_value=high)
            filled = imputer.fit_transform(numbers)
            out, start = holes.copy(), 0
            for name, labels, block in zip(holes, values, blocks, strict=True):
                own = filled[:, start : start + block.shape[1]]
                start += block.shape[1]
                gaps = holes[name].isna().to_numpy()
                if labels:
                    place = own.argmax(axis=1) if encoding == "one-hot" else np.rint(own[:, 0]).astype(int)
                    out.loc[gaps, name] = np.array(labels, dtype=object)[place.clip(0, len(labels) - 1)][gaps]
                else:
                    rounded = np.round(own[:, 0], decimals(holes[name])) if posterior else own[:, 0]
                    out.loc[gaps, name] = rounded[gaps]
            return out

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that ten rounds were not enough to converge
            start = time.perf_counter()
            drawn = [one(True, seed) for seed in range(draws)]
            middle = time.perf_counter()
            guess = one(False, 0)
        return Completed(drawn, guess, middle - start, time.perf_counter() - middle)

    return run


def decimals(column: pd.Series) -> int:
    known = column.dropna().to_numpy()
    return next((places for places in range(8) if np.allclose(known, np.round(known, places), atol=1e-12, rtol=0)), 15)


def simple(holes: pd.DataFrame, case: Case, draws: int) -> Completed:
    """Observed cells of the same column, drawn at random (hot deck); mean and mode as best guess."""
    start = time.perf_counter()
    drawn = []
    for seed in range(draws):
        rng, out = np.random.default_rng(seed), holes.copy()
        for name in holes:
            gaps = holes[name].isna().to_numpy()
            out.loc[gaps, name] = rng.choice(holes[name].dropna().to_numpy(), gaps.sum())
        drawn.append(out)
    middle = time.perf_counter()
    best = {name: holes[name].mode()[0] if name in case.labels else holes[name].mean() for name in holes}
    return Completed(drawn, holes.fillna(best), middle - start, time.perf_counter() - middle)


def complete(holes: pd.DataFrame, case: Case, draws: int) -> Completed:
    """The truth: what scores the best possible imputation has."""
    return Completed([case.truth] * draws, case.truth, 0.0, 0.0)


METHODS: dict[str, Callable[[pd.DataFrame, Case, int], Completed]] = {
    "complete": complete,
    "tablegan": tablegan(True),
    "tablegan-codes": tablegan(False),
    "iterative-onehot": iterative("one-hot"),
    "iterative-ordinal": iterative("ordinal"),
    "simple": simple,
}


# -- scores -----------------------------------------------------------------------------------------------------------


def scores(case: Case, hidden: Mask, found: Completed) -> dict[str, Any]:
    """All scores of one method."""
    few = found.draws[:2]  # more of them change the third decimal
    return {
        "marginal": float(np.mean([marginal(case, hidden, draw) for draw in few])),
        "trend": float(np.mean([trend(case, draw) for draw in few])),
        "two_sample_auc": float(np.mean([two_sample(case, draw) for draw in few])),
        "predictive": float(np.mean([predictive(case, draw) for draw in few])),
        **point(case, hidden, found.guess),
        **(coverage(case, found.draws) if len(found.draws) > 1 else {}),
        "seconds_draws": found.seconds_draws / len(found.draws),
        "seconds_guess": found.seconds_guess,
    }


def marginal(case: Case, hidden: Mask, draw: pd.DataFrame) -> float:
    """Wasserstein distance in standard deviations, or total variation, of drawn against true cells; mean of columns."""
    found = []
    for place, name in enumerate(case.truth):
        rows = hidden[:, place]
        true, drawn = case.truth[name][rows], draw[name][rows]
        if not len(true):
            continue
        if name in case.labels:
            difference = true.value_counts(normalize=True).subtract(drawn.value_counts(normalize=True), fill_value=0)
            found.append(float(difference.abs().sum() / 2))
        else:
            found.append(wasserstein_distance(true, drawn) / max(case.truth[name].std(), 1e-12))
    return float(np.mean(found))


def trend(case: Case, draw: pd.DataFrame) -> float:
    """Total variation of the joint law of two columns, numbers in deciles, completed against true; mean of pairs."""
    true, drawn = (in_bins(case, frame) for frame in (case.truth, draw))
    found = []
    for one in range(true.shape[1]):
        for other in range(one):
            tables = [np.bincount(bins[:, one] * 64 + bins[:, other], minlength=4096) for bins in (true, drawn)]
            found.append(np.abs(tables[0] - tables[1]).sum() / 2 / len(true))
    return float(np.mean(found))


def in_bins(case: Case, frame: pd.DataFrame) -> NDArray[np.int64]:
    columns = []
    for name in case.truth:
        if name in case.labels:
            labels = {label: place for place, label in enumerate(case.truth[name].value_counts().index[:62])}
            columns.append(frame[name].map(labels).fillna(62).to_numpy(dtype=np.int64))
        else:
            edges = np.unique(np.quantile(case.truth[name], np.linspace(0, 1, 11)[1:-1]))
            columns.append(np.searchsorted(edges, frame[name], side="right"))
    return np.stack(columns, axis=1)


def coded(case: Case, frame: pd.DataFrame, left_out: str | None = None) -> NDArray[np.float64]:
    columns = []
    for name in case.truth:
        if name == left_out:
            continue
        labels = {label: place for place, label in enumerate(sorted(case.population[name].unique()))}
        columns.append((frame[name].map(labels) if name in case.labels else frame[name]).to_numpy(dtype=float))
    return np.stack(columns, axis=1)


TREES = {"num_leaves": 31, "learning_rate": 0.1, "min_data_in_leaf": 20, "verbose": -1, "num_threads": 1, "seed": 0}


def two_sample(case: Case, draw: pd.DataFrame) -> float:
    """Cross-validated AUC of boosted trees between one half of the true rows and the other half, completed."""
    true, drawn = coded(case, case.truth), coded(case, draw)
    rng, found = np.random.default_rng(0), []
    for _ in range(2):
        order = rng.permutation(len(true))
        half = len(true) // 2
        rows = np.concatenate([true[order[:half]], drawn[order[half : 2 * half]]])
        kind = np.repeat([1.0, 0.0], half)
        fold, score = rng.permutation(2 * half) % 3, np.zeros(2 * half)
        for number in range(3):
            data = lightgbm.Dataset(rows[fold != number], kind[fold != number])
            trees = lightgbm.train({**TREES, "objective": "binary"}, data, 100)
            score[fold == number] = trees.predict(rows[fold == number])
        found.append(roc_auc_score(kind, score))
    return float(np.mean(found))


def predictive(case: Case, draw: pd.DataFrame) -> float:
    """ROC AUC (or R2) on real complete rows of boosted trees that learned the target from the completed table."""
    rows, test = coded(case, draw, case.target), coded(case, case.test, case.target)
    if case.target in case.numbers:
        trees = lightgbm.train({**TREES, "objective": "regression"}, lightgbm.Dataset(rows, draw[case.target]), 100)
        return float(r2_score(case.test[case.target], trees.predict(test)))
    rare = case.truth[case.target].value_counts().index[-1]
    data = lightgbm.Dataset(rows, (draw[case.target] == rare).astype(float))
    trees = lightgbm.train({**TREES, "objective": "binary", "learning_rate": 0.05}, data, 100)
    return float(roc_auc_score(case.test[case.target] == rare, trees.predict(test)))


def point(case: Case, hidden: Mask, guess: pd.DataFrame) -> dict[str, Any]:
    """Root mean squared error in standard deviations of numbers, share of wrong labels; means of columns."""
    errors = {}
    for place, name in enumerate(case.truth):
        rows = hidden[:, place]
        true, guessed = case.truth[name][rows].to_numpy(), guess[name][rows].to_numpy()
        if not len(true):
            continue
        if name in case.labels:
            errors[name] = float((true != guessed).mean())
        else:
            errors[name] = float(np.sqrt(((true - guessed) ** 2).mean()) / max(case.truth[name].std(), 1e-12))
    numbers = [error for name, error in errors.items() if name in case.numbers]
    labels = [error for name, error in errors.items() if name in case.labels]
    return {
        "point": float(np.mean(list(errors.values()))),
        "nrmse": float(np.mean(numbers)) if numbers else None,
        "wrong_labels": float(np.mean(labels)) if labels else None,
        "point_by_column": errors,
    }


def coverage(case: Case, draws: list[pd.DataFrame]) -> dict[str, Any]:
    """Share of 90 % intervals by Rubin's rules that hold the value of the whole table, and their mean width in errors.

    Estimands: means of numbers, shares of labels of at least 5 %, correlations of numbers. The rows are drawn without
    replacement, for which the variance within is corrected. Errors: standard errors of the complete rows.
    """
    n, whole = len(case.truth), len(case.population)
    finite = np.sqrt(1 - n / whole) if whole > n else 1.0
    truth = estimates(case, case.population)
    complete = estimates(case, case.truth)
    drawn = [estimates(case, draw) for draw in draws]
    groups: dict[str, list[bool]] = {}
    widths = []
    for key, (value, _) in truth.items():
        pooled = pool_estimates(
            [one[key][0] for one in drawn], [one[key][1] * finite for one in drawn], confidence=CONFIDENCE
        )
        groups.setdefault(key[0], []).append(pooled.low <= value <= pooled.high)
        widths.append((pooled.high - pooled.low) / 2 / 1.645 / max(complete[key][1] * finite, 1e-12))
    every = [hit for hits in groups.values() for hit in hits]
    return {
        "coverage": float(np.mean(every)),
        "coverage_by_kind": {kind: [int(sum(hits)), len(hits)] for kind, hits in groups.items()},
        "interval_width": float(np.median(widths)),
    }


def estimates(case: Case, frame: pd.DataFrame) -> dict[tuple[str, ...], tuple[float, float]]:
    n, found = len(frame), {}
    for name in case.numbers:
        found["mean", name] = (float(frame[name].mean()), float(frame[name].std() / np.sqrt(n)))
    for name in case.labels:
        shares = case.population[name].value_counts(normalize=True)
        for label in shares.index[shares >= LEAST_SHARE]:
            share = float((frame[name] == label).mean())
            found["share", name, label] = (share, float(np.sqrt(share * (1 - share) / n)))
    numbers = frame[case.numbers].to_numpy()
    z = np.arctanh(np.clip(np.corrcoef(numbers, rowvar=False), -0.9999, 0.9999))
    for one, first in enumerate(case.numbers):
        for other, second in enumerate(case.numbers[:one]):
            found["correlation", first, second] = (float(z[one, other]), 1 / np.sqrt(n - 3))
    return found


# -- all of it --------------------------------------------------------------------------------------------------------


def rounded(value: Any) -> Any:
    if isinstance(value, float):
        return round(value, 5)
    if isinstance(value, dict):
        return {key: rounded(entry) for key, entry in value.items()}
    return value


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=os.environ.get("SYNTHKIT_DATA"))
    parser.add_argument("--only", type=lambda text: text.split(","), default=list(TABLES))
    parser.add_argument("--mechanisms", type=lambda text: text.split(","), default=list(MECHANISMS))
    parser.add_argument("--methods", type=lambda text: text.split(","), default=list(METHODS))
    parser.add_argument("--render", action="store_true", help="only write the page from the record")
    options = parser.parse_args()
    runs = {tuple(run["key"]): run for run in json.loads(OUT.read_text())["runs"]} if OUT.exists() else {}
    if not options.render and options.data is None:
        raise SystemExit("say where the tables are: --data FOLDER, or SYNTHKIT_DATA")
    for mechanism in [] if options.render else options.mechanisms:
        for name in options.only:
            case = read(Path(options.data), name)
            hidden = mask(case.truth, mechanism, np.random.default_rng(MECHANISMS.index(mechanism)))
            holes = masked(case.truth, hidden)
            for method in options.methods:
                # intervals need several tables; elsewhere one is enough and the posterior draws of peers are slow
                found = METHODS[method](holes, case, DRAWS if mechanism == "mcar" else 1)
                key = (mechanism, name, method)
                runs[key] = {"key": list(key), "rows": len(case.truth), **rounded(scores(case, hidden, found))}
                shown = ("marginal", "trend", "two_sample_auc", "predictive", "point", "coverage", "seconds_draws")
                print(*key, {score: runs[key][score] for score in shown if score in runs[key]}, flush=True)
                order = [(m, t, one) for m in MECHANISMS for t in TABLES for one in METHODS]
                write_runs(OUT, machine(), [runs[one] for one in order if one in runs])
    if runs:
        with atomic_path(PAGE) as temporary:
            temporary.write_text(page(json.loads(OUT.read_text())), encoding="utf-8")


if __name__ == "__main__":
    main()
