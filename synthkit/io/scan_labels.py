"""Classes of scans: from the folders they lie in, from a table of labels, or from a DICOM tag; and who they are of."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from urllib.parse import unquote

from synthkit.errors import InputError, unknown_name
from synthkit.io.scan_reading import Notebook
from synthkit.io.scan_stack import Item, hashed
from synthkit.phrases import counted

SPLITS = {
    "train": "train", "training": "train", "val": "val", "valid": "val", "validation": "val", "test": "test",
    "testing": "test",
}  # fmt: skip
FOLDERS = "folders"
NONE = "none"
_FILES = (
    "file", "filename", "file_name", "path", "filepath", "image", "image_id", "imageid", "image_path", "name", "scan",
    "id", "series", "seriesinstanceuid", "sopinstanceuid", "patient", "patientid", "patient_id",
)  # fmt: skip
_LABELS = ("label", "labels", "class", "diagnosis", "target", "category", "finding", "outcome", "y")
_PATIENTS = ("patient", "patient_id", "patientid", "subject", "subject_id", "subjectid")
_MASKS = ("mask", "masks", "segmentation")
_OPTIONS = ("file", "label", "patient", "mask")
_MOST_CLASSES = 1_000
_BIDS = re.compile(r"(?:^|[/_])(sub-[A-Za-z0-9]+)(?=[/_.]|$)")


@dataclass(frozen=True)
class Labelled:
    """A scan to be, with what is known of it.

    Attributes
    ----------
    item
        The scan.
    label
        Its class; None where there are no classes.
    patient
        Who it is of; None where it is unknown.
    mask
        Where a table of labels says that its mask lies: empty text for an empty mask, None where it says nothing.
    """

    item: Item
    label: str | None = None
    patient: str | None = None
    mask: str | None = None


# ------------------------------------------------------------ splits


def split_of(name: str) -> str | None:
    """Return "train", "val" or "test" where the outermost folder is called so, else None."""
    parts = PurePosixPath(name).parts
    return SPLITS.get(parts[0].lower()) if len(parts) > 1 else None


def of_split(items: Sequence[Item], split: str | None, notebook: Notebook) -> tuple[list[Item], bool]:
    """Keep the scans of one split, where the outermost folders are splits.

    Parameters
    ----------
    items
        Scans to be.
    split
        "train", "val" or "test"; the training split where there is one and this is None.
    notebook
        What is not read is noted here.

    Returns
    -------
    list of Item
        Those of the split.
    bool
        Whether the outermost folders are splits.

    Raises
    ------
    InputError
        A split that is not there.
    """
    if split is not None and split not in SPLITS.values():
        raise InputError(unknown_name("split", split, sorted(set(SPLITS.values()))), remedy="Choose one of them.")
    counts = Counter(split_of(item.file) for item in items)
    splits = {one for one in counts if one is not None}
    if not splits or counts[None]:
        if split is not None:
            raise InputError(
                f"'{notebook.source}' has no split '{split}'", remedy="Leave it out, or name the folder of that split."
            )
        return list(items), False
    chosen = split if split is not None else "train" if "train" in splits else sorted(splits)[0]
    if chosen not in splits:
        raise InputError(
            f"'{notebook.source}' has no split '{chosen}', it holds {', '.join(sorted(splits))}",
            remedy="Choose one of these.",
        )
    if len(splits) > 1:
        others = ", ".join(f"'{one}' ({counted(counts[one], 'scan')})" for one in sorted(splits - {chosen}))
        notebook.note(f"the split '{chosen}' was read; not read: {others}")
    return [item for item in items if split_of(item.file) == chosen], True


# ------------------------------------------------------------ labels


def from_folders(items: Sequence[Item], notebook: Notebook, *, skipped: int, certain: bool) -> list[Labelled]:
    """Take the folder of each scan as its class.

    Parameters
    ----------
    items
        Scans to be.
    notebook
        Why folders are no classes, or which scans are in none, is noted here.
    skipped
        Outer folders that are splits: 0 or 1.
    certain
        Whether the user says that folders are classes; otherwise there must be at least two of them, each of more than
        one patient (or scan, where patients are unknown): folders are as often patients or series.
    """
    folders = [class_folder(item.file, skipped) for item in items]
    patients = [item.stack.patient or _bids(item.file) for item in items]
    known = Counter(folder for folder in folders if folder is not None)
    if not certain:
        units: dict[str, set[str]] = defaultdict(set)
        for item, folder, patient in zip(items, folders, patients, strict=True):
            if folder is not None:
                units[folder].add(patient or item.name)
        n_units = len(set().union(*units.values())) if units else 0
        inside = sum(known.values())
        if len(known) < 2 or inside * 2 < len(items) or 2 * len(known) > n_units:
            if len(known) >= 2 and inside * 2 >= len(items):
                notebook.note(
                    f"{len(known)} folders hold {counted(n_units, 'patient or picture')}: they were not taken for "
                    "classes; --labels folders takes them for that"
                )
            return [Labelled(item, None, patient) for item, patient in zip(items, patients, strict=True)]
    kept = []
    for item, folder, patient in zip(items, folders, patients, strict=True):
        if folder is None:
            notebook.leave(item.name, "lies in no folder of a class")
        else:
            kept.append(Labelled(item, folder, patient))
    if known:
        notebook.note(f"classes are the folders {_listed(sorted(known))}")
    return kept


def from_tag(items: Sequence[Item], tag: str, notebook: Notebook) -> list[Labelled]:
    """Take the text of a DICOM tag as the class; scans without it are left out."""
    kept = []
    for item in items:
        if item.stack.tag:
            kept.append(Labelled(item, item.stack.tag, item.stack.patient))
        else:
            notebook.leave(item.name, f"no label: the tag {tag} is missing or empty")
    notebook.note(f"classes are what the tag {tag} says")
    return kept


def unlabelled(items: Sequence[Item]) -> list[Labelled]:
    """Take scans without classes."""
    return [Labelled(item, None, item.stack.patient or _bids(item.file)) for item in items]


def class_folder(file: str, skipped: int) -> str | None:
    """Return the outermost folder of a file, below `skipped` others; None where it lies in none."""
    parts = PurePosixPath(file).parts[skipped:]
    return parts[0] if len(parts) > 1 else None


def _bids(name: str) -> str | None:
    """Return the subject that a name of the Brain Imaging Data Structure holds, hashed."""
    found = _BIDS.search(name)
    return None if found is None else hashed(found[1], "patient")


def _listed(names: Sequence[str], most: int = 10) -> str:
    more = f" and {len(names) - most:,} more" if len(names) > most else ""
    return ", ".join(repr(name) for name in names[:most]) + more


# ------------------------------------------------------------ table of labels


def table_options(source: str) -> tuple[str, dict[str, str]]:
    """Split ``labels.csv?file=image_id&label=finding`` into what is read and which columns are meant."""
    path, _, after = source.partition("?")
    mine: dict[str, str] = {}
    others = []
    for part in filter(None, after.split("&")):
        key, equals, value = part.partition("=")
        if key in _OPTIONS and equals:
            mine[key] = unquote(value)
        else:
            others.append(part)
    return path + ("?" + "&".join(others) if others else ""), mine


def from_table(items: Sequence[Item], source: str, notebook: Notebook, *, split: str | None = None) -> list[Labelled]:
    """Take labels, and patients and masks where there are columns of them, from a table with one row per scan or file.

    Parameters
    ----------
    items
        Scans to be.
    source
        Where the table lies, with ``?file=COLUMN&label=COLUMN`` where its columns have unusual names. A cell of the
        column of files names a scan by its path, its name with or without ending, the folder of its series, or, for
        DICOM, the identifier of its patient, series or instance.
    notebook
        Scans without a row, and rows without a scan, are noted here.
    split
        Keeps rows whose column "split" says so.

    Raises
    ------
    InputError
        No such column, or nearly as many labels as scans.
    """
    from synthkit.io.tables import read_table

    path, options = table_options(source)
    frame = read_table(path)
    columns = {name: [_text(cell) for cell in frame[name]] for name in frame.columns}
    if split is not None:
        columns = _rows_of_split(columns, split, path)
    keys = _all_keys(items)
    files = _file_column(columns, options.get("file"), keys, path)
    labels = _column(columns, options.get("label"), _LABELS, path)
    patients = _column(columns, options.get("patient"), _PATIENTS, path)
    masks = _column(columns, options.get("mask"), _MASKS, path)
    if labels is None and masks is None and patients is None:
        rest = [name for name in columns if name != files]
        if len(rest) != 1:
            raise InputError(
                f"'{path}' has the columns {_listed(list(columns))}, and none of them is called 'label'",
                remedy=f"Name it, as in {path}?label=COLUMN.",
            )
        labels = rest[0]
    rows = _rows(columns[files])
    used: set[int] = set()
    kept = []
    for item, names in zip(items, keys, strict=True):
        own = next((rows[name] for name in names if name in rows), [])
        used.update(own)
        label = None
        if not own:
            notebook.leave(item.name, f"has no row in '{path}'")
            continue
        if labels is not None:
            said = {columns[labels][row] for row in own} - {""}
            if len(said) != 1:
                why = "no label" if not said else f"{len(said)} labels ({_listed(sorted(said))})"
                notebook.leave(item.name, f"has {why} in '{path}'")
                continue
            (label,) = said
        who = columns[patients][own[0]] if patients is not None else ""
        patient = hashed(who, "patient") if who else item.stack.patient or _bids(item.file)
        kept.append(Labelled(item, label, patient, None if masks is None else columns[masks][own[0]]))
    _check_classes(kept, labels, path)
    missing = len(columns[files]) - len(used)
    if missing:
        example = next(i for i in range(len(columns[files])) if i not in used)
        notebook.note(f"{counted(missing, 'row')} of '{path}' name no scan that is used, such as row {example + 1}")
    if labels is not None:
        notebook.note(f"classes are the column {labels!r} of '{path}', by the column {files!r}")
    return kept


def _text(cell: object) -> str:
    """Return a cell as it was written: whole numbers that became real ones because of gaps without their zero."""
    if cell is None or cell != cell or str(cell) == "<NA>":
        return ""
    if isinstance(cell, float) and cell.is_integer():
        return str(int(cell))
    return str(cell).strip()


def _rows_of_split(columns: dict[str, list[str]], split: str, path: str) -> dict[str, list[str]]:
    name = next((one for one in columns if one.lower() in ("split", "set", "partition", "fold")), None)
    if name is None:
        return columns
    kept = [i for i, value in enumerate(columns[name]) if SPLITS.get(value.lower(), value) == split]
    if not kept:
        raise InputError(
            f"'{path}' has no row of the split '{split}', its column {name!r} holds "
            f"{_listed(sorted(set(columns[name])))}",
            remedy="Choose one of these.",
        )
    return {key: [values[i] for i in kept] for key, values in columns.items() if key != name}


def _all_keys(items: Sequence[Item]) -> list[list[str]]:
    """Return names under which a table may mention each scan; a short name that two files have says nothing."""
    files = {item.file for item in items}
    shared = Counter(short for file in files for short in {PurePosixPath(file).name, _short(file)})
    return [[key for key in _keys(item) if shared[key] < 2 or key in files] for item in items]


def _short(file: str) -> str:
    return PurePosixPath(file).name.partition(".")[0]


def _keys(item: Item) -> list[str]:
    """Return names under which a table may mention a scan, the most exact first."""
    file = item.file
    path = PurePosixPath(file)
    parent = path.parent
    found = [
        item.name,
        item.stack.name,
        file,
        (parent / _short(file)).as_posix(),
        path.name,
        _short(file),
        *(key for key in item.stack.keys if key),
    ]
    if item.plane is not None and item.plane < len(item.stack.plane_keys):
        found.append(item.stack.plane_keys[item.plane])
    while parent.parts:
        found += [parent.as_posix(), parent.name]
        parent = parent.parent
    return list(dict.fromkeys(found))


def _cells(cell: str) -> list[str]:
    """Return what a cell may mean: a path in any spelling, or an identifier."""
    plain = cell.replace("\\", "/")
    while plain.startswith("./"):
        plain = plain[2:]
    plain = plain.rstrip("/")
    return [plain, hashed(cell, "uid"), hashed(cell, "patient")] if plain else []


def _rows(cells: Sequence[str]) -> dict[str, list[int]]:
    rows: dict[str, list[int]] = defaultdict(list)
    for i, cell in enumerate(cells):
        for meaning in _cells(cell):
            rows[meaning].append(i)
    return dict(rows)


def _file_column(columns: dict[str, list[str]], given: str | None, keys: Sequence[list[str]], path: str) -> str:
    """Return the column that names scans: the given one, or the one that names most of them."""
    if given is not None:
        return _column(columns, given, (), path) or given
    every = {key for names in keys for key in names}
    hits = {
        name: sum(any(meaning in every for meaning in _cells(cell)) for cell in set(values))
        for name, values in columns.items()
    }
    usual = [name for name in columns if name.lower().replace(" ", "_") in _FILES]
    best = max(columns, key=lambda name: (hits[name], name in usual))
    if not hits[best]:
        example = keys[0][0] if keys else ""
        raise InputError(
            f"no column of '{path}' names a scan, such as '{example}'",
            remedy=f"Write the paths of the files into a column, or name it as in {path}?file=COLUMN.",
        )
    return best


def _column(columns: dict[str, list[str]], given: str | None, usual: Sequence[str], path: str) -> str | None:
    if given is not None:
        if given not in columns:
            raise InputError(f"'{path}' has an {unknown_name('column', given, columns)}", remedy="Choose one of them.")
        return given
    folded = {name.lower().replace(" ", "_"): name for name in columns}
    return next((folded[name] for name in usual if name in folded), None)


def _check_classes(kept: Sequence[Labelled], column: str | None, path: str) -> None:
    classes = {one.label for one in kept}
    if column is not None and (len(classes) > _MOST_CLASSES or (len(classes) > 20 and len(classes) * 2 > len(kept))):
        raise InputError(
            f"the column {column!r} of '{path}' has {len(classes):,} different labels for {counted(len(kept), 'scan')}",
            remedy=f"Choose a column of classes, as in {path}?label=COLUMN.",
        )


def warn_of_classes(kept: Sequence[Labelled], notebook: Notebook, wanted: Sequence[str] = ()) -> None:
    """Warn of classes of a single scan, and of folders of a class in which nothing can be used."""
    counts = Counter(one.label for one in kept if one.label is not None)
    for name, n in sorted(counts.items()):
        if n == 1:
            notebook.warn(f"the class {name!r} has a single scan")
    for name in sorted(set(wanted) - set(counts)):
        notebook.warn(f"the class {name!r} has no scan that can be used, so there is no such class")
