"""Audits of releases of known and unknown quality on Adult, in one run: the evidence in privacy/audits/.

    python evaluation/benchmarks/audits.py --data FOLDER [--only holdout,tablegan] [--ctgan FILE]

Releases: other real rows (must not be accused), a bootstrap sample of the training table with 1 % noise and a table of
which a tenth are copies (must be caught), TableGAN without and with a budget, and CTGAN, whose rows are read from a
file (`peer_run.py` makes it in an environment of its own). For each: every attack with its interval and
controls, the verdicts of the shipped policies, seconds and memory. The first table is the largest that Adult allows:
10,000 members against 10,000 non-members.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import resource
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from tables import machine, split

from synthkit import PrivacyBudget, Schema, TableGAN
from synthkit.auditing.audit import audit
from synthkit.auditing.policy import POLICIES, load_policy
from synthkit.auditing.result import Audit
from synthkit.evaluation.controls import noisy_copies

ROOT = Path(__file__).resolve().parents[2]
OUT = ROOT / "privacy" / "audits"
DOMAIN = Path(__file__).resolve().parent / "domains" / "adult.yaml"
COLUMNS: dict[str, Any] = {
    "quasi_identifiers": ("age", "sex", "race", "native-country"),
    "sensitive": ("income", "marital-status"),
    "target": "income",
}
EPSILONS = (1.0,)
FORMAT_VERSION = 1


@dataclasses.dataclass(frozen=True)
class Tables:
    """Real rows that may be learned from, rows that may not, and rows that stand in for a release."""

    train: pd.DataFrame
    holdout: pd.DataFrame
    other: pd.DataFrame
    ctgan: Path | None


def bootstrap(tables: Tables, times: int = 1) -> pd.DataFrame:
    """A bootstrap sample of the training table with noise of 1 % of a standard deviation on every number."""
    rng = np.random.default_rng(0)
    drawn = tables.train.sample(times * len(tables.train), replace=True, random_state=0).reset_index(drop=True)
    for name in drawn.select_dtypes("number"):
        noise = rng.normal(0, 0.01 * tables.train[name].std(), len(drawn))
        drawn[name] = (drawn[name] + noise).round().astype(drawn[name].dtype)
    return drawn


def copies(tables: Tables) -> pd.DataFrame:
    """Every training row once, with noise of 1 % of a standard deviation on every number."""
    return noisy_copies(tables.train, len(tables.train), np.random.default_rng(0))


def tenth(tables: Tables) -> pd.DataFrame:
    """Other real rows, of which one in ten is a copy of a training row."""
    rows = len(tables.other)
    copies = tables.train.sample(rows // 10, random_state=1)
    return pd.concat([tables.other.iloc[: rows - len(copies)], copies], ignore_index=True)


def tablegan(tables: Tables) -> tuple[pd.DataFrame, Path]:
    """Rows of TableGAN with its defaults."""
    return _drawn(TableGAN(random_state=0, verbose=False).fit(tables.train, target="income"), tables)


def private(epsilon: float) -> Callable[[Tables], tuple[pd.DataFrame, Path]]:
    """Rows of TableGAN under a budget."""

    def make(tables: Tables) -> tuple[pd.DataFrame, Path]:
        schema = dataclasses.replace(Schema.load(DOMAIN), records=int(round(len(tables.train), -2)))
        budget = PrivacyBudget(epsilon, 1e-6)
        model = TableGAN(privacy=budget, random_state=0, time_budget=None, verbose=False)
        return _drawn(model.fit(tables.train, schema=schema, target="income"), tables)

    return make


def _drawn(model: TableGAN, tables: Tables) -> tuple[pd.DataFrame, Path]:
    path = Path(tempfile.mkdtemp()) / "model.synth"
    model.save(path)
    return model.sample(len(tables.train), random_state=0), path


RELEASES: dict[str, Callable[[Tables], Any]] = {
    "holdout": lambda tables: tables.other,
    "copies": copies,
    "bootstrap": bootstrap,
    "bootstrap-3": lambda tables: bootstrap(tables, 3),
    "tenth-copied": tenth,
    "tablegan": tablegan,
    **{f"tablegan-epsilon-{epsilon:g}": private(epsilon) for epsilon in EPSILONS},
    "ctgan": lambda tables: None if tables.ctgan is None else pd.read_csv(tables.ctgan)[list(tables.train.columns)],
}
TITLES = {
    "holdout": "other real rows in place of synthetic ones",
    "copies": "memorising: every training row once, with 1 % noise",
    "bootstrap": "memorising: a bootstrap sample of the training rows with 1 % noise; it holds 63 % of them, so "
    "that no attack can exceed an AUC of .816",
    "bootstrap-3": "memorising: a bootstrap sample of 30,000 rows from 10,000 training rows with 1 % noise; it holds "
    "95 % of them, so that no attack can exceed an AUC of .975",
    "tenth-copied": "other real rows, one in ten a copy of a training row",
    "tablegan": "TableGAN, defaults, no budget",
    "tablegan-epsilon-1": "TableGAN, epsilon 1, delta 1e-6",
    "ctgan": "CTGAN (package ctgan)",
}


def read(folder: Path, ctgan: Path | None) -> tuple[Tables, Tables, Tables]:
    """The usual split, half of whose held-out rows can stand in for a release; two with 10,000 + 10,000 targets.

    The first of these trains on all other rows, the second on 10,000: its release can be three times its size.
    """
    train, test = split(folder, "adult")
    other = test.sample(frac=0.5, random_state=1)
    usual = Tables(train, test, other, ctgan)
    whole = pd.concat([train, test], ignore_index=True).sample(frac=1, random_state=3)
    large = Tables(whole[20_000:], whole[:20_000], other, None)
    return usual, large, Tables(whole[20_000:30_000], whole[:20_000], other, None)


def measured(name: str, tables: Tables) -> tuple[Audit, dict[str, Any]] | None:
    """One audit, with seconds, processor seconds and memory."""
    made = RELEASES[name](tables)
    if made is None:
        return None
    released, model = made if isinstance(made, tuple) else (made, None)
    # rows that stand in for the release are not held out too
    holdout = tables.holdout
    if name in ("holdout", "tenth-copied"):
        holdout = holdout.drop(index=released.index if name == "holdout" else tables.other.index)
    wall, processor = time.perf_counter(), time.process_time()
    found = audit(tables.train, released, holdout=holdout, model=model, **COLUMNS)
    facts = {
        "seconds": round(time.perf_counter() - wall, 1),
        "processor_seconds": round(time.process_time() - processor, 1),
        "peak_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
    }
    return found, facts


def record(name: str, found: Audit, facts: dict[str, Any]) -> dict[str, Any]:
    """What is kept of an audit: risks, verdicts of every shipped policy, utility."""
    plain = found.to_dict()
    risks = {
        key: {part: risk[part] for part in ("outcome", "n", "note", "estimates", "positive", "negative")}
        for key, risk in plain["risks"].items()
    }
    policies = {}
    for policy in POLICIES:
        verdicts = load_policy(policy).verdicts(found)
        policies[policy] = [verdict.gate for verdict in verdicts if verdict.status == "not met"]
    utility = {key: score["value"] for key, score in plain["utility"].items()}
    return {
        "release": name, "rows": plain["rows"], **facts, "utility": utility, "gates_not_met": policies, "risks": risks,
        "guarantee": plain["guarantee"], "machine": machine(),
    }  # fmt: skip


def rounded(value: Any) -> Any:
    """Numbers with five decimals, so that records can be compared."""
    if isinstance(value, float):
        return round(value, 5)
    if isinstance(value, dict):
        return {key: rounded(entry) for key, entry in value.items()}
    return [rounded(entry) for entry in value] if isinstance(value, list) else value


def page(records: Iterable[dict[str, Any]]) -> str:
    """Return the summary for people."""
    records = list(records)
    lines = [
        "# Evidence: audits of releases of known quality",
        "",
        "<!-- Written by evaluation/benchmarks/audits.py. Do not edit. -->",
        "",
        "Adult, 39,074 training rows, 9,768 held out: half of them are attacked, half are the attacker's knowledge of",
        "the population. Each cell is the deciding measure; its interval holds together with the others of its",
        "family with 95 %; bold where a measure of the attack (for membership also the true-positive rates, in",
        "`records.json`) is above its baseline, beyond chance. Command:",
        "`python evaluation/benchmarks/audits.py --data FOLDER --ctgan FILE`.",
        "",
    ]
    names = list(dict.fromkeys(name for one in records for name in one["risks"] if one["risks"][name]["estimates"]))
    lines += ["| attack | " + " | ".join(one["release"] for one in records) + " |"]
    lines += ["|---|" + "---|" * len(records)]
    for name in names:
        cells = []
        for one in records:
            risk = one["risks"].get(name, {"estimates": {}})
            first = next(iter(risk["estimates"].values()), None)
            if first is None or first["value"] is None:
                cells.append("-")
                continue
            text = f"{first['value']:.3f} [{first['low']:.3f}, {first['high']:.3f}]"
            cells.append(f"**{text}**" if risk["outcome"] == "disclosure" else text)
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    for key in ("tstr", "trend_err"):
        lines.append(f"| {key} | " + " | ".join(f"{one['utility'][key]:.4f}" for one in records) + " |")
    for policy in records[0]["gates_not_met"]:
        cells = [str(len(one["gates_not_met"][policy])) for one in records]
        lines.append(f"| gates not met: {policy} | " + " | ".join(cells) + " |")
    for key, unit in (("seconds", "s"), ("peak_mb", "MB")):
        lines.append(f"| audit, {unit} | " + " | ".join(f"{one[key]:,.0f}" for one in records) + " |")
    lines += ["", "Releases:", ""]
    for one in records:
        title, targets = TITLES[_release(one["release"])], one["rows"]["targets"]
        lines.append(f"- `{one['release']}`: {title}; {targets:,} members and as many non-members attacked")
    return "\n".join(lines) + "\n"


def _release(key: str) -> str:
    return {"tablegan-large": "tablegan", "bootstrap-large": "bootstrap-3"}.get(key, key)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--data", type=Path, default=os.environ.get("SYNTHKIT_DATA"), required="SYNTHKIT_DATA" not in os.environ
    )
    parser.add_argument("--only", type=lambda text: text.split(","), default=None)
    parser.add_argument("--ctgan", type=Path, default=None, help="rows of CTGAN, a CSV file")
    parser.add_argument("--out", type=Path, default=OUT)
    options = parser.parse_args()
    usual, large, small = read(Path(options.data), options.ctgan)
    path = options.out / "records.json"
    known = {one["release"]: one for one in json.loads(path.read_text())["audits"]} if path.exists() else {}
    options.out.mkdir(parents=True, exist_ok=True)
    jobs = [
        ("tablegan-large", "tablegan", large),
        ("bootstrap-large", "bootstrap-3", small),
        *((name, name, usual) for name in RELEASES if name != "bootstrap-3"),
    ]
    for key, name, tables in jobs:
        if options.only is not None and key not in options.only:
            continue
        print(key, "...", flush=True)
        found = measured(name, tables)
        if found is None:
            print("  skipped: no file of its rows was given")
            continue
        known[key] = rounded(record(key, *found))
        caught = [risk.name for risk in found[0].disclosures]
        print(f"  {known[key]['seconds']} s, {known[key]['peak_mb']} MB, disclosures: {caught}")
        ordered = [known[key] for key, _, _ in jobs if key in known]
        path.write_text(json.dumps({"format_version": FORMAT_VERSION, "audits": ordered}, indent=1) + "\n")
        (options.out / "README.md").write_text(page(ordered))


if __name__ == "__main__":
    main()
