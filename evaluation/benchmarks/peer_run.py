"""One run of a peer, CTGAN or TVAE of the package `ctgan`, in an environment of its own; started by tables.py.

It knows nothing of synthkit. Both peers refuse missing numbers, so a table is prepared as their users prepare it: a
missing number is replaced by the median and told by a 0/1 column beside it, which is undone after sampling. Columns
that are not numeric or hold at most 20 distinct values are declared discrete.
"""

from __future__ import annotations

import argparse
import json
import resource
import time
from pathlib import Path

import ctgan
import ctgan.synthesizers.ctgan as ctgan_module
import ctgan.synthesizers.tvae as tvae_module
import pandas as pd
import torch

MOST_DISCRETE = 20
MISSING = "(missing)"
FLAG = " (is missing)"


class LimitedEpochs:
    """The loop over epochs, which the peers take from tqdm, ended when the processor time of fit is up.

    The fit then ends as if it had been asked for so many epochs: no weights are lost, and the record tells the number.
    """

    def __init__(self, limit: float | None) -> None:
        self.limit = limit
        self.started = time.process_time()
        self.planned = 0
        self.done = 0

    def __call__(self, epochs: range, **_: object) -> LimitedEpochs:
        self.planned = len(epochs)
        self.epochs = epochs
        return self

    def __iter__(self):
        for epoch in self.epochs:
            if self.done and self.limit is not None and time.process_time() - self.started > self.limit:
                return
            yield epoch
            self.done = epoch + 1

    def set_description(self, text: str) -> None:
        pass


def prepare(frame: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """Return the table as the peers can read it, and its discrete columns."""
    ready, discrete = {}, []
    for name in frame.columns:
        column = frame[name]
        if column.isna().all():
            continue
        if not pd.api.types.is_numeric_dtype(column) or column.nunique() <= MOST_DISCRETE:
            ready[name] = column.astype(object).where(column.notna(), MISSING).astype(str)
            discrete.append(name)
            continue
        ready[name] = column.fillna(column.median())
        if column.isna().any():
            ready[name + FLAG] = column.isna().astype(int).astype(str)
            discrete.append(name + FLAG)
    return pd.DataFrame(ready), discrete


def restore(drawn: pd.DataFrame, real: pd.DataFrame) -> pd.DataFrame:
    """Undo `prepare`."""
    columns = {}
    for name in real.columns:
        column = real[name]
        if column.isna().all():
            columns[name] = pd.Series(float("nan"), index=drawn.index)
        elif not pd.api.types.is_numeric_dtype(column) or column.nunique() <= MOST_DISCRETE:
            known = {str(value): value for value in column.dropna().unique()}
            columns[name] = drawn[name].map(known)
        else:
            values = drawn[name]
            if name + FLAG in drawn:
                values = values.where(drawn[name + FLAG].astype(str) != "1")
            columns[name] = values
    restored = pd.DataFrame(columns)
    return restored.astype({name: kind for name, kind in real.dtypes.items() if restored[name].notna().all()})


def peak_mb() -> float:
    """Return the highest resident memory of this process in MB."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("train", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--model", choices=["ctgan", "tvae"], required=True)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--epochs", type=int, required=True)
    parser.add_argument("--limit", type=float, default=None)
    options = parser.parse_args()

    real = pd.read_csv(
        options.train, float_precision="round_trip", low_memory=False, keep_default_na=False, na_values=[""]
    )
    epochs = LimitedEpochs(options.limit)
    ctgan_module.tqdm = tvae_module.tqdm = epochs
    model = {"ctgan": ctgan.CTGAN, "tvae": ctgan.TVAE}[options.model](epochs=options.epochs)
    model.set_random_state(options.seed)
    started, processor = time.perf_counter(), time.process_time()
    epochs.started = processor
    ready, discrete = prepare(real)
    model.fit(ready, discrete)
    fit_seconds, fit_processor = time.perf_counter() - started, time.process_time() - processor
    fit_peak = peak_mb()
    started = time.perf_counter()
    drawn = restore(model.sample(len(real)), real)
    sample_seconds = time.perf_counter() - started
    drawn.to_csv(options.folder / f"{options.model}.csv", index=False)
    record = {
        "method": options.model,
        "synthetic": f"{options.model}.csv",
        "fit_seconds": fit_seconds,
        "fit_cpu_seconds": fit_processor,
        "sample_seconds": sample_seconds,
        "fit_peak_mb": fit_peak,
        "peak_mb": peak_mb(),
        "epochs": epochs.done,
        "planned_epochs": options.epochs,
        "status": "done" if epochs.done >= options.epochs else "stopped",
        "threads": torch.get_num_threads(),
        "versions": {"ctgan": ctgan.__version__, "torch": torch.__version__},
    }
    (options.folder / "records.json").write_text(json.dumps([record]))


if __name__ == "__main__":
    main()
