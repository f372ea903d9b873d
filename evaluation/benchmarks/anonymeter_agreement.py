"""Agreement of our singling-out, linkability and attribute attacks with Anonymeter 1.1 on the same records of Adult.

    python evaluation/benchmarks/anonymeter_agreement.py --data FOLDER

Two synthetic tables: rows of a TableGAN without a budget, and the same with a tenth replaced by copies of members.
Anonymeter runs in an environment of its own, which is made when it is missing. An attack agrees when the two intervals
of the risk overlap. For the nearest-neighbour attacks both look at the same targets, so that the rates themselves
should be alike; predicates are drawn at random by either.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import pandas as pd
from tables import finished, machine, split

from privacy import Environment, child
from synthkit import TableGAN
from synthkit.archive import atomic_path
from synthkit.auditing.attacks import ATTACKS
from synthkit.auditing.case import AuditCase, AuditLimits
from synthkit.evaluation.case import Rows
from synthkit.evaluation.view import TableView

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
PEER = Environment(".anonymeter-venv", ("anonymeter==1.1.0",))
QUASI_IDENTIFIERS = ("age", "sex", "race", "marital-status", "native-country", "education", "fnlwgt")
SECRETS = {"occupation": False, "hours-per-week": True, "income": False}
_SECONDS_OF_PEER = 3600.0


def case_of(
    train: pd.DataFrame, members: pd.DataFrame, nonmembers: pd.DataFrame, synthetic: pd.DataFrame, **options: Any
) -> AuditCase:
    """Return the case of an attack; the non-members also stand for the held-out and the reference rows."""
    view = TableView(train)
    learned, attacked, control, released = (
        Rows(table, view.code(table)) for table in (train, members, nonmembers, synthetic)
    )
    return AuditCase(view, learned, control, released, attacked, control, control, **options)


def ours(tables: dict[str, pd.DataFrame], train: pd.DataFrame, options: argparse.Namespace) -> dict[str, Any]:
    """Return what our attacks find, by the names of risks."""
    found = {}
    limits = AuditLimits(predicates=options.predicates)
    few = tables["few_members"], tables["few_nonmembers"]
    cases = {
        "singling-out": case_of(
            train, tables["members"], tables["nonmembers"], tables["synthetic"], limits=limits, seed=options.seed
        ),
        "linkability": case_of(
            train, *few, tables["synthetic"], quasi_identifiers=QUASI_IDENTIFIERS, limits=limits, seed=options.seed
        ),
        "attribute": case_of(
            train, *few, tables["synthetic"], sensitive=tuple(SECRETS), limits=limits, seed=options.seed
        ),
    }
    for name, case in cases.items():
        started = time.perf_counter()
        risks = ATTACKS[name].run(case)
        seconds = round((time.perf_counter() - started) / len(risks), 1)
        for risk in risks:
            # Anonymeter knows the nearest neighbour only
            knn = risk.details.get("attackers", {}).get("nearest neighbour")
            headline = risk.headline
            found[risk.name] = knn or {
                "risk": headline.value,
                "low": headline.low,
                "high": headline.high,
                "attack": risk.estimates["attack"].value,
                "control": risk.estimates["control"].value,
            }
            found[risk.name] |= {"n": risk.n, "seconds": seconds}
    return found


def theirs(tables: dict[str, pd.DataFrame], predicates: dict[str, int], options: argparse.Namespace) -> dict[str, Any]:
    """Return what Anonymeter finds, by the names of our risks."""
    columns = list(tables["synthetic"].columns)
    task = {
        "files": list(tables),
        "seed": options.seed,
        "predicates": predicates,
        "attempts": options.attempts,
        "halves": [list(QUASI_IDENTIFIERS), [name for name in columns if name not in QUASI_IDENTIFIERS]],
        "secrets": SECRETS,
    }
    with tempfile.TemporaryDirectory(prefix="synthkit-bench-") as folder:
        for name, table in tables.items():
            table.to_csv(Path(folder) / f"{name}.csv", index=False)
        command = [PEER.python(), HERE / "anonymeter_peer_run.py", folder, "--task", json.dumps(task)]
        answer = child(command, _SECONDS_OF_PEER, own=False)
    if answer.pop("status") != "done":
        raise SystemExit(f"Anonymeter did not run: {answer.get('note')}")
    return answer


def releases(train: pd.DataFrame, members: pd.DataFrame, options: argparse.Namespace) -> dict[str, pd.DataFrame]:
    """Return the synthetic tables by name."""
    model = TableGAN(time_budget=options.fit_seconds, random_state=options.seed).fit(train, target="income")
    rows = model.sample(options.rows).astype(train.dtypes.to_dict())
    copies = members.sample(options.rows // 10, random_state=options.seed)
    copied = pd.concat([rows.iloc[len(copies) :], copies], ignore_index=True)
    return {"TableGAN": rows, "TableGAN, 10 % copies of members": copied}


def real_tables(options: argparse.Namespace) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Return training rows, members and equally many non-members, without repeated rows and missing values.

    Anonymeter drops repeated rows itself, and corrects for tables of different length; it stops at missing texts.
    """
    train, test = (table.fillna("missing").drop_duplicates() for table in split(options.data, "adult"))
    train, test = train.reset_index(drop=True), test.reset_index(drop=True)
    nonmembers = test.merge(train, how="left", indicator=True).query("_merge == 'left_only'").drop(columns="_merge")
    members = train.sample(len(nonmembers), random_state=options.seed)
    return train, members.reset_index(drop=True), nonmembers.reset_index(drop=True)


def compared(own: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    """Return both findings of one attack and whether their intervals overlap."""
    agrees = own["low"] <= other["high"] and other["low"] <= own["high"]
    return {"ours": rounded(own), "anonymeter": rounded(other), "agrees": bool(agrees)}


def rounded(found: dict[str, Any]) -> dict[str, Any]:
    return {name: round(float(value), 5) for name, value in found.items()}


def line(name: str, record: dict[str, Any]) -> str:
    """Return one row of the printed table."""
    cells = [f"{name:30s}"]
    for side in ("ours", "anonymeter"):
        found = record[side]
        interval = f"{found['risk']:7.3f} [{found['low']:6.3f}, {found['high']:6.3f}]"
        cells.append(f"{interval} {found['attack']:.3f}/{found['control']:.3f} {found['seconds']:6.1f} s")
    return " | ".join([*cells, "agrees" if record["agrees"] else "DIFFERS"])


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=os.environ.get("SYNTHKIT_DATA"), help="folder with the tables")
    parser.add_argument("--rows", type=int, default=10_000, help="synthetic rows")
    parser.add_argument("--targets", type=int, default=2_000, help="of the nearest-neighbour attacks, of either kind")
    parser.add_argument("--predicates", type=int, default=1_000)
    parser.add_argument("--attempts", type=int, default=300_000, help="predicates that Anonymeter tries at most")
    parser.add_argument("--fit-seconds", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=ROOT / "evaluation" / "baselines" / "anonymeter.json")
    options = parser.parse_args()
    if options.data is None:
        parser.error("--data FOLDER is needed (or the variable SYNTHKIT_DATA)")
    return options


def main() -> int:
    options = parse_arguments()
    train, members, nonmembers = real_tables(options)
    record: dict[str, Any] = {"format_version": 1, "machine": machine(), "peer": "anonymeter 1.1.0", "table": "adult"}
    record |= {name: getattr(options, name) for name in ("rows", "targets", "predicates", "fit_seconds", "seed")}
    record |= {"members": len(members), "releases": {}}
    differing = 0
    for name, synthetic in releases(train, members, options).items():
        few = [table.iloc[: options.targets].reset_index(drop=True) for table in (members, nonmembers)]
        tables = {"members": members, "nonmembers": nonmembers, "synthetic": synthetic}
        tables |= {"few_members": few[0], "few_nonmembers": few[1]}
        own = ours(tables, train, options)
        # as many as we found: Anonymeter counts those that it did not find as failures
        predicates = {mode: own[f"singling-out: {mode}"]["n"] for mode in ("univariate", "multivariate")}
        other = theirs(tables, predicates, options)
        found = {attack: compared(own[attack], other[attack]) for attack in own}
        record["releases"][name] = found
        differing += sum(not entry["agrees"] for entry in found.values())
        print(f"\n{name}\n{'':30s} | ours: risk, interval, rates         | Anonymeter", flush=True)
        for attack, entry in found.items():
            print(line(attack, entry), flush=True)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    with atomic_path(options.out) as temporary:
        temporary.write_text(json.dumps(record | finished(), indent=1) + "\n")
    print(f"\n{differing} of the attacks differ" if differing else "\nall attacks agree")
    return 1 if differing else 0


if __name__ == "__main__":
    sys.exit(main())
