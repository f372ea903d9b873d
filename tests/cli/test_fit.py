from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from synthkit.tables.showing import summary

REPORT = {
    "rows": 26048,
    "columns": 15,
    "seconds": 31.23456,
    "held_out_log_likelihood": -21.98765,
    "two_sample_auc": {"raw": 0.53121, "refined": 0.49876, "missing": None},
    "stages": [{"name": "anchor", "kept": True, "why": "best of 3"}, {"name": "adversary", "kept": False}],
    "not_a_number": float("nan"),
    "history": list(range(1000)),
    "nothing": None,
    "empty": {},
}


def test_a_report_becomes_lines_in_its_order() -> None:
    assert summary(REPORT) == {
        "rows": "26,048",
        "columns": "15",
        "seconds": "31.23",
        "held out log likelihood": "-21.99",
        "two sample auc": "raw: 0.5312\nrefined: 0.4988",
        "stages": "name: anchor, kept: yes, why: best of 3\nname: adversary, kept: no",
        "not a number": None,
        "history": None,
        "nothing": None,
        "empty": None,
    }


@given(
    st.dictionaries(
        st.text(max_size=4),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4),
            lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
            max_leaves=6,
        ),
        max_size=4,
    )
)
def test_any_report_can_be_told(report: dict[str, object]) -> None:
    assert all(told is None or isinstance(told, str) for told in summary(report).values())
