"""A table fitted under a budget behaves like any other model, and holds nothing that the budget did not pay for."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone

import synthkit
from synthkit import PrivacyBudget, Schema, TableGAN
from synthkit.archive import read_archive, read_manifest
from synthkit.errors import InputError, PrivacyError, SchemaError
from synthkit.privacy.ledger import Ledger
from synthkit.schema import Column
from synthkit.tables.private import plan_for
from synthkit.tables.private_lint import lint

BUDGET = PrivacyBudget(20.0, 1e-6)
ROWS = 3_000


def people(rows: int = ROWS, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    age = rng.integers(18, 91, rows)
    degree = np.where(age > 60, "none", rng.choice(["school", "college"], rows))
    return pd.DataFrame(
        {
            "id": rng.permutation(rows) + 1,
            "age": age,
            "wage": np.where(rng.random(rows) < 0.4, 0.0, np.round(rng.gamma(2.0, 20.0, rows), 2)),
            "degree": degree,
            "town": pd.Series(rng.choice(["Bern", "Basel"], rows)).mask(rng.random(rows) < 0.1),
            "member": rng.random(rows) < 0.4,
            "joined": pd.Timestamp("2020-01-01") + pd.to_timedelta(rng.integers(0, 900, rows), unit="D"),
            "code": [f"A-{number:04d}" for number in range(rows)],
            "country": "CH",
        }
    )


def declared() -> Schema:
    return Schema(
        (
            Column(name="id", type="identifier", dtype="int64", minimum=1, maximum=99_999),
            Column(name="age", type="integer", dtype="int64", minimum=18, maximum=90),
            Column(name="wage", type="continuous", dtype="float64", decimals=2, minimum=0.0, maximum=1_000.0),
            Column(name="degree", type="categorical", dtype="object", categories=("none", "school", "college", "phd")),
            Column(name="town", type="categorical", dtype="object", categories=("Bern", "Basel"), nullable=True),
            Column(name="member", type="boolean", dtype="bool", categories=(False, True)),
            Column(
                name="joined",
                type="datetime",
                dtype="datetime64[ns]",
                granularity="D",
                minimum="2019-01-01",
                maximum="2023-12-31",
            ),
            Column(name="code", type="identifier", dtype="object", pattern="\\A\\-9999"),
            Column(name="country", type="constant", dtype="object", categories=("CH",)),
        ),
        domain="declared",
        records=ROWS,
    )


@pytest.fixture(scope="module")
def model() -> TableGAN:
    gan = TableGAN(privacy=BUDGET, n_codes=60, random_state=0, verbose=False, ledger=None)
    return gan.fit(people(), schema=declared(), target="degree")


def test_rows_look_like_those_of_the_table(model: TableGAN) -> None:
    drawn = model.sample(500, random_state=1)
    real = people()
    assert list(drawn.columns) == list(real.columns)
    assert drawn.dtypes.to_dict() == real.dtypes.to_dict()
    assert drawn["age"].between(18, 90).all()
    assert drawn["joined"].between("2019-01-01", "2023-12-31").all()
    assert drawn["id"].is_unique
    assert drawn["code"].str.fullmatch(r"A-[0-9]{4}").all()
    assert (drawn["country"] == "CH").all()
    assert (drawn["wage"].round(2) == drawn["wage"]).all()
    assert 0.02 < drawn["town"].isna().mean() < 0.2
    assert abs((drawn["wage"] == 0).mean() - 0.4) < 0.1


def test_relations_survive(model: TableGAN) -> None:
    drawn = model.sample(2_000, random_state=1)
    assert (drawn.loc[drawn["age"] > 65, "degree"] == "none").mean() > 0.85
    assert (drawn.loc[drawn["age"] < 55, "degree"] == "none").mean() < 0.15


def test_conditions_imputation_and_balancing_work_as_without_a_budget(model: TableGAN) -> None:
    drawn = model.sample(200, where={"degree": "college", "age": (30, 40), "wage": 0}, random_state=1)
    assert (drawn["degree"] == "college").all()
    assert drawn["age"].between(30, 40).all()
    assert (drawn["wage"] == 0).all()
    holes = people(50).assign(degree=None)
    filled = model.impute(holes, random_state=0)
    assert filled["degree"].isin(["none", "school", "college", "phd"]).all()
    kept = [name for name in holes if name not in ("degree", "town")]
    pd.testing.assert_frame_equal(filled[kept], holes[kept])
    balanced = model.balance(people(200), random_state=0)
    assert balanced["degree"].value_counts().nunique() == 1
    assert np.isfinite(model.log_likelihood(people(20))).all()


def test_the_same_seed_draws_the_same_rows_from_a_model(model: TableGAN) -> None:
    pd.testing.assert_frame_equal(model.sample(50, random_state=3), model.sample(50, random_state=3))


def test_a_seed_does_not_reach_the_noise() -> None:
    schema = Schema(declared().columns[1:4], domain="declared", records=ROWS)
    drawn = [
        TableGAN(privacy=BUDGET, n_codes=60, random_state=0, verbose=False)
        .fit(people(500), schema=schema)
        .sample(50, random_state=0)
        for _ in range(2)
    ]
    assert not drawn[0].equals(drawn[1])


def test_reproducible_noise_is_reproducible_and_says_that_it_is_not_private() -> None:
    schema = Schema(declared().columns[1:4], domain="declared", records=ROWS)
    fits = []
    for _ in range(2):
        gan = TableGAN(privacy=BUDGET, n_codes=60, random_state=0, verbose=False, reproducible_noise=7)
        fits.append(gan.fit(people(500), schema=schema))
    pd.testing.assert_frame_equal(fits[0].sample(50, random_state=0), fits[1].sample(50, random_state=0))
    assert fits[0]._learned().privacy["noise"] == {"private": False}


def test_the_model_file_comes_back_with_its_ledger(model: TableGAN, tmp_path: Path) -> None:
    model.save(tmp_path / "m.synth")
    loaded = synthkit.load(tmp_path / "m.synth")
    assert loaded.privacy == BUDGET
    pd.testing.assert_frame_equal(loaded.sample(30, random_state=0), model.sample(30, random_state=0))
    stored = read_manifest(tmp_path / "m.synth")["privacy"]
    ledger = Ledger.from_json(stored["ledger"])
    assert ledger.epsilon() <= BUDGET.epsilon
    assert {event.name for event in ledger.events} == {"bins", "margins", "pairs"}
    assert stored["bought"]["bins"] == ["age", "wage", "joined"]


def test_the_model_file_holds_no_row_count_and_no_trace_of_a_rare_cell(tmp_path: Path) -> None:
    frame = people()
    frame.loc[17, "degree"] = "secret label"
    frame.loc[18, "wage"] = 777.77
    gan = TableGAN(privacy=PrivacyBudget(1.0, 1e-6), n_codes=60, random_state=0, verbose=False)
    gan.fit(frame, schema=declared()).save(tmp_path / "m.synth")
    archive = read_archive(tmp_path / "m.synth")
    content = json.dumps(archive.manifest)
    assert "secret label" not in content
    assert "777.77" not in content
    for group, arrays in archive.tensors.items():
        for name, array in arrays.items():
            values = np.asarray(array)
            if values.dtype.kind == "f":
                assert not np.any(np.abs(values - 777.77) < 1e-4), (group, name)
            else:
                assert not np.any(values == 77777), (group, name)


def test_what_is_learned_does_not_depend_on_cells_outside_the_domain() -> None:
    """With the same noise, a table in which undeclared cells are changed gives the same model, bit for bit."""
    schema = Schema(declared().columns[1:6], domain="declared", records=ROWS)
    drawn = []
    for poison in ("unheard of", "something else"):
        frame = people(400).astype(object)
        frame.loc[5, ["degree", "town"]] = poison
        frame.loc[6, "age"] = poison
        gan = TableGAN(privacy=BUDGET, n_codes=60, random_state=0, verbose=False, reproducible_noise=1)
        drawn.append(gan.fit(frame, schema=schema).sample(100, random_state=0))
    pd.testing.assert_frame_equal(drawn[0], drawn[1])


def test_persons_with_many_rows_count_once() -> None:
    frame = pd.concat([people(400).assign(id=1), people(400, seed=1)], ignore_index=True)
    schema = Schema(declared().columns[:4], domain="declared", records=400)
    gan = TableGAN(privacy=dataclasses.replace(BUDGET, unit="id"), n_codes=60, random_state=0, verbose=False)
    gan.fit(frame, schema=schema)
    assert abs(gan.report_["rows"] - 401) < 40
    assert gan.sample(30, random_state=0)["id"].is_unique


def test_categories_and_records_can_be_bought() -> None:
    columns = [
        dataclasses.replace(column, categories=None) if column.name == "degree" else column
        for column in declared().columns[1:5]
    ]
    frame = people()
    frame.loc[0, "degree"] = "only one person"
    gan = TableGAN(privacy=BUDGET, n_codes=60, random_state=0, verbose=False, buy=("records", "categories"))
    gan.fit(frame, schema=Schema(tuple(columns), domain="declared"))
    assert set(gan.schema_["degree"].categories) == {"none", "school", "college"}
    assert set(gan.sample(300, random_state=0)["degree"]) == {"none", "school", "college"}
    privacy = gan._learned().privacy
    assert privacy["records"] is None
    assert privacy["bought"]["categories"] == ["degree"]


def small(*columns: Column, **settings: object) -> TableGAN:
    gan = TableGAN(
        **{"privacy": PrivacyBudget(5.0, 1e-5), "n_codes": 20, "random_state": 0, "verbose": False, **settings}
    )
    return gan.fit(people(300), schema=Schema(columns, domain="declared", records=2_000))


AGE, DEGREE, MEMBER, ID = (declared()[name] for name in ("age", "degree", "member", "id"))


@pytest.mark.parametrize("engine", ["anchor", "hybrid", "dp-sgd"])
@pytest.mark.parametrize("column", [AGE, DEGREE], ids=lambda column: column.name)
def test_a_single_column_is_its_margin(column: Column, engine: str) -> None:
    drawn = small(column, privacy_engine=engine).sample(50, random_state=0)
    assert list(drawn) == [column.name]
    assert drawn[column.name].notna().all()


def test_a_schema_without_a_column_to_model_is_refused() -> None:
    with pytest.raises(PrivacyError, match="none of the 1 columns"):
        small(ID)


@pytest.mark.parametrize("dtype", ["object", "int64", "category"])
def test_labels_that_are_all_rare_leave_the_column_missing(dtype: str, tmp_path: Path) -> None:
    code = Column(name="id", type="categorical", dtype=dtype)
    with pytest.warns(UserWarning, match="no category of column 'id' occurs often enough"):
        gan = small(AGE, code, buy=("categories",))
    assert gan.sample(20, random_state=0)["id"].isna().all()
    gan.save(tmp_path / "m.synth")
    assert synthkit.load(tmp_path / "m.synth").sample(20, random_state=0)["id"].isna().all()
    assert not lint(tmp_path / "m.synth").failed


def test_true_and_false_are_not_bought() -> None:
    gan = small(AGE, dataclasses.replace(MEMBER, categories=None), buy=("categories",))
    assert gan.schema_["member"].categories == (False, True)
    assert gan._learned().privacy["bought"]["categories"] == []
    assert set(gan.sample(200, random_state=0)["member"]) == {False, True}


def test_rows_without_a_person_are_left_out() -> None:
    frame = people(400)
    frame["id"] = frame["id"].where(frame["id"] <= 100)
    schema = Schema((AGE, DEGREE, ID), domain="declared", records=2_000)
    budget = dataclasses.replace(BUDGET, unit="id")
    gan = TableGAN(privacy=budget, n_codes=20, random_state=0, verbose=False).fit(frame, schema=schema)
    assert abs(gan.report_["rows"] - 100) < 30


def test_free_text_is_left_out_with_a_warning() -> None:
    with pytest.warns(UserWarning, match="free text is not modelled: 'code'"):
        gan = small(AGE, Column(name="code", type="text", dtype="object"))
    assert list(gan.sample(3)) == ["age"]


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"adversary": "on"}, "adversary='on' would read the data"),
        ({"validation_share": 0.2}, "validation_share=0.2 would read the data"),
        ({"privacy": None, "reproducible_noise": 0}, "reproducible_noise is given without a privacy budget"),
        ({"privacy": None, "privacy_engine": "hybrid"}, "privacy_engine is given without a privacy budget"),
    ],
)
def test_settings_that_would_be_ignored_are_refused(settings: dict[str, object], said: str) -> None:
    with pytest.raises(PrivacyError, match=said):
        small(AGE, **settings)


def test_nothing_is_read_when_something_is_missing() -> None:
    class Poison:
        def __getattr__(self, name: str) -> object:
            raise AssertionError(f"the table was read: {name}")

    for schema, settings, said in (
        (None, {}, "needs a declared schema"),
        (dataclasses.replace(declared(), domain="inferred"), {}, "domain: declared"),
        (dataclasses.replace(declared(), records=None), {}, "--buy records"),
        (declared(), {"privacy_engine": "magic"}, "unknown privacy engine"),
        (declared(), {"buy": ("everything",)}, "unknown thing to buy"),
        (declared(), {"privacy": PrivacyBudget(1.0, 0.01)}, "delta"),
        (declared(), {"generator": "network"}, "generator='codes'"),
        (declared(), {"privacy": None, "ledger": "x.json"}, "without a privacy budget"),
        (declared(), {"privacy": PrivacyBudget(1.0, 1e-6, unit="idd")}, "did you mean 'id'"),
    ):
        gan = TableGAN(**{"privacy": BUDGET, "verbose": False, **settings})
        with pytest.raises(InputError, match=said):
            gan.fit(Poison(), schema=schema)  # type: ignore[arg-type]


def test_a_private_fit_is_not_resumed() -> None:
    with pytest.raises(PrivacyError, match="cannot be resumed"):
        TableGAN(privacy=BUDGET).fit(people(20), schema=declared(), resume=True)


def test_a_missing_column_is_named() -> None:
    with pytest.raises(SchemaError, match="unknown column 'age'"):
        TableGAN(privacy=BUDGET, verbose=False).fit(people(20).drop(columns="age"), schema=declared())


def test_a_ledger_file_stops_the_second_release(tmp_path: Path) -> None:
    schema = Schema(declared().columns[1:3], domain="declared", records=ROWS)
    budget = PrivacyBudget(1.0, 1e-6)
    first = TableGAN(privacy=budget, n_codes=60, verbose=False, ledger=tmp_path / "ledger.json", random_state=0)
    first.fit(people(300), schema=schema)
    with pytest.raises(PrivacyError, match="is spent"):
        clone(first).fit(people(300), schema=schema)


def test_a_plan_needs_no_data() -> None:
    plan = plan_for(declared(), PrivacyBudget(1.0, 1e-6))
    assert set(plan.events) == {"bins", "margins", "pairs"}
    assert plan.expected()["pairs"] > 0
