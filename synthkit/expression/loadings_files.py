"""Files of public loadings: tables of genes by directions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from synthkit.errors import InputError


def text_of(path: str | Path) -> str:
    """Return the text of a file.

    Raises
    ------
    InputError
        It cannot be read.
    """
    try:
        return Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"'{path}' cannot be read: {error}", remedy="Check the path.") from error


def table_of(path: Path) -> pd.DataFrame:
    """Return a table of numbers whose index holds ids of genes, from .csv, .tsv, .parquet or .npz.

    Raises
    ------
    InputError
        It is no such table.
    """
    try:
        if path.suffix.lower() == ".npz":
            with np.load(path, allow_pickle=False) as arrays:
                parts: dict[str, Any] = {name: arrays[name] for name in arrays.files}
            frame = pd.DataFrame(parts["loadings"], index=parts["genes"].astype(str))
            return frame if "level" not in parts else frame.assign(level=parts["level"])
        if path.suffix.lower() == ".parquet":
            frame = pd.read_parquet(path)
            if isinstance(frame.index, pd.RangeIndex):
                frame = frame.set_index(frame.columns[0])
        else:
            frame = pd.read_csv(path, index_col=0, sep="\t" if path.suffix.lower() == ".tsv" else ",")
        return frame.set_axis(frame.index.astype(str), axis=0).astype(np.float64)
    except (OSError, KeyError, ValueError, IndexError) as error:
        raise InputError(
            f"'{path}' is no table of loadings ({type(error).__name__}: {error})",
            remedy="Give genes in rows and a column of numbers for each direction.",
        ) from error
