"""One private fit of synthkit in a process, and with a peak memory, of its own; started by privacy.py."""

from __future__ import annotations

import argparse
import dataclasses
import json
import time
from pathlib import Path

from own_run import peak_mb

from synthkit import TableGAN
from synthkit.io import read_table
from synthkit.privacy.budget import PrivacyBudget
from synthkit.schema import Schema


def main() -> None:
    """Fit, sample as many rows as are declared, write them, and print one JSON line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--table", type=Path, required=True)
    parser.add_argument("--schema", type=Path, required=True)
    parser.add_argument("--epsilon", type=float, required=True)
    parser.add_argument("--delta", type=float, required=True)
    parser.add_argument("--engine", default="anchor")
    parser.add_argument("--unit", default="row")
    parser.add_argument("--records", type=int, required=True, help="the public number of records")
    parser.add_argument("--rows", type=int, help="rows to draw; as many as records when left out")
    parser.add_argument("--seed", type=int, default=0, help="of the training; noise never has a seed")
    parser.add_argument("--out", type=Path, required=True, help="CSV or Parquet file of synthetic rows")
    options = parser.parse_args()
    schema = dataclasses.replace(Schema.load(options.schema), records=options.records)
    frame = read_table(options.table)
    gan = TableGAN(
        privacy=PrivacyBudget(options.epsilon, options.delta, unit=options.unit),
        privacy_engine=options.engine,
        time_budget=None,
        random_state=options.seed,
        verbose=False,
    )
    started = time.monotonic()
    gan.fit(frame, schema=schema)
    fitted = time.monotonic()
    drawn = gan.sample(options.rows or options.records, random_state=options.seed)
    sampled = time.monotonic()
    if options.out.suffix == ".parquet":
        drawn.to_parquet(options.out, index=False)
    else:
        drawn.to_csv(options.out, index=False)
    print(
        json.dumps(
            {
                "seconds": round(fitted - started, 2),
                "sample_seconds": round(sampled - fitted, 2),
                "peak_mb": round(peak_mb()),
                "report": gan.report_,
            }
        )
    )


if __name__ == "__main__":
    main()
