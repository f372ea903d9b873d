from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from synthkit.errors import SchemaError
from synthkit.schema import COLUMN_TYPES, ROLES, Column, Schema
from synthkit.schema_rules import GRANULARITIES

FINITE = st.floats(allow_nan=False, allow_infinity=False)
TEXT = st.text(max_size=12)
LABELS = (
    st.lists(TEXT, unique=True, max_size=4)
    | st.lists(st.integers(), unique=True, max_size=4)
    | st.lists(FINITE, unique=True, max_size=4)
    | st.just([False, True])
)
TARGETABLE = [kind for kind in COLUMN_TYPES if kind not in ("constant", "text")]


@st.composite
def columns(draw: st.DrawFn, name: str) -> Column:
    low, high = sorted((draw(FINITE), draw(FINITE)))
    kind: Any = draw(st.sampled_from(TARGETABLE))
    labels = draw(LABELS)
    roles: Any = tuple(draw(st.lists(st.sampled_from([role for role in ROLES if role != "target"]), unique=True)))
    return Column(
        name=name,
        type=kind,
        dtype=draw(st.sampled_from(["int64", "float64", "object", "date", "datetime64[ns, Europe/Paris]"])),
        nullable=draw(st.booleans()),
        decimals=draw(st.none() | st.integers(0, 12)),
        minimum=low,
        maximum=high,
        categories=draw(st.none() | st.just(tuple(labels[:2] if kind == "boolean" else labels))),
        ordered=draw(st.booleans()),
        sentinels=tuple(draw(st.lists(FINITE, max_size=3))),
        granularity=draw(st.none() | st.sampled_from(GRANULARITIES)),
        timezone=draw(st.none() | st.just("Europe/Paris")),
        text_format=draw(st.none() | TEXT),
        pattern=draw(st.none() | TEXT),
        roles=roles,
        reason=draw(TEXT),
    )


SCHEMAS = st.lists(TEXT, min_size=1, max_size=4, unique=True).flatmap(
    lambda names: st.tuples(*(columns(name) for name in names)).map(Schema)
)


class TestRoundTrip:
    @given(SCHEMAS)
    def test_yaml_gives_the_same_schema(self, schema: Schema) -> None:
        assert Schema.from_yaml(schema.to_yaml()) == schema

    @given(SCHEMAS)
    def test_json_gives_the_same_schema(self, schema: Schema) -> None:
        assert Schema.from_dict(json.loads(json.dumps(schema.to_dict()))) == schema

    def test_file_gives_the_same_schema(self, people: pd.DataFrame, tmp_path: Path) -> None:
        schema = Schema.infer(people, target="income")
        schema.save(tmp_path / "schema.yaml")
        assert Schema.load(tmp_path / "schema.yaml") == schema
        assert [path.name for path in tmp_path.iterdir()] == ["schema.yaml"]

    def test_kinds_of_categories_survive(self) -> None:
        """1, 1.0, true and "1" are four different things to a reader of the table."""
        for labels in [(0, 1), (0.0, 1.0), (False, True), ("0", "1"), ("no", "yes"), ("true", "2020-01-01")]:
            column = Column(name="x", type="categorical", dtype="object", categories=labels)
            found = Schema.from_yaml(Schema((column,)).to_yaml())["x"].categories
            assert found == labels
            assert [type(label) for label in found] == [type(label) for label in labels]


class TestLookingUp:
    schema = Schema(
        (
            Column(name="age", type="integer", dtype="int64"),
            Column(name="income", type="categorical", dtype="object", roles=("target",)),
        )
    )

    def test_by_name(self) -> None:
        assert self.schema["age"].type == "integer"
        assert self.schema.names == ["age", "income"]
        assert "age" in self.schema
        assert "agee" not in self.schema
        assert len(self.schema) == 2
        assert [column.name for column in self.schema] == ["age", "income"]

    def test_unknown_name_gives_the_nearest(self) -> None:
        with pytest.raises(SchemaError, match="did you mean 'age'"):
            self.schema["agee"]

    def test_target(self) -> None:
        assert self.schema.target == "income"
        assert Schema(self.schema.columns[:1]).target is None

    def test_numeric(self) -> None:
        assert self.schema["age"].is_numeric
        assert not self.schema["income"].is_numeric


class TestChanging:
    schema = TestLookingUp.schema

    def test_replace_changes_one_column_only(self) -> None:
        changed = self.schema.replace("age", type="continuous", decimals=0)
        assert changed["age"] == Column(name="age", type="continuous", dtype="int64", decimals=0)
        assert changed["income"] == self.schema["income"]
        assert self.schema["age"].type == "integer"

    @pytest.mark.parametrize("changes", [{"typ": "text"}, {"type": "continous"}, {"nullable": "yes"}])
    def test_replace_refuses(self, changes: dict[str, Any]) -> None:
        with pytest.raises(SchemaError):
            self.schema.replace("age", **changes)

    def test_roles_are_added_and_a_target_moves(self) -> None:
        changed = self.schema.with_roles(target="age", sensitive=["income", "age"], person_key="income")
        assert changed.target == "age"
        assert set(changed["age"].roles) == {"target", "sensitive"}
        assert set(changed["income"].roles) == {"sensitive", "person-key"}
        assert changed.with_roles(sensitive=["age"]) == changed

    def test_roles_of_unknown_columns_are_refused(self) -> None:
        with pytest.raises(SchemaError, match="did you mean 'income'"):
            self.schema.with_roles(quasi_identifiers=["incom"])


class TestRefused:
    @pytest.mark.parametrize(
        ("fields", "message"),
        [
            ({"type": "continous"}, "unknown type 'continous'; did you mean 'continuous'"),
            ({"roles": ["sensitiv"]}, "unknown role 'sensitiv'; did you mean 'sensitive'"),
            ({"decimal": 2}, "unknown field 'decimal'; did you mean 'decimals'"),
            ({"granularity": "hour"}, "unknown granularity 'hour'"),
            ({"decimals": 2.5}, "decimals must be a whole number, got 2.5"),
            ({"decimals": True}, "decimals must be a whole number"),
            ({"decimals": -1}, "decimals must be between 0 and 20"),
            ({"nullable": "yes"}, "nullable must be true or false"),
            ({"categories": "a"}, "categories must be a list"),
            ({"categories": [["a"]]}, "categories must hold text, numbers or true/false"),
            ({"sentinels": ["-1"]}, "sentinels must hold numbers"),
            ({"dtype": None}, "the field 'dtype' is missing"),
            ({"minimum": 3, "maximum": 2}, "minimum 3 is above maximum 2"),
            ({"type": "boolean", "categories": ["a", "b", "c"]}, "boolean but lists 3 categories"),
            ({"type": "categorical", "categories": ["a", "a"]}, "lists a category twice"),
            ({"type": "constant", "roles": ["target"]}, "cannot be the target: it has a single value"),
            ({"type": "text", "roles": ["target"]}, "cannot be the target: it is free text"),
            ({"name": 3}, "name must be text"),
        ],
    )
    def test_column(self, fields: dict[str, Any], message: str) -> None:
        entry = {"name": "x", "type": "integer", "dtype": "int64", **fields}
        with pytest.raises(SchemaError, match="(?s)" + message.replace("(", r"\(")):
            Schema.from_dict({"columns": [entry]})

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("", "expected a schema"),
            ("[]", "expected a schema"),
            ("columns: {}", "no list 'columns'"),
            ("columns: []", "has no columns"),
            ("columns: [age]", "expected a column entry"),
            ("colums: []", "unknown key 'colums'; did you mean 'columns'"),
            ("format_version: 4\ncolumns: []", "format_version 4, this synthkit reads up to 3"),
            ("format_version: new\ncolumns: []", "format_version must be a whole number"),
            ("columns: [", "not valid YAML.*line 1"),
            ("columns:\n- name: a\n  name: b\n", "'name' appears twice.*line 3"),
            ("columns: !!python/object/apply:os.getcwd []", "not valid YAML"),
            ("columns: \x00", "not valid YAML"),
            ("a: 1\n---\nb: 2", "not valid YAML"),
        ],
    )
    def test_document(self, text: str, message: str) -> None:
        with pytest.raises(SchemaError, match="(?s)" + message):
            Schema.from_yaml(text)

    def test_two_targets(self) -> None:
        entries = [{"name": name, "type": "integer", "dtype": "int64", "roles": ["target"]} for name in "ab"]
        with pytest.raises(SchemaError, match="2 target columns"):
            Schema.from_dict({"columns": entries})

    def test_a_name_twice(self) -> None:
        with pytest.raises(SchemaError, match="describes column 'a' twice"):
            Schema.from_dict({"columns": [{"name": "a", "type": "integer", "dtype": "int64"}] * 2})

    def test_files_that_cannot_be_read(self, tmp_path: Path) -> None:
        with pytest.raises(SchemaError, match="No such file"):
            Schema.load(tmp_path / "none.yaml")
        with pytest.raises(SchemaError, match="directory"):
            Schema.load(tmp_path)
        (tmp_path / "latin.yaml").write_bytes(b"columns: \xe9")
        with pytest.raises(SchemaError, match="not UTF-8"):
            Schema.load(tmp_path / "latin.yaml")


def test_the_file_is_for_people(people: pd.DataFrame) -> None:
    text = Schema.infer(people, target="income").to_yaml()
    assert text.startswith("# synthkit schema")
    assert "roles: [target]" in text
    assert "categories: [school, college, none]" in text
    assert ": null" not in text
    names = [line.removeprefix("  - name: ") for line in text.splitlines() if "- name: " in line]
    assert names == list(people.columns)


def test_yes_and_no_need_no_quotes() -> None:
    text = "columns:\n- {name: x, type: boolean, dtype: object, categories: [no, yes]}"
    assert Schema.from_yaml(text)["x"].categories == ("no", "yes")


def test_a_missing_version_is_the_present_one() -> None:
    assert Schema.from_yaml("columns: [{name: x, type: integer, dtype: int64}]").format_version == 2
