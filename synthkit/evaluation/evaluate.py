"""One call from two tables to all scores, each with its interval, its ceiling and its floor."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import pandas as pd

from synthkit.errors import DataError, InputError, SchemaError, unknown_name
from synthkit.evaluation.controls import independent_columns
from synthkit.evaluation.copies import copied_score, copy_scores
from synthkit.evaluation.coverage import coverage_scores
from synthkit.evaluation.detection import detection_score
from synthkit.evaluation.fidelity import shape_errors, shape_score, trend_score
from synthkit.evaluation.records import Evaluation, Score
from synthkit.evaluation.threads import few_threads
from synthkit.evaluation.utility import measure_name, utility_score
from synthkit.evaluation.view import CodedTable, TableView, is_unscored_text
from synthkit.random import RandomSource, scoring_generator

FEWEST_ROWS = 10
_HELD_OUT_SHARE = 0.2
# The controls tell apart 0.5 from 1.0, not 0.53 from 0.54: fewer rows serve them. A linear model of thousands of
# indicators is slow, and says little.
_CONTROL_ROWS = 10_000
_LINEAR_CONTROL_ROWS = 5000


def evaluate(
    real: pd.DataFrame,
    synthetic: pd.DataFrame,
    *,
    test: pd.DataFrame | None = None,
    target: str | None = None,
    seed: int = 0,
) -> Evaluation:
    """Score a synthetic table against a real one, whoever made it.

    Parameters
    ----------
    real
        The rows that the generator learned from.
    synthetic
        The table to judge, with the same columns in any order.
    test
        Real rows that the generator never saw. Without them a fifth of `real` is split off; the result then says so,
        because the scores of copies cannot be trusted when the generator saw those rows.
    target
        The column that the utility scores predict; without it there are none.
    seed
        Seed of every draw; the same tables and seed give the same scores.

    Returns
    -------
    Evaluation
        Scores with interval, ceiling (held-out rows in place of synthetic ones) and floor (independent columns).

    Raises
    ------
    SchemaError
        If the columns differ or the target is unknown.
    DataError
        If a table is too small or holds infinite numbers.

    Examples
    --------
    >>> import numpy as np, pandas as pd
    >>> rng = np.random.default_rng(0)
    >>> real = pd.DataFrame({"x": rng.normal(size=200), "y": rng.integers(0, 3, 200)})
    >>> evaluate(real, real.sample(100, random_state=0), test=real.sample(60, random_state=1))["copied"].value
    1.0
    """
    tables = _checked(real, synthetic, test, target)
    notes = list(tables.notes)
    train, held_out = tables.real, tables.test
    if held_out is None:
        held_out = train.sample(frac=_HELD_OUT_SHARE, random_state=RandomSource(seed).integer("held-out"))
        train = train.drop(index=held_out.index).reset_index(drop=True)
        held_out = held_out.reset_index(drop=True)
        notes.append(
            f"no held-out table was given, so {len(held_out):,} rows were split off the real one; if the generator"
            " learned from them, utility looks a little too good and the nearest-record share cannot show memorising."
        )
    view = TableView(train)
    coded = view.code(train), view.code(held_out), view.code(tables.synthetic)
    with few_threads(max(len(train), len(synthetic))):
        scores = _scores(view, (train, coded[0]), (held_out, coded[1]), (tables.synthetic, coded[2]), target, seed)
        controls = _controls(view, (train, coded[0]), (held_out, coded[1]), len(synthetic), target, seed)
    nothing = Score(float("nan"))
    scores = {
        name: score.with_controls(
            ceiling=controls["ceiling"].get(name, nothing).value, floor=controls["floor"].get(name, nothing).value
        )
        for name, score in scores.items()
    }
    errors = shape_errors(view, coded[0], coded[2])
    return Evaluation(
        scores=scores,
        columns=dict(sorted(errors.items(), key=lambda item: -item[1])),
        rows={"real": len(train), "held-out": len(held_out), "synthetic": len(tables.synthetic)},
        target=target,
        seed=seed,
        notes=tuple(notes),
    )


def score_table(
    train: pd.DataFrame, test: pd.DataFrame, synthetic: pd.DataFrame, *, target: str | None = None, seed: int = 0
) -> dict[str, Score]:
    """Return the scores without controls, for benchmarks that have controls of their own.

    Parameters
    ----------
    train, test
        The rows that the generator learned from, and real rows that it never saw.
    synthetic
        The table to judge.
    target
        The column that the utility scores predict, or None for no utility scores.
    seed
        Seed of every draw.

    Raises
    ------
    SchemaError, DataError
        As in `evaluate`.
    """
    tables = _checked(train, synthetic, test, target)
    if tables.test is None:
        raise InputError("the scores need held-out rows")
    view = TableView(tables.real)
    real, held_out, made = ((frame, view.code(frame)) for frame in (tables.real, tables.test, tables.synthetic))
    with few_threads(max(len(train), len(synthetic))):
        return _scores(view, real, held_out, made, target, seed)


def control_scores(
    train: pd.DataFrame, test: pd.DataFrame, *, target: str | None = None, seed: int = 0
) -> dict[str, dict[str, Score]]:
    """Return what real held-out rows and independent columns score when they stand in for a synthetic table.

    Parameters
    ----------
    train, test
        The rows that a generator would learn from, and real rows that it would never see.
    target
        The column that the utility scores predict, or None for no utility scores.
    seed
        Seed of every draw.

    Returns
    -------
    dict
        The scores by name under "ceiling" (held-out rows) and "floor" (independent columns).

    Raises
    ------
    SchemaError, DataError
        As in `evaluate`.
    """
    tables = _checked(train, train, test, target)
    if tables.test is None:
        raise InputError("the controls need held-out rows")
    view = TableView(tables.real)
    real, held_out = (tables.real, view.code(tables.real)), (tables.test, view.code(tables.test))
    with few_threads(len(train)):
        return _controls(view, real, held_out, len(train), target, seed)


Table = tuple[pd.DataFrame, CodedTable]


def _scores(
    view: TableView, train: Table, test: Table, synthetic: Table, target: str | None, seed: int
) -> dict[str, Score]:
    """Return all scores; each draws from the start of the same stream, so that each can be computed alone."""
    real, held_out, made = train[1], test[1], synthetic[1]
    scores = {
        "shape_err": shape_score(view, real, made, scoring_generator(seed)),
        "trend_err": trend_score(view, real, made, scoring_generator(seed)),
        "c2st_tree": detection_score(view, real, made, scoring_generator(seed), model="trees"),
        "c2st_tree_test": detection_score(view, held_out, made, scoring_generator(seed), model="trees"),
        "c2st_lr": detection_score(view, real, made, scoring_generator(seed), model="linear"),
        **coverage_scores(view, real, made, scoring_generator(seed)),
    }
    if target is not None:
        measure = measure_name(view, test[0], target)
        for name, source in (("tstr", synthetic), ("trtr", train)):
            score = utility_score(view, source, test, target, scoring_generator(seed))
            scores[name] = dataclasses.replace(score, note=score.note or measure)
    scores |= copy_scores(view, real, held_out, made, scoring_generator(seed))
    scores["copied"] = copied_score(real, made)
    return scores


def _controls(
    view: TableView, train: Table, test: Table, n_rows: int, target: str | None, seed: int
) -> dict[str, dict[str, Score]]:
    """Return the scores of held-out rows and of independent columns in place of the synthetic rows."""
    frame = independent_columns(train[0], n_rows, scoring_generator(seed))
    independent = frame, view.code(frame)
    real, held_out = train[1], test[1]
    # Where held-out rows would meet themselves, one half of them plays the synthetic table.
    order = scoring_generator(seed).permutation(len(held_out))
    halves = held_out.take(order[: len(order) // 2]), held_out.take(order[len(order) // 2 :])
    ceiling = _control_scores(view, real, held_out, seed)
    ceiling["c2st_tree_test"] = detection_score(view, *halves, scoring_generator(seed), model="trees")
    ceiling |= copy_scores(view, real, *halves, scoring_generator(seed))
    ceiling["copied"] = copied_score(real, held_out)
    floor = _control_scores(view, real, independent[1], seed)
    floor["c2st_tree_test"] = detection_score(
        view, held_out, independent[1], scoring_generator(seed), model="trees", most_rows=_CONTROL_ROWS
    )
    floor |= copy_scores(view, real, held_out, independent[1], scoring_generator(seed))
    floor["copied"] = copied_score(real, independent[1])
    if target is not None:
        rows = scoring_generator(seed).permutation(n_rows)[:_CONTROL_ROWS]
        sample = frame.iloc[rows], independent[1].take(rows)
        floor["tstr"] = utility_score(view, sample, test, target, scoring_generator(seed))
        ceiling["tstr"] = utility_score(view, train, test, target, scoring_generator(seed))
    return {"ceiling": ceiling, "floor": floor}


def _control_scores(view: TableView, real: CodedTable, other: CodedTable, seed: int) -> dict[str, Score]:
    """Return the scores that need two tables only."""
    return {
        "shape_err": shape_score(view, real, other, scoring_generator(seed)),
        "trend_err": trend_score(view, real, other, scoring_generator(seed)),
        "c2st_tree": detection_score(
            view, real, other, scoring_generator(seed), model="trees", most_rows=_CONTROL_ROWS
        ),
        "c2st_lr": detection_score(
            view, real, other, scoring_generator(seed), model="linear", most_rows=_LINEAR_CONTROL_ROWS
        ),
        **coverage_scores(view, real, other, scoring_generator(seed)),
    }


@dataclass(frozen=True)
class _Tables:
    """Tables whose columns agree, with what was left out."""

    real: pd.DataFrame
    synthetic: pd.DataFrame
    test: pd.DataFrame | None
    notes: tuple[str, ...]


def _checked(real: pd.DataFrame, synthetic: pd.DataFrame, test: pd.DataFrame | None, target: str | None) -> _Tables:
    """Return the tables with equal columns in equal order and plain row numbers, or say what is wrong with them."""
    tables = {"real": real, "synthetic": synthetic} | ({"held-out": test} if test is not None else {})
    for kind, frame in tables.items():
        if not frame.columns.is_unique:
            twice = str(frame.columns[frame.columns.duplicated()][0])
            raise SchemaError(f"the {kind} table has two columns named {twice!r}", remedy="Rename one of them.")
        if len(frame) < FEWEST_ROWS:
            raise DataError(
                f"the {kind} table has {len(frame)} row{'' if len(frame) == 1 else 's'}, and {FEWEST_ROWS} are needed",
                remedy="Pass a larger table.",
            )
        _same_columns(real, frame, kind)
    names = [str(name) for name in real.columns]
    if target is not None and target not in names:
        raise SchemaError(unknown_name("target column", target, names))
    texts = [name for name in real.columns if is_unscored_text(real[name]) and str(name) != target]
    kept = [name for name in real.columns if name not in texts]
    if not kept:
        raise DataError("every column holds a different text in nearly every row, so there is nothing to compare")
    notes = tuple(
        f"column {str(name)!r} holds a different text in nearly every row and was left out of all scores."
        for name in texts
    )
    tidy = {
        kind: frame[kept].reset_index(drop=True).set_axis([str(name) for name in kept], axis=1)
        for kind, frame in tables.items()
    }
    return _Tables(tidy["real"], tidy["synthetic"], tidy.get("held-out"), notes)


def _same_columns(real: pd.DataFrame, other: pd.DataFrame, kind: str) -> None:
    """Refuse a table whose columns are not those of the real table."""
    missing = [str(name) for name in real.columns if name not in set(other.columns)]
    extra = [str(name) for name in other.columns if name not in set(real.columns)]
    if not missing and not extra:
        return
    said = []
    if missing:
        said.append(f"lacks {_listed(missing)}")
    if extra:
        said.append(f"has {_listed(extra)} beside")
    raise SchemaError(
        f"the {kind} table does not have the columns of the real one: it {' and '.join(said)}",
        remedy="Pass tables with the same columns.",
    )


def _listed(names: list[str], most: int = 5) -> str:
    shown = ", ".join(repr(name) for name in names[:most])
    return shown + (f" and {len(names) - most} more" if len(names) > most else "")
