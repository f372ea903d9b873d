"""Recipes as YAML: what is wrong is told in one sentence with file, line and key."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from synthkit.errors import InputError
from synthkit.pipelines import RECIPES, STAGES, Recipe, json_schema, load_recipe, parse_recipe
from synthkit.pipelines.reading import json_schema_text

ROOT = Path(__file__).resolve().parents[2]
BASE = """\
version: 1
name: ours
data: people.csv
target: income
split:
fit:
  time_budget: 30s
sample:
"""
# what each shipped recipe needs to be complete
COMPLETE = {
    "balance": ["data=a.csv", "target=y"],
    "augment": ["data=a.csv", "target=y"],
    "private-release": ["data=a.csv", "inspect.schema=a.yaml"],
}


def said(text: str, *sets: str) -> str:
    with pytest.raises(InputError) as caught:
        parse_recipe(text, "ours.yaml", sets)
    message = str(caught.value)
    assert "\n" not in message
    assert caught.value.exit_code == 2
    return message


def outcome(text: str, *sets: str) -> str:
    try:
        parse_recipe(text, "ours.yaml", sets)
    except InputError as error:
        return "several lines" if "\n" in str(error) else "one sentence"
    return "a recipe"


def test_stages_run_in_their_order_whatever_the_order_of_the_file() -> None:
    lines = BASE.splitlines()
    shuffled = "\n".join([*lines[:4], "sample:", "evaluate: true", "fit: {time_budget: 30s}", "split:", "audit: false"])
    assert parse_recipe(shuffled).stages == ("load", "split", "fit", "sample", "evaluate")
    assert parse_recipe(BASE).stages == ("load", "split", "fit", "sample")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (BASE + "smaple:\n", "in line 9, at smaple: unknown key 'smaple'; did you mean 'sample'?"),
        (BASE + "balance:\n  ratoi: 1.0\n", "in line 10, at balance.ratoi: unknown key 'ratoi'; did you mean 'ratio'?"),
        (BASE + "seed: -1\n", "in line 9, at seed: got -1, expected a whole number of at least 0"),
        (BASE + "seed: true\n", "at seed: got true, expected a whole number of at least 0"),
        (BASE + "seed: '3'\n", 'at seed: got "3", expected a whole number of at least 0'),
        (BASE + "evaluate: 3\n", "in line 9, at evaluate: got 3, expected keys and values"),
        (BASE + "sensitive: {a: b}\n", "at sensitive: got {\"a\": \"b\"}, expected a list"),
        (BASE + "audit:\n  shadow: 1.5\n", "in line 10, at audit.shadow: got 1.5, expected a whole number"),
        (BASE + "balance: {ratio: 0.5, counts: {a: 3}}\n", "ratio and counts both say how many rows are wanted"),
        (BASE + "publish: {holdout: h.csv, certificate: c.html}\n", "publish.certificate needs fit.privacy"),
        (BASE + "publish: {table: balance}\n", "publish.table is balance, and there is no stage balance"),
        (BASE.replace("30s", "soon"), "in line 7, at fit.time_budget: time budget 'soon' is not a duration"),
        (BASE.replace("version: 1", "version: 2"), "in line 1, at version: got 2, expected 1"),
        (BASE.replace("name: ours\n", ""), "at name: this key is missing"),
        (BASE.replace("name: ours", "name: a/b"), "at name: got \"a/b\", expected text that matches"),
        (BASE.replace("fit:\n  time_budget: 30s\n", ""), "the stage sample needs the stage fit"),
        (BASE.replace("split:\n", "audit:\n"), "the stage audit needs the stage split"),
        (BASE.replace("target: income\n", "balance:\n"), "the stage balance needs a target"),
        (BASE + "  rows: [\n", "is not valid YAML"),
        (BASE + "balance: {1: 2}\n", "in line 9, at balance: it has the key 1, expected text as a key"),
        (BASE + "seed: 1\nseed: 2\n", "the key 'seed' appears twice (line 10"),
        (BASE + "description: !!python/object:os.system x\n", "is not valid YAML"),
        ("- a\n- b\n", "holds no settings"),
        ("", "holds no settings"),
        ("a: &a [x]\nb: [*a, *a]\n", "in line 2: it has the alias '*a'"),
    ],
)  # fmt: skip
def test_a_mistake_is_told_with_line_and_key(text: str, expected: str) -> None:
    message = said(text)
    assert "ours.yaml" in message
    assert expected in message


def test_a_privacy_budget_needs_a_declared_schema_and_no_real_rows_in_what_is_made() -> None:
    private = "{privacy: {epsilon: 1.0, delta: 1.0e-6, ledger: l.json}}"
    text = BASE.replace("\n  time_budget: 30s", f" {private}")
    assert "a privacy budget needs a declared schema" in said(text)
    text += "inspect: {schema: people.yaml}\n"
    assert parse_recipe(text).privacy is not None
    assert "the stage balance works on real rows" in said(text + "balance:\n")
    assert "would publish real rows" in said(text + "publish: {holdout: a.csv}\n")
    assert "fit.privacy.delta: this key is missing" in said(text.replace("delta: 1.0e-6, ", ""))


@pytest.mark.parametrize(
    ("change", "place", "value"),
    [
        ("data=people.csv", ("data",), "people.csv"),
        ("data=postgresql://me@host/db?table=people", ("data",), "postgresql://me@host/db?table=people"),
        ("fit.time_budget=30s", ("fit", "time_budget"), "30s"),
        ("target=2020", ("target",), "2020"),
        ("sensitive=[a, b]", ("sensitive",), ("a", "b")),
        ("sensitive=a", ("sensitive",), ("a",)),
        ("balance.counts.yes=30", ("balance", "counts"), {"yes": 30}),
        ("split.stratify=false", ("split", "stratify"), False),
        ("description=", ("description",), ""),
    ],
)
def test_set_changes_one_entry(change: str, place: tuple[str, ...], value: object) -> None:
    if change == "description=":
        assert "got null, expected text" in said(BASE, change)
        return
    found: object = parse_recipe(BASE, "ours.yaml", [change])
    for part in place:
        found = getattr(found, part)
    assert found == value


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ("fit.time_bugdet=3s", "unknown key of fit 'time_bugdet'; did you mean 'time_budget'?"),
        ("fti.time_budget=3s", "unknown key 'fti'; did you mean 'fit'?"),
        ("fit.privacy.epsilom=1", "unknown key of fit.privacy 'epsilom'; did you mean 'epsilon'?"),
        ("data", "is no change"),
        ("data.x=1", "goes below data"),
        ("data=[", "is not valid YAML"),
        ("fit.refine=maybe", "at fit.refine (--set fit.refine): got \"maybe\", expected true or false"),
        ("fit.adversary=no", 'expected "auto" or "on" or "off"'),
        ("split=false", None),
        ("fit=false", "the stage sample needs the stage fit"),
    ],
)  # fmt: skip
def test_set_is_checked_against_the_recipe(change: str, expected: str | None) -> None:
    if expected is None:
        assert "split" not in parse_recipe(BASE, "ours.yaml", [change]).stages
    else:
        assert expected in said(BASE, change)


@given(st.text(max_size=40))
def test_any_text_gives_a_recipe_or_one_sentence(text: str) -> None:
    assert outcome(text) in ("a recipe", "one sentence")


@given(st.text(max_size=20), st.text(max_size=20))
def test_any_change_gives_a_recipe_or_one_sentence(key: str, value: str) -> None:
    assert outcome(BASE, f"{key}={value}") in ("a recipe", "one sentence")


def test_recipes_are_frozen_and_equal_by_value() -> None:
    first, second = parse_recipe(BASE), parse_recipe(BASE)
    assert first == second
    with pytest.raises(ValueError, match="frozen"):
        first.seed = 3


def test_an_unknown_recipe_is_named_with_the_nearest() -> None:
    with pytest.raises(InputError, match=r"unknown recipe 'balanse'; did you mean 'balance'\?"):
        load_recipe("balanse")
    with pytest.raises(InputError, match=r"there is no recipe 'mine\.yaml'"):
        load_recipe("mine.yaml")


# -------------------- shipped recipes and the schema for editors


@pytest.mark.parametrize("name", RECIPES)
class TestEveryShippedRecipe:
    def test_is_complete_once_the_data_are_named(self, name: str) -> None:
        recipe = load_recipe(name, COMPLETE[name])
        assert recipe.name == name
        assert recipe.description
        assert set(recipe.stages) <= set(STAGES)

    def test_names_no_data_of_its_own(self, name: str) -> None:
        needed = [one for one in COMPLETE[name] if not one.startswith("data=")]
        assert load_recipe(name, needed).data is None

    def test_is_one_file_that_can_be_run_by_path_too(self, name: str) -> None:
        link, packaged = ROOT / "pipelines" / RECIPES[name], ROOT / "synthkit/pipelines/recipes" / RECIPES[name]
        assert link.resolve() == packaged
        assert not packaged.is_symlink()
        assert load_recipe(link, COMPLETE[name]).stages == load_recipe(name, COMPLETE[name]).stages

    def test_tells_editors_of_the_schema_and_says_how_to_run_it(self, name: str) -> None:
        text = (ROOT / "pipelines" / RECIPES[name]).read_text(encoding="utf-8")
        assert text.startswith("# yaml-language-server: $schema=schema.json\n")
        assert f"synthkit run {name} --set data=" in text


def test_the_folder_of_recipes_holds_the_shipped_ones_and_their_schema_only() -> None:
    names = {path.name for path in (ROOT / "pipelines").iterdir()}
    assert names == {*RECIPES.values(), "README.md", "schema.json"}


def test_the_schema_for_editors_is_current() -> None:
    stored = (ROOT / "pipelines" / "schema.json").read_text(encoding="utf-8")
    assert stored == json_schema_text(), "run: synthkit run --json-schema > pipelines/schema.json"


def test_the_schema_for_editors_knows_every_key() -> None:
    schema = json.loads(json_schema_text())
    assert set(schema["properties"]) == set(Recipe.model_fields)
    assert schema == json_schema()
    assert schema["additionalProperties"] is False
    for stage in STAGES:
        kinds = [option.get("type") for option in schema["properties"][stage]["anyOf"] if "$ref" not in option]
        assert kinds == (["null"] if stage == "load" else [["null", "boolean"]])
    for text in (BASE, (ROOT / "pipelines" / "balance.yaml").read_text(encoding="utf-8")):
        assert set(yaml.safe_load(text)) <= set(schema["properties"])
