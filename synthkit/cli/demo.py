"""``synthkit demo``: a real, imbalanced table from inspection to a verdict, without network and in about a minute."""

from __future__ import annotations

import json
import sys
import time
from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from synthkit.cli.common import PATH
from synthkit.plain_json import plain_json

if TYPE_CHECKING:
    import pandas as pd
    from rich.console import Console

    from synthkit.evaluation import Evaluation
    from synthkit.tables.gan import TableGAN

TARGET, RARE, COMMON = "diagnosis", "malignant", "benign"
RARE_SHARE = 0.05
TRAIN_SHARE = 0.6
SPLITS = 10
# No further split is begun after so many seconds: the demonstration keeps its promise of two minutes on a slow machine
# too.
_LAST_START = 75.0
_OUTCOME = {1: "that helped", 0: "no clear difference", -1: "that hurt"}
NOTHING, REPEATED, INTERPOLATED, GENERATED = "as it is", "rare rows repeated", "interpolation (SMOTE)", "TableGAN"
# ways, models and measures of the experiment by the names that readers see here
_WAYS = {NOTHING: "none", REPEATED: "oversampling", INTERPOLATED: "smote-nc", GENERATED: "tablegan-balance"}
_MODELS = {"logistic regression": "linear", "gradient boosting": "boosted"}
_MEASURES = {
    "recall": "recall",
    "false alarms": "false_alarms",
    "balanced accuracy": "balanced_accuracy",
    "ROC AUC": "roc_auc",
}


@click.command()
@click.option("-o", "--output", "folder", metavar="FOLDER", type=PATH, help="Keep model, tables and scores there.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Seed of every draw.")
@click.option("--splits", type=click.IntRange(min=2), default=SPLITS, show_default=True, help="Repetitions.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of text.")
def command(folder: Path | None, seed: int, splits: int, as_json: bool) -> None:
    """Balance a real medical table in which malignant tumours are rare, and see honestly whether that helps."""
    from rich.console import Console

    started = time.perf_counter()
    if folder is not None:
        _make_folder(folder)
    console = Console(quiet=as_json, highlight=False, width=None if sys.stdout.isatty() else 100)
    table = _breast_cancer()
    train, test = _split(table, seed)
    _tell_table(console, table, train, test)
    from synthkit.evaluation.threads import few_threads
    from synthkit.tables.gan import TableGAN  # noqa: F401  # loads torch, which is to hear of the one thread

    with few_threads(len(table)):
        model = _fit(console, train, seed)
        evaluation = _evaluate(console, model, train, test, seed)
        results = _compare(console, table, seed, splits, started)
    verdict = _tell_results(console, results, len(test) / len(train))
    facts = {
        "seed": seed,
        "splits": int(results["split"].nunique()),
        "fit": model.report_,
        "evaluation": evaluation.to_dict(),
        "balancing": results.to_dict(orient="records"),
        "verdict": verdict,
        "seconds": round(time.perf_counter() - started, 1),
    }
    if folder is not None:
        _keep(folder, model, train, seed, facts, evaluation)
        kept = "model.synth, synthetic.csv, balanced.csv, report.html, scores.json"
        console.print(f"\nKept in {folder}: {kept}", soft_wrap=True)
    console.print(f"\nDone in {facts['seconds']:.0f} seconds.")
    if as_json:
        click.echo(json.dumps(plain_json(facts), indent=2))


def _heading(console: Console, text: str) -> None:
    console.print(f"\n[bold]{text}[/bold]")


# ------------------------------------------------------------ the table


def _breast_cancer() -> pd.DataFrame:
    """Return the mean measurements of breast tumours that scikit-learn ships (Wisconsin, Street et al. 1993).

    The other twenty columns are errors and extremes of the same ten measurements.
    """
    from sklearn.datasets import load_breast_cancer

    bunch = load_breast_cancer(as_frame=True)
    table: pd.DataFrame = bunch.data.filter(like="mean ").copy()
    table[TARGET] = bunch.target.map({0: RARE, 1: COMMON})
    return table


def _split(table: pd.DataFrame, seed: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return training rows in which the rare class is thinned out, and all other rows to judge by."""
    import pandas as pd

    from synthkit.random import RandomSource

    order = RandomSource(seed).child("demo").numpy("split").permutation(len(table))
    cut = round(TRAIN_SHARE * len(table))
    train, test = table.iloc[order[:cut]], table.iloc[order[cut:]]
    common, rare = (train[train[TARGET] == label] for label in (COMMON, RARE))
    thinned = rare.head(round(RARE_SHARE / (1 - RARE_SHARE) * len(common)))
    return pd.concat([common, thinned]).sort_index().reset_index(drop=True), test.reset_index(drop=True)


def _tell_table(console: Console, table: pd.DataFrame, train: pd.DataFrame, test: pd.DataFrame) -> None:
    from collections import Counter

    from synthkit.schema import Schema

    _heading(console, "1. The table")
    types = Counter(column.type for column in Schema.infer(train, target=TARGET))
    counts = train[TARGET].value_counts()
    found = ", ".join(f"{count} {kind}" for kind, count in types.most_common())
    console.print(
        f"Breast tumours (Wisconsin; ships with scikit-learn): {len(table)} rows, {table.shape[1]} columns ({found}). "
        f"To make them rare, most malignant tumours are left out of the training rows: {counts[COMMON]} benign, "
        f"{counts[RARE]} malignant. The other {len(test)} rows, {int((test[TARGET] == RARE).sum())} of them malignant, "
        "are only used to judge."
    )


# ------------------------------------------------------------ the model


def _fit(console: Console, train: pd.DataFrame, seed: int) -> TableGAN:
    from synthkit.tables.gan import TableGAN

    _heading(console, "2. Fit")
    model = TableGAN(random_state=seed).fit(train, target=TARGET)
    report = model.report_
    told = [f"{len(train)} rows x {train.shape[1]} columns in {report['seconds']:.1f} s"]
    told += [f"{report['codes']} latent codes"] if "codes" in report else []
    told += [f"{part} {report[part]}" for part in ("adversary", "refinement") if part in report]
    console.print("; ".join(told) + ".")
    return model


def _evaluate(console: Console, model: TableGAN, train: pd.DataFrame, test: pd.DataFrame, seed: int) -> Evaluation:
    """Score as many synthetic rows as there are training rows; the held-out rows get the same share of rare ones."""
    import pandas as pd

    from synthkit.evaluation import Suite, evaluate
    from synthkit.evaluation.evaluate import BENCHMARK

    _heading(console, "3. Is the synthetic table any good?")
    common, rare = (test[test[TARGET] == label] for label in (COMMON, RARE))
    alike = pd.concat([common, rare.head(round(RARE_SHARE / (1 - RARE_SHARE) * len(common)))])
    synthetic = model.sample(len(train), random_state=seed)
    evaluation = evaluate(train, synthetic, test=alike, suite=Suite(name="demo", metrics=BENCHMARK), seed=seed)
    scores = evaluation.scores
    for name, sentence in (
        ("c2st_tree", "Boosted trees tell synthetic from training rows with AUC {}; 0.5 is guessing"),
        ("trend_err", "Relations of pairs of columns are off by {}"),
        ("coverage", "Real rows with a synthetic row nearby: {}"),
        ("dcr_share", "Synthetic rows nearer to a training than to a held-out row: {}; 0.5 is no memorising"),
    ):
        score = scores[name]
        controls = f"real rows {score.ceiling:.2f}, independent columns {score.floor:.2f}"
        console.print(f"- {sentence.format(f'{score.value:.2f}')} ({controls}).")
    return evaluation


# ------------------------------------------------------------ does balancing help?


def _compare(console: Console, table: pd.DataFrame, seed: int, splits: int, started: float) -> pd.DataFrame:
    """Judge four ways of balancing on repeated splits."""
    import pandas as pd

    from synthkit.balance.experiment import Question, judge
    from synthkit.balance.treatments import TREATMENTS, balanced_by_gan
    from synthkit.random import RandomSource

    _heading(console, "4. Does balancing help to find malignant tumours?")
    question = Question(TARGET, tuple(table.columns.drop(TARGET)), classes=(COMMON, RARE), positive=1)
    # eleven rows are few for a generator, and by default they would be interpolated: here it shall show what it does
    by_gan = replace(TREATMENTS["tablegan-balance"], make=partial(balanced_by_gan, smallest=2))
    ways = [by_gan if name == "tablegan-balance" else TREATMENTS[name] for name in _WAYS.values()]
    status = console.status("") if console.is_terminal and not console.quiet else nullcontext()
    rows: list[tuple[int, str, str, str, float]] = []
    with status as shown:
        for split in range(splits):
            if split >= 2 and time.perf_counter() - started > _LAST_START:
                console.print(f"  (stopped after {split} of {splits} splits, to be done in two minutes)")
                break
            if shown is not None:
                shown.update(f"split {split + 1} of {splits}: fit, balance, train, judge")
            train, test = _split(table, seed + split)
            random = RandomSource(seed + split).child("demo")
            repeat = judge(train, test, question, ways, list(_MODELS.values()), random, time_budget="2m")
            rows += [
                (split, way, model, measure, judged.values[_MODELS[model]][_MEASURES[measure]])
                for way, judged in zip(_WAYS, repeat.judged, strict=True)
                for model in _MODELS
                for measure in _MEASURES
            ]
    return pd.DataFrame(rows, columns=["split", "way", "model", "measure", "value"])


def _tell_results(console: Console, results: pd.DataFrame, test_share: float) -> list[str]:
    """Print the measures of every way, and say which helped; return what was said."""
    from rich import box
    from rich.table import Table

    shown = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    shown.add_column("trained on the table ...")
    for heading in ("malignant found", "false alarms", "balanced accuracy", "ROC AUC"):
        shown.add_column(heading, justify="right")
    for model in _MODELS:
        shown.add_section()
        shown.add_row(f"[bold]{model}[/bold]")
        for way in results["way"].unique():
            rows = results[(results["model"] == model) & (results["way"] == way)]
            means = rows.groupby("measure")["value"].mean()
            shown.add_row(f"  {way}", *(_shown(measure, means[measure]) for measure in _MEASURES))
    console.print(shown)
    said = _verdict(results, test_share)
    console.print(
        f"Means over {results['split'].nunique()} random splits; in brackets 95 % intervals of differences.\n"
    )
    for sentence in said:
        console.print(f"- {sentence}")
    return said


def _shown(measure: str, value: float) -> str:
    return f"{value:.3f}" if measure == "ROC AUC" else f"{100 * value:.1f} %"


def _verdict(results: pd.DataFrame, test_share: float) -> list[str]:
    """Say in plain words what balancing with TableGAN did, against doing nothing and against interpolation."""
    from synthkit.balance.paired import Difference, paired_difference, split_overlap

    def values(model: str, way: str, measure: str) -> pd.Series[float]:
        chosen = (results["model"] == model) & (results["way"] == way) & (results["measure"] == measure)
        return results[chosen].sort_values("split")["value"]

    def difference(model: str, other: str, measure: str) -> Difference:
        first, second = values(model, GENERATED, measure), values(model, other, measure)
        return paired_difference(first, second, overlap=split_overlap(test_share))

    said = []
    for model in _MODELS:
        found, alarms = (
            [f"{100 * values(model, way, measure).mean():.0f} %" for way in (GENERATED, NOTHING)]
            for measure in ("recall", "false alarms")
        )
        gain, edge = (difference(model, other, "balanced accuracy") for other in (NOTHING, INTERPOLATED))
        said.append(
            f"{model.capitalize()} trained on the balanced table finds {found[0]} of the malignant tumours instead of "
            f"{found[1]}, with {alarms[0]} false alarms instead of {alarms[1]}. Balanced accuracy changes by "
            f"{_points(gain)}: {_OUTCOME[gain.sign]}. Against interpolation: {_points(edge)}, {_OUTCOME[edge.sign]}."
        )
    ranking = [difference(model, NOTHING, "ROC AUC") for model in _MODELS]
    if all(change.sign <= 0 for change in ranking):
        changes = " and ".join(f"{change.mean:+.3f}" for change in ranking)
        said.append(
            f"No model ranks the tumours clearly better than without balancing (ROC AUC {changes}): balancing moves "
            "the threshold more than it teaches. Where the threshold can be moved, try that first."
        )
    return said


def _points(difference: Any) -> str:
    """Return a difference in percentage points with its interval."""
    mean, low, high = (100 * value for value in (difference.mean, difference.low, difference.high))
    return f"{mean:+.1f} points ({low:+.1f} to {high:+.1f})"


# ------------------------------------------------------------ what is kept


def _make_folder(folder: Path) -> None:
    from synthkit.archive import check_output
    from synthkit.errors import OutputError

    if folder.exists() and not folder.is_dir():
        raise OutputError(f"the output '{folder}' is a file, expected a folder", remedy="Choose another name with -o.")
    if not folder.exists():
        check_output(folder)
        folder.mkdir()
    check_output(folder / "scores.json")


def _keep(
    folder: Path, model: TableGAN, train: pd.DataFrame, seed: int, facts: dict[str, Any], evaluation: Evaluation
) -> None:
    from synthkit.archive import atomic_path
    from synthkit.evaluation.report import write_report
    from synthkit.io import write_table

    model.save(folder / "model.synth")
    write_table(model.sample(len(train), random_state=seed), folder / "synthetic.csv")
    write_table(model.balance(train, random_state=seed), folder / "balanced.csv")
    write_report(evaluation, folder / "report.html")
    with atomic_path(folder / "scores.json") as temporary:
        temporary.write_text(json.dumps(plain_json(facts), indent=2) + "\n", encoding="utf-8")
