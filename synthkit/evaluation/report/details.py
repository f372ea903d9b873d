"""What scores are made of, as tables: the columns, pairs, groups and models behind one number."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from synthkit.evaluation.metrics import METRICS
from synthkit.evaluation.records import Evaluation
from synthkit.evaluation.report.contents import DASH, Table, as_number, interval, shown, title_of

_MOST_ROWS = 20
# The margins, the columns that give rows away and the models have a section of their own.
_SHOWN_ELSEWHERE = ("shape_err", "giveaway", "c2st_tree", "utility_gap_")
_SINGULAR = {"columns": "column", "pairs": "pair", "groups": "group", "patterns": "missing together"}
_TABLES = ("real", "synthetic")
_GAP = "utility_gap_"


def utility_table(evaluation: Evaluation) -> Table | None:
    """Return what models trained on either table reach, one measure a row, or None where there is no target."""
    cells: dict[tuple[str, str], dict[str, str]] = {}
    for name, score in evaluation.scores.items():
        if name.startswith(_GAP):
            for row in score.details.get("table", ()):
                value, low, high = (as_number(row.get(key)) for key in ("value", "low", "high"))
                key = name.removeprefix(_GAP), str(row.get("measure", DASH))
                cells.setdefault(key, {})[str(row.get("trained on", DASH))] = _with_interval(value, low, high)
    if not cells:
        for name, source in (("trtr", "real"), ("tstr", "synthetic")):
            found = evaluation.scores.get(name)
            if found is not None and found.applies:
                text = _with_interval(found.value, found.low, found.high)
                cells.setdefault(("boosted", found.note or "score"), {})[source] = text
    if not cells:
        return None
    sources = list(dict.fromkeys(source for row in cells.values() for source in row))
    rows = tuple((*key, *(row.get(source, DASH) for source in sources)) for key, row in cells.items())
    head = ("model", "measure", *(f"trained on {source}" for source in sources))
    return Table(
        f"Prediction of {evaluation.target} in held-out real rows, with 95 % intervals", head, rows, texts=(1,)
    )


def _with_interval(value: float, low: float, high: float) -> str:
    ends = interval(low, high)
    return shown(value) if ends == DASH else f"{shown(value)} ({ends})"


def giveaways(evaluation: Evaluation) -> list[tuple[str, float, float, float]]:
    """Return name, importance and interval of the columns that give synthetic rows away, most important first."""
    for metric in ("giveaway", "c2st_tree"):
        score = evaluation.scores.get(metric)
        columns = score.details.get("columns") if score is not None else None
        if isinstance(columns, Mapping) and columns:
            found = [
                (str(name), as_number(entry["importance"]), as_number(entry["low"]), as_number(entry["high"]))
                for name, entry in columns.items()
                if isinstance(entry, Mapping) and {"importance", "low", "high"} <= entry.keys()
            ]
            return sorted(found, key=lambda entry: -entry[1])
    return []


def giveaway_table(evaluation: Evaluation) -> Table | None:
    """Return the columns that give synthetic rows away as a table."""
    rows = tuple((name, shown(value), interval(low, high)) for name, value, low, high in giveaways(evaluation))
    head = ("column", "loss of AUC without it", "95 % interval")
    return Table("Columns that give synthetic rows away", head, rows) if rows else None


def group_tables(evaluation: Evaluation) -> list[Table]:
    """Return what the scores of fairness and of subgroups are made of."""
    names = [name for name in evaluation.scores if METRICS[name].theme == "fairness" or _of_groups(name)]
    return [table for name in names for table in _tables(evaluation, name)]


def theme_tables(evaluation: Evaluation, theme: str) -> list[Table]:
    """Return what the scores of a theme are made of, but for what has a section of its own."""
    if theme == "fairness":
        return []
    names = [
        name
        for name in evaluation.scores
        if METRICS[name].theme == theme and not _of_groups(name) and not name.startswith(_SHOWN_ELSEWHERE)
    ]
    return [table for name in names for table in _tables(evaluation, name)]


def _of_groups(name: str) -> bool:
    return name.startswith("subgroup")


def _tables(evaluation: Evaluation, name: str) -> list[Table]:
    details = evaluation.scores[name].details
    return [table for key, entries in details.items() for table in as_tables(title_of(name), str(key), entries)]


def as_tables(title: str, key: str, entries: Any) -> list[Table]:
    """Return one entry of the details of a score as a table, and one more for each table that lies in it.

    Parameters
    ----------
    title
        What readers call the score.
    key
        The name of the entry, such as "columns".
    entries
        Names with a number, a mapping or a pair (real, synthetic) each, or a list of mappings or of names followed by
        such a pair. Anything else gives no table.
    """
    word = _SINGULAR.get(key, key)
    named, inner = [], []
    for entry in _entries(entries):
        row = _row(entry, word)
        for heading, cell in list(row.items()):
            if isinstance(cell, Mapping) and cell and all(isinstance(part, Mapping) for part in cell.values()):
                del row[heading]
                inner += as_tables(f"{title}, {row[word]}", heading, cell)
        named.append({heading: _plain(cell) for heading, cell in row.items()})
    if not named or not all(len(row) > 1 for row in named):
        return inner
    head = list(dict.fromkeys(heading for row in named for heading in row))
    texts = tuple(
        place for place, heading in enumerate(head) if place and any(isinstance(row.get(heading), str) for row in named)
    )
    rows = tuple(tuple(_cell(row.get(heading)) for heading in head) for row in named[:_MOST_ROWS])
    caption = f"{title}: {key}"
    if len(named) > _MOST_ROWS:
        caption += f", the first {_MOST_ROWS} of {len(named):,}"
    return [Table(caption[:1].upper() + caption[1:], tuple(head), rows, texts), *inner]


def _entries(entries: Any) -> list[Any]:
    """Return each entry as a mapping or as a list that starts with a name."""
    if not isinstance(entries, Mapping):
        listed = entries if _is_list(entries) else []
        return [entry for entry in listed if _is_list(entry) or isinstance(entry, Mapping)]
    found: list[Any] = []
    for name, entry in entries.items():
        if isinstance(entry, Mapping):
            found.append({None: name, **entry})
        else:
            found.append([name, *entry] if _is_list(entry) else [name, entry])
    return found


def _row(entry: Any, word: str) -> dict[str, Any]:
    """Return the cells of a row by heading."""
    if isinstance(entry, Mapping):
        return {word if name is None else str(name): cell for name, cell in entry.items()}
    names = [cell for cell in entry if isinstance(cell, str) or _is_list(cell)]
    numbers = entry[len(names) :]
    headings = _TABLES if len(numbers) == len(_TABLES) else ("value", *(f"value {n + 2}" for n in range(len(numbers))))
    return {word: " and ".join(str(_plain(name)) for name in names)} | dict(zip(headings, numbers, strict=False))


def _plain(cell: Any) -> Any:
    if isinstance(cell, Mapping):
        return ", ".join(f"{name}: {_cell(value)}" for name, value in cell.items())
    return ", ".join(map(str, cell)) or "none" if _is_list(cell) else cell


def _cell(value: Any) -> str:
    if value is None:
        return DASH
    if isinstance(value, float):
        return shown(value)
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)


def _is_list(entry: Any) -> bool:
    return isinstance(entry, Sequence) and not isinstance(entry, str)
