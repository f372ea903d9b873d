"""Does balancing help, and which way: the Balancer against SMOTE-NC and simpler treatments on imbalanced tables.

    python evaluation/benchmarks/augment.py --data FOLDER [--only mammography,sick] [--repeats 2] [--models linear]

Each repeat holds another fifth of the rows out: `frame.sample(frac=0.2, random_state=7 + repeat)`, so that the first
one is the split of the other benchmarks. Every treatment gets the other rows, three models learn from what comes back,
and all are judged on the rows held out. A piece is one treatment in one repeat of one table: it is written as soon as
it is done and not done again, so an interrupted benchmark goes on where it stopped. `--fresh` does everything again,
`--fresh tablegan-balance` the Balancer only. `--render` only writes the page from the record.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from augment_page import render
from command import add_results, parsed
from tables import chosen, finished, machine
from tables import split as usual_split

from synthkit.archive import atomic_path
from synthkit.balance.augment_task import predictors
from synthkit.balance.experiment import Judged, Question, judge
from synthkit.balance.learners import LEAF_ROWS, LEARNERS, TREE_ROWS, TREES
from synthkit.balance.treatments import TREATMENTS
from synthkit.random import RandomSource

ROOT = Path(__file__).resolve().parents[2]
FORMAT_VERSION = 1
SEED = 0
REPEATS = 5
# Never reached on a machine that is not overloaded: a fit that is cut short cannot be repeated.
BUDGET = "10m"
CHOSEN = ("none", "weights", "oversampling", "smote-nc", "adasyn", "tablegan-balance")


@dataclass(frozen=True)
class Source:
    """A table of the benchmark.

    Attributes
    ----------
    target
        The column to predict.
    positive
        The class to find, as text; all others are one class.
    left_out
        Columns that are not used, and `why`.
    unseen
        Whether the Balancer was made without a look at this table: it stands beside the bars.
    """

    target: str
    positive: str
    left_out: tuple[str, ...] = ()
    why: str = ""
    unseen: bool = False


# What became known only after the patients had left or died predicts the target by itself.
_OUTCOMES = (
    "death", "d.time", "slos", "sfdm2", "charges", "totcst", "totmcst", "avtisst", "dnr", "dnrday",
)  # fmt: skip
SOURCES = {
    "mammography": Source("class", "1"),
    "sick": Source("Class", "sick"),
    "online_shoppers": Source("Revenue", "True"),
    "adult": Source("income", ">50K"),
    "support2": Source(
        "hospdead", "1", _OUTCOMES, "the other outcomes, known only after the stay, such as death and costs"
    ),
    "diabetes130": Source(
        "readmitted",
        "<30",
        ("encounter_id", "patient_nbr"),
        "the numbers of encounter and patient; readmitted within 30 days against everything else (Strack et al. 2014)",
    ),
    "credit_default": Source("default payment next month", "1", unseen=True),
}


def read(folder: Path, name: str, repeat: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the training rows and those held out in a repeat, with a target of two classes."""
    train, test = usual_split(folder, name)
    if repeat:
        whole = pd.concat([train, test], ignore_index=True)
        test = whole.sample(frac=0.2, random_state=7 + repeat)
        train = whole.drop(index=test.index)
    source = SOURCES[name]
    parts = []
    for part in (train, test):
        own = part.drop(columns=list(source.left_out)).reset_index(drop=True)
        found = own[source.target].astype(str) == source.positive
        own[source.target] = np.where(found, source.positive, f"not {source.positive}")
        parts.append(own)
    return parts[0], parts[1]


class Record:
    """All pieces in one JSON file; a piece is known by its table, repeat and treatment."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.pieces: list[dict[str, Any]] = json.loads(path.read_text())["pieces"] if path.exists() else []

    def models(self, table: str, repeat: int, treatment: str) -> set[str]:
        """Return the models that are judged already; all of them where the treatment does not apply."""
        for piece in self.pieces:
            if (piece["table"], piece["repeat"], piece["treatment"]) == (table, repeat, treatment):
                return set(LEARNERS) if piece["problem"] else set(piece["values"])
        return set()

    def add(self, piece: dict[str, Any]) -> None:
        """Put a piece in place of an earlier one, keeping the models that it lacks, and write the file."""
        key = piece["table"], piece["repeat"], piece["treatment"]
        rest = []
        for other in self.pieces:
            if (other["table"], other["repeat"], other["treatment"]) == key:
                piece["values"] = other["values"] | piece["values"]
            else:
                rest.append(other)
        order = list(TREATMENTS)
        self.pieces = sorted(
            [*rest, piece],
            key=lambda one: (list(SOURCES).index(one["table"]), one["repeat"], order.index(one["treatment"])),
        )
        settings = {
            "forest": {"trees": TREES, "min_samples_leaf": LEAF_ROWS, "most rows of a tree": TREE_ROWS},
            "time budget of a fit": BUDGET,
            "seed": SEED,
        }
        facts = {"format_version": FORMAT_VERSION, "settings": settings, "pieces": self.pieces}
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_path(self.path) as temporary:
            temporary.write_text(json.dumps(facts, indent=1) + "\n")


def run_piece(name: str, repeat: int, treatment: str, models: tuple[str, ...], folder: Path) -> dict[str, Any]:
    """Run one treatment and the models in one repeat of a table; return its record."""
    source = SOURCES[name]
    train, test = read(folder, name, repeat)
    columns, _ = predictors(train, source.target)
    # the negative class first, so that the places of the classes are those of a yes and a no
    question = Question(source.target, columns, (f"not {source.positive}", source.positive), positive=1)
    random = RandomSource(SEED).child(f"{name} {repeat}")
    wall, processor = time.perf_counter(), time.process_time()
    found = judge(train, test, question, [TREATMENTS[treatment]], models, random, time_budget=BUDGET)
    (judged,) = found.judged
    return {
        "table": name,
        "repeat": repeat,
        **plain(judged),
        "chance": rounded(found.chance),
        "training_rows": len(train),
        "test_rows": len(test),
        "positive_share": round(float((train[source.target] == source.positive).mean()), 5),
        "columns": len(columns),
        "wall_seconds": round(time.perf_counter() - wall, 1),
        "processor_seconds": round(time.process_time() - processor, 1),
        "machine": machine(),
        **finished(),
    }


def plain(judged: Judged) -> dict[str, Any]:
    """Return what came of a treatment as plain values."""
    return {
        "treatment": judged.treatment,
        "problem": judged.problem,
        "added": judged.added,
        "treatment_seconds": round(judged.seconds, 2),
        "values": {model: rounded(values) for model, values in judged.values.items()},
    }


def rounded(values: Any) -> dict[str, float]:
    return {name: round(float(value), 6) for name, value in values.items()}


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=os.environ.get("SYNTHKIT_DATA"), help="or SYNTHKIT_DATA")
    parser.add_argument("--only", type=chosen("table", list(SOURCES)), default=list(SOURCES), metavar="TABLES")
    parser.add_argument("--treatments", type=chosen("treatment", list(TREATMENTS)), default=list(CHOSEN))
    parser.add_argument("--models", type=chosen("model", list(LEARNERS)), default=list(LEARNERS))
    parser.add_argument("--repeats", type=int, default=REPEATS)
    parser.add_argument(
        "--fresh",
        nargs="?",
        const=list(TREATMENTS),
        default=[],
        type=chosen("treatment", list(TREATMENTS)),
        metavar="TREATMENTS",
        help="do everything again, or these treatments, of the chosen tables",
    )
    add_results(parser, "augment.json", "benchmarks-augment.md")
    return parsed(parser)


def main() -> int:
    options = parse_arguments()
    record = Record(options.out)
    if options.fresh:
        record.pieces = [
            piece
            for piece in record.pieces
            if piece["table"] not in options.only or piece["treatment"] not in options.fresh
        ]
    for name in [] if options.render else options.only:
        for repeat in range(options.repeats):
            for treatment in options.treatments:
                done = record.models(name, repeat, treatment)
                models = tuple(model for model in options.models if model not in done)
                if not models:
                    continue
                print(f"{name} repeat {repeat} {treatment} ...", end=" ", flush=True)
                piece = run_piece(name, repeat, treatment, models, options.data)
                record.add(piece)
                said = ", ".join(
                    f"{model} {values['average_precision']:.3f}" for model, values in piece["values"].items()
                )
                print(f"{piece['processor_seconds']:.0f} s: {piece['problem'] or said}", flush=True)
    if not record.pieces:
        print(f"there is no record in {options.out}", file=sys.stderr)
        return 2
    options.docs.parent.mkdir(parents=True, exist_ok=True)
    with atomic_path(options.docs) as temporary:
        temporary.write_text(render(record.pieces, SOURCES), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
