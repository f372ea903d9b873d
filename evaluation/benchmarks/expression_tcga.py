"""TCGA-BRCA microRNA, 1,207 samples by 1,881: diagnoses learned from synthetic samples, co-expression, membership.

    python evaluation/benchmarks/expression_tcga.py

For each seed, half of the patients are learned from and half are held out; samples of a patient stay together. Each
model learns sample type and histology together and gives as many samples as it learned from. Classifiers learn from
real or from synthetic samples and name the held-out ones: tumour or normal, and ductal or lobular carcinoma.

Writes evaluation/baselines/expression/tcga.json.
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np
from expression_section import arguments, cells_of, over_seeds, suite_of, write_section
from sklearn.decomposition import PCA
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from synthkit import ExpressionGAN
from synthkit.auditing.expression.audit import audit_expression
from synthkit.evaluation.expression import evaluate_expression
from synthkit.expression.normalise import normalisation_of
from synthkit.io.expression_set import ExpressionSet

MODELS = ("cwgan", "nb", "copula", "mvn")
LABELS = ("sample_type", "histology")
JOINT = "diagnosis"
STARTS = 3
MOST_LOSS, LEAST_EDGES, MOST_LEAK = 0.03, 0.8, 0.55
TASKS = {
    "tumour or normal": ("sample_type", ("tumor", "normal")),
    "ductal or lobular": ("histology", ("Infiltrating Ductal Carcinoma", "Infiltrating Lobular Carcinoma")),
}
CLASSIFIERS = ("forest", "linear")
SCORES = ("edge_recall", "edge_precision", "recall", "auc_forest_components", "correlation_r_within")
LEAKS = ("cell-gan-leaks", "cell-gan-leaks-calibrated", "cell-monte-carlo", "cell-domias")


def main() -> None:
    options = arguments(__doc__, time_budget="2m").parse_args()
    started = time.monotonic()
    cells = cells_of("tcga_brca_mirna_1207x1881.h5ad", options.data)
    cells.cells[JOINT] = cells.cells[list(LABELS)].astype(str).agg(" / ".join, axis=1).to_numpy()
    seeds = range(options.seed, options.seed + options.seeds)
    runs: dict[str, list[dict[str, float]]] = {name: [] for name in ("real samples", *MODELS)}
    for seed in seeds:
        train, held_out = split(cells, seed)
        real = use(train, held_out, seed)
        for name in MODELS:
            began = time.monotonic()
            model = ExpressionGAN(
                name, fewest_cells=1, random_state=seed, time_budget=options.time_budget, verbose=False
            )
            model.fit(train, label=LABELS)
            seconds = time.monotonic() - began
            made = model.sample(len(train), random_state=seed)
            made.cells[JOINT] = made.cells[list(LABELS)].astype(str).agg(" / ".join, axis=1).to_numpy()
            found = {"seconds": seconds, "whole": float(is_whole(made)), **use(made, held_out, seed)}
            judged = evaluate_expression(train, made, held_out, label=JOINT, suite=suite_of(SCORES), seed=seed)
            found |= {one: judged[one].value for one in SCORES}
            audited = audit_expression(train, made, held_out, seed=seed)
            found |= {one: audited[one].estimates["auc"].value for one in LEAKS}
            found |= {f"{task} lost": real[task] - found[task] for task in real}
            runs[name].append(found)
            print(seed, name, {key: round(value, 3) for key, value in found.items()}, flush=True)
        ceilings = {one: judged[one].ceiling for one in SCORES}
        runs["real samples"].append({**real, **ceilings})
        print(seed, "real", {key: round(value, 3) for key, value in runs["real samples"][-1].items()}, flush=True)
    write(runs, options, len(cells), round(time.monotonic() - started))


def split(cells: ExpressionSet, seed: int) -> tuple[ExpressionSet, ExpressionSet]:
    """Return samples of two halves of the patients, of each diagnosis of a patient's first sample alike."""
    patients = np.array([".".join(name.split(".")[:3]) for name in cells.cells.index.astype(str)])
    names, first = np.unique(patients, return_index=True)
    rng = np.random.default_rng([seed, 8])
    kinds = cells.cells[JOINT].to_numpy()[first]
    shuffled = [rng.permutation(names[kinds == kind]) for kind in np.unique(kinds)]
    chosen = np.concatenate([own[: (len(own) + 1) // 2] for own in shuffled])
    is_first = np.isin(patients, chosen)
    return cells.take(is_first), cells.take(~is_first)


def use(seen: ExpressionSet, held_out: ExpressionSet, seed: int) -> dict[str, float]:
    """Return macro F1 of held-out samples by task and classifier."""
    found = {}
    normalisation = normalisation_of(held_out)
    for task, (column, wanted) in TASKS.items():
        parts = []
        for data in (seen, held_out):
            rows = data.cells[column].isin(wanted).to_numpy()
            if column == "histology":
                rows &= (data.cells["sample_type"] == "tumor").to_numpy()
            part = data.take(rows)
            parts.append((normalisation.apply(part), part.cells[column].astype(str).to_numpy()))
        (own, names), (asked, truth) = parts
        for kind in CLASSIFIERS:
            scores = [
                f1_score(truth, classifier(kind, start).fit(own, names).predict(asked), average="macro")
                for start in range(seed * STARTS, (seed + 1) * STARTS if kind == "forest" else seed * STARTS + 1)
            ]
            found[f"{task}, {kind}"] = float(np.mean(scores))
    return found


def classifier(kind: str, seed: int) -> Any:
    if kind == "forest":
        return RandomForestClassifier(200, class_weight="balanced", min_samples_leaf=2, n_jobs=1, random_state=seed)
    linear = LogisticRegression(max_iter=1000, class_weight="balanced", C=0.1)
    return make_pipeline(StandardScaler(), PCA(50, svd_solver="randomized", random_state=seed), linear)


def is_whole(made: ExpressionSet) -> bool:
    values = made.values.data
    return bool(made.is_sparse and np.isfinite(values).all() and (values >= 0).all() and (values % 1 == 0).all())


def write(runs: dict[str, list[dict[str, float]]], options: Any, n: int, seconds: int) -> None:
    tasks = [f"{task}, {kind}" for task in TASKS for kind in CLASSIFIERS]

    def mean(name: str, key: str) -> Any:
        return over_seeds([run[key] for run in runs[name] if key in run])

    def value(name: str, key: str) -> float:
        return float(np.mean([run[key] for run in runs[name]]))

    bars = []
    for name in MODELS:
        lost = max(value(name, f"{task} lost") for task in tasks)
        bars.append(
            {
                "model": name,
                **{f"{task} lost": mean(name, f"{task} lost") for task in tasks},
                "use": lost <= MOST_LOSS,
                "edges": min(value(name, "edge_recall"), value(name, "edge_precision")) >= LEAST_EDGES,
                "leaks": value(name, "cell-gan-leaks") <= MOST_LEAK,
            }
        )
    write_section(
        "tcga",
        title="TCGA-BRCA microRNA: diagnoses, co-expression, membership",
        command=f"python evaluation/benchmarks/expression_tcga.py --seeds {options.seeds}",
        facts={
            "samples": n,
            "split": "half of the patients, of each diagnosis alike; samples of a patient stay together",
            "seeds": ", ".join(str(options.seed + at) for at in range(options.seeds)),
            "time budget of a fit": options.time_budget,
            "output": "sparse whole numbers, none negative, none missing, in every run"
            if all(run["whole"] for name in MODELS for run in runs[name])
            else "NOT whole, negative or missing in some run",
            "seconds in all": seconds,
        },
        columns={
            "model": "model",
            "use": f"F1 within {MOST_LOSS} of real in all four",
            "edges": f"edge recall and precision at least {LEAST_EDGES}",
            "leaks": f"GAN-leaks AUC at most {MOST_LEAK}",
            **{f"{task} lost": f"F1 lost, {task}" for task in tasks},
        },
        rows=bars,
        notes=[
            "F1 lost: macro F1 on held-out samples of a classifier that learned from real samples, minus that of one "
            "that learned from as many synthetic ones; below 0 the synthetic samples were better. A bar is judged by "
            "the mean over the seeds.",
            "Edges are asked of the synthetic samples as they are. Held-out real samples in their place have recall "
            f"{value('real samples', 'edge_recall'):.3f} and precision {value('real samples', 'edge_precision'):.3f}.",
            "The seven metastatic samples are learned and drawn, but no classifier is asked about them. Ductal or "
            "lobular is asked of tumours whose histology is known.",
            "Forest: 200 trees on all log-normalised microRNAs, mean of three starts. Linear: logistic regression on "
            "50 components. Both weigh the classes equally.",
        ],
        more=[
            {
                "title": "Macro F1 on held-out samples",
                "columns": {"trained on": "trained on", **{task: task for task in tasks}},
                "rows": [{"trained on": name, **{task: mean(name, task) for task in tasks}} for name in runs],
            },
            {
                "title": "Co-expression and likeness",
                "columns": {
                    "model": "model",
                    "edge_recall": "edges, recall",
                    "edge_precision": "edges, precision",
                    "correlation_r_within": "correlations within diagnoses, r",
                    "recall": "recall",
                    "auc_forest_components": "AUC of a forest, components",
                    "seconds": "seconds of the fit",
                },
                "rows": [{"model": name, **{key: mean(name, key) for key in (*SCORES, "seconds")}} for name in runs],
                "notes": [
                    "An edge is a pair of the 500 most variable microRNAs whose correlation is beyond 0.3 in either "
                    "direction; the truth are those of the training samples. The row of real samples has held-out "
                    "samples in place of synthetic ones."
                ],
            },
            {
                "title": "Membership: AUC of telling training from held-out samples",
                "columns": {"model": "model", **{name: name.removeprefix("cell-") for name in LEAKS}},
                "rows": [{"model": name, **{key: mean(name, key) for key in LEAKS}} for name in MODELS],
                "notes": [
                    "0.5 is chance. Half of the held-out samples are accused, the other half is what the attacker has."
                ],
            },
        ],
    )


if __name__ == "__main__":
    main()
