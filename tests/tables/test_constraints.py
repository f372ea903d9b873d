from __future__ import annotations

import json
import re

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from synthkit import PrivacyBudget, Schema, TableGAN, load
from synthkit.errors import ConditionError, DataError, PrivacyError
from synthkit.schema_constraints import Combinations, Inequality, NotApplicable, Range, Regex, Total, Unique
from synthkit.tables.constraints import LEAST, learned_constraints
from synthkit.tables.private_lint import TABLE_CHECKS, lint

QUICK = {"n_codes": 8, "adversary": "off", "random_state": 0, "verbose": False, "time_budget": None}


def table(rows: int = 400, seed: int = 0) -> pd.DataFrame:
    """Rules of every kind hold in all rows; the kinds of cells are those that tables have."""
    rng = np.random.default_rng(seed)
    town = rng.choice(["Bern", "Thun", "Lyon", "Nice"], rows)
    start = pd.Timestamp("2020-01-01") + pd.to_timedelta(rng.integers(0, 300, rows), unit="D")
    drugs, stay = np.round(rng.gamma(2, 30, rows), 2), np.round(rng.gamma(3, 50, rows), 2)
    sex = rng.choice(["F", "M"], rows)
    low = rng.integers(0, 20, rows)
    return pd.DataFrame(
        {
            "low": low,
            "high": pd.array(low + rng.integers(0, 9, rows), dtype="Int64"),
            "start": start,
            "end": (start + pd.to_timedelta(rng.geometric(0.1, rows) - 1, unit="D")).where(rng.random(rows) < 0.9),
            "town": pd.Categorical(town),
            "country": np.where(np.isin(town, ["Bern", "Thun"]), "CH", "FR"),
            "drugs": drugs,
            "stay": stay,
            "bill": np.round(drugs + stay, 2),
            "sex": sex,
            "births": np.where(sex == "M", np.nan, rng.poisson(1, rows)),
            "spouse": np.where(low < 6, None, rng.choice(["Ann", "Bob"], rows)),
            "patient": 1000 + np.arange(rows) // 2 * 3 % 997,
            "visit": np.arange(rows) % 2 + 3 * (np.arange(rows) % 4 // 2),
            "key": [f"K{number:05d}" for number in rng.permutation(rows)],
            "number": rng.permutation(rows * 3)[:rows],
        }
    )


RULES = {
    "order": Inequality(low="low", high="high"),
    "dates": Inequality(low="start", high="end"),
    "places": Combinations(columns=("town", "country")),
    "range": Range(column="low", minimum=0, maximum=19),
    "days": Range(column="end", minimum="2020-01-01"),
    "values": Range(column="sex", values=("F", "M")),
    "bill": Total(column="bill", parts=("drugs", "stay")),
    "births": NotApplicable(column="births", when={"sex": "M"}, present_otherwise=True),
    "spouse": NotApplicable(column="spouse", when={"low": {"maximum": 5}}),
    "visits": Unique(columns=("patient", "visit")),
    "key": Unique(columns=("key",)),
    "number": Unique(columns=("number",)),
    "pattern": Regex(column="key", pattern=r"K\d{4}[05]"),
}
OVERRIDES = {
    "key": {"type": "identifier", "pattern": r"\K99999"},
    "number": {"type": "identifier"},
    "patient": {"type": "integer"},
}


@pytest.fixture(scope="module")
def real() -> pd.DataFrame:
    return table()


@pytest.fixture(scope="module")
def schema(real: pd.DataFrame) -> Schema:
    return Schema.infer(real, target="sex", overrides=OVERRIDES)


@pytest.fixture(scope="module")
def models(real: pd.DataFrame, schema: Schema) -> dict[str, TableGAN]:
    """Fitted without constraints, which change nothing of a fit."""
    return {
        "codes": TableGAN(**QUICK).fit(real, schema=schema),
        "network": TableGAN(**{**QUICK, "generator": "network", "time_budget": 5}).fit(real, schema=schema),
    }


@pytest.fixture(scope="module")
def strict(real: pd.DataFrame, schema: Schema) -> TableGAN:
    rules = [RULES[name] for name in ("order", "dates", "places", "bill", "births", "spouse", "visits", "key")]
    return TableGAN(**QUICK).fit(real, schema=schema.with_constraints(*rules))


def constrained(model: TableGAN, real: pd.DataFrame, *rules) -> TableGAN:
    """The model with other constraints."""
    encoder = model._learned().encoder
    plain = Schema(encoder.schema.columns)
    encoder._schema = learned_constraints(plain.with_constraints(*rules), real)
    return model


def assert_all_hold(frame: pd.DataFrame, schema: Schema) -> None:
    for one in schema.constraints:
        assert one.holds(frame).all(), one.describe()


# ---------------------------------------------------------------------------------------------------- all rows satisfy


@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    names=st.sets(st.sampled_from([name for name in RULES if name != "pattern"]), min_size=1),
    kind=st.sampled_from(["codes", "codes", "network"]),
    refined=st.booleans(),
    where=st.sampled_from([None, None, {"sex": "F"}, {"bill": (50, 300)}, {"town": ["Bern", "Nice"], "low": (3, 12)}]),
    seed=st.integers(0, 100),
)
def test_every_row_satisfies_every_constraint(names, kind, refined, where, seed, models, real) -> None:
    model = constrained(models[kind], real, *(RULES[name] for name in sorted(names)))
    drawn = model.sample(60, where=where, random_state=seed, refined=refined)
    assert len(drawn) == 60
    assert_all_hold(drawn, model.schema_)
    if where and "bill" in where:
        assert drawn["bill"].between(50, 300).all()
    if where and "sex" in where:
        assert (drawn["sex"] == "F").all()
    assert drawn.dtypes.equals(real.dtypes) or drawn["births"].isna().sum() == 0
    acceptance = model.acceptance_
    assert 60 <= acceptance.accepted <= acceptance.drawn
    assert LEAST < acceptance.rate <= 1
    pd.testing.assert_frame_equal(drawn, model.sample(60, where=where, random_state=seed, refined=refined))


def test_whole_tables_streams_and_balanced_tables(strict: TableGAN, real: pd.DataFrame) -> None:
    assert_all_hold(strict.sample(300, random_state=1), strict.schema_)
    parts = [batch.to_pandas() for batch in strict.iter_sample(330, random_state=1, batch_rows=64)]
    assert [len(part) for part in parts] == [64] * 5 + [10]
    streamed = pd.concat(parts, ignore_index=True)
    assert_all_hold(streamed, strict.schema_)
    again = [batch.to_pandas() for batch in strict.iter_sample(330, random_state=1, batch_rows=64)]
    pd.testing.assert_frame_equal(streamed, pd.concat(again, ignore_index=True))
    part = real[(real["sex"] == "F") | (real["low"] < 8)]
    balanced = strict.balance(part, "sex", random_state=2)
    assert len(balanced) > len(part)
    assert_all_hold(balanced, strict.schema_)  # keys of the real rows are not used again
    assert strict.acceptance_.accepted >= len(balanced) - len(part)
    assert list(strict.iter_sample(0)) == []
    assert len(strict.sample(0)) == 0
    assert list(strict.sample(0).columns) == list(real.columns)


def test_the_model_file_keeps_them(strict: TableGAN, tmp_path) -> None:
    strict.save(tmp_path / "strict.synth")
    again = load(tmp_path / "strict.synth")
    assert again.schema_ == strict.schema_
    pd.testing.assert_frame_equal(again.sample(50, random_state=3), strict.sample(50, random_state=3))
    places = next(one for one in again.schema_.constraints if isinstance(one, Combinations))
    assert sorted(places.allowed) == [("Bern", "CH"), ("Lyon", "FR"), ("Nice", "FR"), ("Thun", "CH")]


def test_the_report_states_the_acceptance(strict: TableGAN, models: dict[str, TableGAN], real: pd.DataFrame) -> None:
    report = strict.report_["constraints"]
    json.dumps(report)
    assert report["accepted"] / report["drawn"] == pytest.approx(report["rate"], abs=1e-6)
    assert set(report["violations"]) >= {"low <= high", "start <= end"}
    assert all(report["violations"].values())
    assert report["computed"]["bill = drugs + stay"] > 0
    plain = constrained(models["codes"], real)
    assert "constraints" not in plain.report_
    plain.sample(5)
    assert plain.acceptance_.rate == 1
    assert plain.acceptance_.drawn == 0


def test_the_law_changes_by_conditioning_alone(models: dict[str, TableGAN], real: pd.DataFrame) -> None:
    model = constrained(models["codes"], real)
    plain = model.sample(6_000, random_state=5, refined=False)
    kept = plain[(plain["low"] <= plain["high"]).to_numpy()]
    drawn = constrained(model, real, RULES["order"]).sample(6_000, random_state=6, refined=False)
    assert model.acceptance_.rate == pytest.approx(len(kept) / len(plain), abs=0.03)
    for name in ("low", "high", "drugs"):
        assert drawn[name].mean() == pytest.approx(kept[name].mean(), rel=0.05)


def test_computed_cells_leave_the_others_alone(models: dict[str, TableGAN], real: pd.DataFrame) -> None:
    model = constrained(models["codes"], real)
    plain = model.sample(200, random_state=7, refined=False)
    drawn = constrained(model, real, RULES["bill"]).sample(200, random_state=7, refined=False)
    assert model.acceptance_.rate == 1
    assert model.acceptance_.computed == {"bill = drugs + stay": model.acceptance_.drawn}
    pd.testing.assert_frame_equal(drawn[["low", "drugs", "stay"]], plain[["low", "drugs", "stay"]])
    assert (drawn["bill"] == (drawn["drugs"] + drawn["stay"]).round(2)).all()
    drawn = constrained(model, real, RULES["births"]).sample(200, random_state=7, refined=False)
    assert model.acceptance_.rate == 1
    pd.testing.assert_frame_equal(drawn[["sex", "town"]], plain[["sex", "town"]])
    assert set(drawn["births"].dropna()) <= set(real["births"].dropna())


def test_sums_of_sums(real: pd.DataFrame) -> None:
    frame = pd.DataFrame({"a": real["drugs"], "b": real["stay"], "c": real["low"] * 1.5})
    frame = frame.assign(ab=(frame["a"] + frame["b"]).round(2)).assign(all=lambda f: (f["ab"] + f["c"]).round(2))
    schema = Schema.infer(frame).with_constraints(
        Total(column="all", parts=("ab", "c")), Total(column="ab", parts=("a", "b"))
    )
    model = TableGAN(**QUICK).fit(frame, schema=schema)
    assert_all_hold(model.sample(100, random_state=0), schema)
    assert model.acceptance_.rate == 1


def test_identifiers_match_their_pattern_and_run_on(models: dict[str, TableGAN], real: pd.DataFrame) -> None:
    model = models["codes"]
    encoder = model._learned().encoder
    rare = Regex(column="key", pattern=r"(K0|K7)\d{3}[05]", checked=False)  # far from the template K99999
    constrained(model, real, RULES["order"], RULES["number"], RULES["key"], rare)
    drawn = model.sample(150, random_state=8)
    assert_all_hold(drawn, model.schema_)
    assert drawn["key"].str[1].nunique() == 2
    constrained(model, real, RULES["order"], RULES["number"], Regex(column="key", pattern="(?i)k.*", checked=False))
    assert_all_hold(model.sample(20, random_state=8), model.schema_)
    constrained(model, real, RULES["order"], RULES["number"], RULES["key"], rare)
    assert drawn["number"].is_unique
    assert drawn["number"].between(0, 3 * len(real)).all()  # rows that were left out use up no numbers
    assert encoder is model._learned().encoder


# ---------------------------------------------------------------------------------------------------- ranges are exact


def test_a_range_is_a_condition_and_rejects_nothing(models: dict[str, TableGAN], real: pd.DataFrame) -> None:
    model = models["codes"]
    rules = [
        Range(column="low", minimum=3, maximum=9, checked=False),
        Range(column="country", values=("CH", "FR"), checked=False),
        Range(column="town", values=("Bern", "Lyon"), checked=False),
        Range(column="end", maximum="2020-08-01", checked=False),
        Range(column="births", minimum=1, maximum=2, checked=False),
    ]
    constrained(model, real, *rules)
    for where in (None, {"low": (5, 30)}, {"town": ["Bern", "Nice"]}, {"sex": "M"}):
        drawn = model.sample(80, where=where, random_state=1)
        assert_all_hold(drawn, model.schema_)
        assert model.acceptance_.rate == 1, where
        assert drawn["end"].isna().any()
        assert drawn["births"].isna().any()
    assert drawn["low"].nunique() > 3
    with pytest.raises(ConditionError, match=r"'low' contradicts the constraint 'low is between 3 and 9'"):
        model.sample(1, where={"low": (12, 15)})
    with pytest.raises(ConditionError, match="'town' contradicts"):
        model.sample(1, where={"town": "Thun"})


def test_ranges_that_exclude_nothing_change_nothing(models: dict[str, TableGAN], real: pd.DataFrame) -> None:
    from synthkit.tables.drawing import range_conditions

    model = constrained(models["codes"], real, RULES["range"], RULES["days"], RULES["values"])
    assert range_conditions(model._learned().encoder, {}) == {}


# ---------------------------------------------------------------------------------------------------- what is refused


def test_training_rows_that_violate_are_refused(real: pd.DataFrame, schema: Schema) -> None:
    dirty = real.copy()
    dirty.loc[[2, 11, 12, 30], "low"] = 99
    with pytest.raises(DataError) as caught:
        TableGAN(**QUICK).fit(dirty, schema=schema.with_constraints(RULES["order"]))
    message = str(caught.value)
    assert "4 of 400 training rows violate the constraint 'low <= high': row 3 (low=99, high=" in message
    assert "row 13" in message
    assert "row 31" not in message
    assert "\n" not in message
    lenient = Inequality(low="low", high="high", checked=False)
    model = TableGAN(**QUICK).fit(dirty, schema=schema.with_constraints(lenient))
    assert_all_hold(model.sample(50, random_state=0), model.schema_)


def test_too_low_an_acceptance_names_the_constraint(models: dict[str, TableGAN], real: pd.DataFrame) -> None:
    never = Combinations(columns=("low", "high"), allowed=((0, 26), (0, 27), (1, 27)), checked=False)
    model = constrained(models["codes"], real, RULES["order"], never)
    with pytest.raises(ConditionError, match=r"'low and high come in one of .* violated most, by \d") as caught:
        model.sample(10, random_state=0, refined=False)
    assert "\n" not in str(caught.value)
    assert "loosen that constraint" in str(caught.value).lower()


def test_keys_that_run_out_are_told(models: dict[str, TableGAN], real: pd.DataFrame) -> None:
    model = constrained(models["codes"], real, Unique(columns=("town", "sex"), checked=False))
    assert len(model.sample(8, random_state=0, refined=False)) == 8
    with pytest.raises(ConditionError, match="town and sex together differ"):
        model.sample(9, random_state=0, refined=False)
    stream = model.iter_sample(9, random_state=0, refined=False, batch_rows=2)
    assert [batch.num_rows for _, batch in zip(range(4), stream, strict=False)] == [2] * 4
    with pytest.raises(ConditionError, match="together differ"):
        next(stream)


def test_conditions_that_a_computed_cell_breaks_are_kept(strict: TableGAN) -> None:
    drawn = strict.sample(40, where={"births": [1, 2], "bill": (None, 120)}, random_state=4)
    assert set(drawn["births"]) <= {1, 2}
    assert (drawn["sex"] == "F").all()
    assert (drawn["bill"] <= 120).all()
    with pytest.raises(ConditionError, match="the condition on births"):
        strict.sample(5, where={"births": 1, "sex": "M"}, random_state=0, refined=False)


# ---------------------------------------------------------------------------------------------------- under a budget


def private_schema() -> Schema:
    return Schema.from_yaml(
        """
        domain: declared
        records: 400
        columns:
          - {name: low, type: integer, dtype: int64, minimum: 0, maximum: 19}
          - {name: high, type: integer, dtype: int64, minimum: 0, maximum: 30}
          - {name: town, type: categorical, dtype: object, categories: [Bern, Lyon, Nice, Thun]}
          - {name: country, type: categorical, dtype: object, categories: [CH, FR]}
        """
    )


def test_under_a_budget_constraints_are_public(real: pd.DataFrame, tmp_path) -> None:
    frame = real[["low", "high", "town", "country"]].astype({"high": "int64", "town": object})
    rules = {**QUICK, "privacy": PrivacyBudget(epsilon=5, delta=1e-6), "reproducible_noise": 1, "random_state": 0}
    declared = private_schema()
    with pytest.raises(PrivacyError, match=r"'town', 'country' are to be those seen in training.*List them"):
        TableGAN(**rules).fit(frame, schema=declared.with_constraints(RULES["places"]))
    places = Combinations(
        columns=("town", "country"), allowed=(("Bern", "CH"), ("Thun", "CH"), ("Lyon", "FR"), ("Nice", "FR"))
    )
    schema = declared.with_constraints(places, RULES["order"])
    dirty = frame.copy()
    dirty.loc[:40, "low"] = 19
    dirty.loc[:40, "high"] = 0
    model = TableGAN(**rules).fit(dirty, schema=schema)  # training rows are not looked at: an error would tell of them
    drawn = model.sample(200, random_state=0)
    assert_all_hold(drawn, model.schema_)
    assert 0 < model.report_["constraints"]["rate"] <= 1
    model.save(tmp_path / "private.synth")
    report = lint(tmp_path / "private.synth")
    # reproducible noise is what the linter has to find, in its general checks; none of those of tables fails
    assert not {finding.check for finding in report.failed} & set(TABLE_CHECKS)
    assert {finding.check for finding in report.findings} >= set(TABLE_CHECKS)


# ---------------------------------------------------------------------------------------------------- command line


def test_the_command_line_proposes_applies_and_tells(real: pd.DataFrame, tmp_path, monkeypatch, capsys) -> None:
    from synthkit.cli import run

    monkeypatch.chdir(tmp_path)
    real.drop(columns=["key", "number"]).to_csv("visits.csv", index=False)
    assert run(["inspect", "visits.csv", "-o", "visits.yaml"]) == 0
    out = capsys.readouterr().out
    assert "candidate: low <= high (in all 400 rows" in out
    assert "candidates are comments at its end" in out
    assert Schema.load("visits.yaml").constraints == ()
    assert run(["inspect", "visits.csv", "--json"]) == 0
    content = json.loads(capsys.readouterr().out)
    kinds = {one["constraint"]["kind"] for one in content["candidates"]}
    assert kinds >= {"inequality", "combinations", "total", "not-applicable"}
    assert all(one["evidence"] for one in content["candidates"])

    text = (tmp_path / "visits.yaml").read_text()
    head, tail = text.split("# constraints:\n")
    (tmp_path / "visits.yaml").write_text(head + "constraints:\n" + re.sub(r"(?m)^# ?", "", tail))
    options = ["--schema", "visits.yaml", "--seed", "0", "--time-budget", "20s", "--quiet"]
    assert run(["fit", "visits.csv", "-o", "visits.synth", *options]) == 0
    capsys.readouterr()
    assert run(["sample", "visits.synth", "-n", "100", "-o", "out.csv", "--seed", "1"]) == 0
    assert "of the drawn rows satisfied all constraints" in capsys.readouterr().err
    drawn = pd.read_csv("out.csv")
    assert (drawn["low"] <= drawn["high"]).all()
    assert np.allclose(drawn["bill"], drawn["drugs"] + drawn["stay"])
    assert drawn["births"].isna().equals(drawn["sex"] == "M")

    (tmp_path / "bad.yaml").write_text(head + "constraints:\n  - {kind: inequality, low: hihg, high: low}\n")
    assert run(["fit", "visits.csv", "-o", "bad.synth", "--schema", "bad.yaml"]) == 2
    message = capsys.readouterr().err
    assert "did you mean 'high'" in message
    assert "bad.yaml" in message
    assert len(message.splitlines()) == 1
    assert not (tmp_path / "bad.synth").exists()
