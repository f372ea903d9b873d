"""Conditions on the label: what is allowed, what is drawn, and what is said about what makes no sense."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from synthkit.errors import ConditionError
from synthkit.scans.conditions import allowed_classes, drawn_labels, parse_scan_conditions

CLASSES = ("normal", "pneumonia", "a|b")


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        (None, None),
        ({}, None),
        ({"label": "normal"}, (0,)),
        ({"label": ["pneumonia", "normal"]}, (1, 0)),
        ({"label": ("normal", "normal")}, (0,)),
        ({"label": np.str_("a|b")}, (2,)),
    ],
)
def test_allowed_classes(where: object, expected: object) -> None:
    assert allowed_classes(where, CLASSES) == expected


@pytest.mark.parametrize(
    ("where", "said"),
    [
        ({"label": "pneumona"}, "did you mean 'pneumonia'"),
        ({"lable": "normal"}, "did you mean 'label'"),
        ({"label": []}, "allows no class"),
        ({"label": None}, "unknown class 'None'"),
    ],
)
def test_what_makes_no_sense_is_told(where: object, said: str) -> None:
    with pytest.raises(ConditionError, match=said.replace("|", r"\|")):
        allowed_classes(where, CLASSES)


def test_a_model_without_classes_takes_none() -> None:
    with pytest.raises(ConditionError, match="no classes"):
        allowed_classes({"label": "x"}, ())


class TestTyped:
    @pytest.mark.parametrize(
        ("texts", "expected"),
        [
            ([], {}),
            (["label=normal"], {"label": ["normal"]}),
            (["label = normal|pneumonia"], {"label": ["normal", "pneumonia"]}),
            (["label=a|b"], {"label": "a|b"}),
        ],
    )
    def test_are_read(self, texts: list[str], expected: object) -> None:
        found = parse_scan_conditions(texts, CLASSES)
        assert {name: value if value == "a|b" else list(np.atleast_1d(value)) for name, value in found.items()} == (
            expected
        )

    @pytest.mark.parametrize(
        "texts", [["label"], ["=normal"], ["label=x"], ["age=3"], ["label=normal"] * 2, ["label="]]
    )
    def test_or_refused(self, texts: list[str]) -> None:
        with pytest.raises(ConditionError):
            parse_scan_conditions(texts, CLASSES)


@given(st.lists(st.integers(0, 50), min_size=2, max_size=5).filter(sum), st.integers(0, 300), st.data())
def test_drawn_labels_are_allowed_ones(counts: list[int], n: int, data: st.DataObject) -> None:
    allowed = data.draw(st.none() | st.sets(st.integers(0, len(counts) - 1), min_size=1).map(tuple))
    drawn = drawn_labels(n, np.array(counts) / sum(counts), allowed, np.random.default_rng(0))
    assert len(drawn) == n
    possible = set(range(len(counts))) if allowed is None else set(allowed)
    if sum(counts[one] for one in possible):
        possible = {one for one in possible if counts[one]}
    assert set(drawn.tolist()) <= possible


def test_classes_keep_their_proportions() -> None:
    drawn = drawn_labels(20_000, np.array([0.1, 0.6, 0.3]), (0, 2), np.random.default_rng(0))
    assert (drawn == 0).mean() == pytest.approx(0.25, abs=0.02)
