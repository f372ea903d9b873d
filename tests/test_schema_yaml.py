"""What all YAML files have in common, whatever they hold."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from synthkit.auditing.policy import load_policy, parse_policy
from synthkit.errors import InputError, SchemaError
from synthkit.evaluation.suite import load_suite, parse_suite
from synthkit.schema import Schema
from synthkit.schema_yaml import parse_yaml

FILES = pytest.mark.parametrize(("kind", "load"), [("suite", load_suite), ("policy", load_policy)])
TEXTS = pytest.mark.parametrize("parse", [parse_yaml, Schema.from_yaml, parse_suite, parse_policy])


@FILES
def test_a_device_and_a_huge_file_are_refused_at_once(
    tmp_path: Path, kind: str, load: Callable[[Path], object]
) -> None:
    (tmp_path / "huge.yaml").write_bytes(b"#" * 10_000_000)
    for path in (tmp_path / "huge.yaml", Path("/dev/zero")):
        with pytest.raises(InputError, match=f"the {kind} '{path}' has more than 1,000,000 bytes"):
            load(path)


@FILES
def test_what_cannot_be_read_is_told(tmp_path: Path, kind: str, load: Callable[[Path | str], object]) -> None:
    (tmp_path / "latin.yaml").write_bytes(b"name: caf\xe9")
    with pytest.raises(InputError, match=f"cannot read the {kind} '.*latin.yaml': it is not UTF-8 text"):
        load(tmp_path / "latin.yaml")
    with pytest.raises(InputError, match=f"cannot read the {kind} '.*': Is a directory"):
        load(tmp_path)
    with pytest.raises(InputError, match=f"there is no {kind} 'nowhere.yml'"):
        load("nowhere.yml")
    with pytest.raises(InputError, match=f"unknown {kind} 'nobody'"):
        load("nobody")


@TEXTS
@pytest.mark.parametrize(
    "text",
    ["name: a\ncolumns: &a [*a]", "a: &a {x: 1}\nb: {<<: [*a, *a]}", "a: &a 1\nb: *a", "- &a [1]\n- {? *a : 2}"],
)
def test_aliases_are_refused(parse: Callable[[str], object], text: str) -> None:
    with pytest.raises(SchemaError, match=r"line 2: it has the alias '\*a', expected no aliases\. Write out"):
        parse(text)


def test_files_that_would_grow_without_end_are_refused_at_the_first_alias() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 30)]
    with pytest.raises(SchemaError, match=r"line 2: it has the alias '\*a0'"):
        parse_yaml("\n".join(lines))


def test_an_anchor_that_nobody_uses_and_a_quoted_star_are_no_aliases() -> None:
    assert parse_yaml("a: &a 1\nb: '*a'\nc: a*b * c") == {"a": 1, "b": "*a", "c": "a*b * c"}


@given(st.text(alphabet="&*a1 \n:-[]{},<>!|'\"", max_size=40))
def test_any_text_is_content_or_refused_in_one_sentence(text: str) -> None:
    said = ""
    try:
        parse_yaml(text)
    except SchemaError as error:
        said = str(error)
    assert "\n" not in said
