from __future__ import annotations

import copy
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from synthkit import errors
from synthkit.errors import InputError, SynthkitError, nearest_name, unknown_name


def all_errors(base: type[SynthkitError] = SynthkitError) -> list[type[SynthkitError]]:
    return [base, *(below for child in base.__subclasses__() for below in all_errors(child))]


@pytest.mark.parametrize("kind", all_errors(), ids=lambda kind: kind.__name__)
class TestEveryError:
    def test_is_one_line_with_a_remedy(self, kind: type[SynthkitError]) -> None:
        text = str(kind("the column\n 'age' is  odd", remedy="Mend it"))
        assert text == "the column 'age' is odd. Mend it."

    def test_keeps_what_and_remedy_when_copied(self, kind: type[SynthkitError]) -> None:
        error = kind("odd", remedy="Mend it.")
        for other in (copy.copy(error), pickle.loads(pickle.dumps(error))):
            assert (type(other), str(other)) == (kind, str(error))

    def test_has_an_exit_code_of_the_command_line(self, kind: type[SynthkitError]) -> None:
        assert kind.exit_code in (1, 2, 3, 130)
        assert (kind.exit_code == 2) == issubclass(kind, InputError)


def test_an_error_without_remedy_is_only_what() -> None:
    assert str(SynthkitError("odd")) == "odd"


@pytest.mark.parametrize(
    ("what", "remedy", "text"),
    [("odd.", "Mend it.", "odd. Mend it."), ("odd?", "Mend it!", "odd? Mend it!"), ("odd", "mend", "odd. Mend.")],
)
def test_sentences_end_once(what: str, remedy: str, text: str) -> None:
    assert str(SynthkitError(what, remedy=remedy)) == text


class TestUnknownName:
    def test_names_the_nearest(self) -> None:
        assert unknown_name("column", "agee", ["age", "sex"]) == (
            "unknown column 'agee'; did you mean 'age'? known: 'age', 'sex'"
        )

    def test_ignores_case(self) -> None:
        assert nearest_name("INCOME", ["income", "age"]) == "income"

    def test_stays_silent_when_nothing_is_near(self) -> None:
        assert unknown_name("verb", "xyz", ["fit", "sample"]) == "unknown verb 'xyz'; known: 'fit', 'sample'"

    def test_says_when_there_are_none(self) -> None:
        assert unknown_name("column", "age", []) == "unknown column 'age'; there are none"

    @given(
        name=st.text(max_size=8), known=st.lists(st.text(min_size=1, max_size=8), min_size=1, max_size=30, unique=True)
    )
    def test_lists_at_most_ten(self, name: str, known: list[str]) -> None:
        text = unknown_name("column", name, known)
        listed = text.split("known: ", 1)[1] if "known: " not in name else ""
        for candidate in known[:10]:
            assert repr(candidate) in text
        if len(known) > 10 and listed:
            assert text.endswith(f" and {len(known) - 10} more")


def test_gate_is_three_and_training_is_one() -> None:
    assert (errors.GateError.exit_code, errors.TrainingError.exit_code) == (3, 1)
