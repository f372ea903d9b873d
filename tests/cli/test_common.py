from __future__ import annotations

import errno
import os
import subprocess
import sys
import warnings
from collections.abc import Callable

import click
import pytest

from synthkit.cli import VERBS, run
from synthkit.cli.common import describe_error, one_line_errors, plain_warnings, print_facts, row_progress
from synthkit.errors import GateError, InputError, SynthkitError, TrainingError


def raising(error: BaseException) -> Callable[[], None]:
    def action() -> None:
        raise error

    return action


class TestErrors:
    @pytest.mark.parametrize(
        ("error", "code", "text"),
        [
            (SynthkitError("odd", remedy="Mend it"), 1, "synthkit: error: odd. Mend it."),
            (InputError("bad input", remedy="Mend it"), 2, "synthkit: error: bad input. Mend it."),
            (TrainingError("not a number"), 1, "synthkit: error: not a number"),
            (GateError("too close"), 3, "synthkit: error: too close"),
            (click.UsageError("wrong"), 2, "synthkit: error: wrong"),
            (click.ClickException("odd"), 1, "synthkit: error: odd"),
            (KeyboardInterrupt(), 130, "synthkit: interrupted; nothing was written."),
            (click.Abort(), 130, "synthkit: interrupted; nothing was written."),
            (MemoryError(), 1, "synthkit: error: there is not enough memory; nothing was written."),
            (
                RuntimeError("DefaultCPUAllocator: can't allocate memory"),
                1,
                "synthkit: error: there is not enough memory",
            ),
            (
                OSError(errno.ENOSPC, "No space left on device"),
                2,
                "synthkit: error: the disk is full; nothing was written.",
            ),
            (OSError(errno.EIO, "Input/output error", "a.csv"), 1, "refused 'a.csv': input/output error."),
        ],
        ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else None,
    )
    def test_one_line_and_the_code(
        self, capsys: pytest.CaptureFixture[str], error: BaseException, code: int, text: str
    ) -> None:
        assert one_line_errors(raising(error), []) == code
        out, err = capsys.readouterr()
        assert out == ""
        assert text in err
        assert len(err.splitlines()) == 1

    def test_debug_shows_the_traceback(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert one_line_errors(raising(InputError("odd")), ["--debug", "fit"]) == 2
        assert "Traceback" in capsys.readouterr().err

    def test_debug_by_environment(self, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("SYNTHKIT_DEBUG", "1")
        assert one_line_errors(raising(InputError("odd")), []) == 2
        assert "Traceback" in capsys.readouterr().err

    def test_debug_of_a_verb_is_another_option(self, capsys: pytest.CaptureFixture[str]) -> None:
        one_line_errors(raising(InputError("odd")), ["fit", "--debug"])
        assert "Traceback" not in capsys.readouterr().err

    @pytest.mark.parametrize("error", [ValueError("a bug"), KeyError("a bug"), RuntimeError("a bug")])
    def test_a_mistake_of_ours_is_not_hidden(self, error: Exception) -> None:
        assert describe_error(error) is None
        with pytest.raises(type(error), match="a bug"):
            one_line_errors(raising(error), [])

    def test_the_answer_of_an_action_is_the_code(self) -> None:
        assert one_line_errors(lambda: 130, []) == 130
        assert one_line_errors(lambda: None, []) == 0

    def test_a_reader_that_goes_away_is_no_error(self) -> None:
        code = "from synthkit.cli import run; import sys; sys.exit(run(['--help']))"
        read, write = os.pipe()
        os.close(read)
        result = subprocess.run(
            [sys.executable, "-c", code], stdout=write, stderr=subprocess.PIPE, text=True, check=False
        )
        os.close(write)
        assert (result.returncode, result.stderr) == (1, "")


class TestUsage:
    @pytest.mark.parametrize(
        ("words", "text"),
        [
            (["sampel"], "unknown verb 'sampel'; did you mean 'sample'"),
            (["fit"], "Missing argument 'DATA'. See `synthkit fit --help`."),
            (["fit", "a.csv"], "Missing option '-o' / '--output'. See `synthkit fit --help`."),
            (["fit", "a.csv", "-o", "m", "--los", "wgan"], "--loss"),
            (["fit", "a.csv", "-o", "m", "--loss", "gan"], "'gan' is not one of"),
            (["sample", "m", "-n", "0", "-o", "o.csv"], "0 is not in the range x>=1"),
            (["sample", "m", "-n", "many", "-o", "o.csv"], "'many' is not a valid integer"),
            (["fit", "a.csv", "-o", "m", "--seed", "-1"], "-1 is not in the range x>=0"),
            (["--nothing"], "--nothing"),
        ],
        ids=" ".join,
    )
    def test_wrong_usage_is_two_and_one_line(
        self, capsys: pytest.CaptureFixture[str], words: list[str], text: str
    ) -> None:
        assert run(words) == 2
        err = capsys.readouterr().err
        assert text in err
        assert len(err.splitlines()) == 1

    def test_no_verb_shows_the_help(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert run([]) == 2
        assert "Verbs:" in capsys.readouterr().err

    def test_help_lists_every_verb(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert run(["--help"]) == 0
        out = capsys.readouterr().out
        for verb, (_, text) in VERBS.items():
            assert f"  {verb} " in out
            assert text in " ".join(out.split())

    def test_version(self, capsys: pytest.CaptureFixture[str]) -> None:
        from synthkit import __version__

        assert run(["--version"]) == 0
        assert capsys.readouterr().out.split()[-1] == __version__


class TestWarnings:
    def test_ours_are_one_line(self, capsys: pytest.CaptureFixture[str]) -> None:
        from synthkit import cli

        with plain_warnings():
            warnings.simplefilter("always")
            warnings.warn_explicit("the column\n 'notes' is left out", UserWarning, str(cli.__file__), 1)
        assert capsys.readouterr().err == "synthkit: warning: the column 'notes' is left out\n"

    def test_those_of_libraries_are_for_debugging(self, capsys: pytest.CaptureFixture[str]) -> None:
        for debug in (False, True):
            with plain_warnings(debug):
                warnings.simplefilter("always")
                warnings.warn_explicit("deprecated", DeprecationWarning, "site-packages/library.py", 1)
            assert ("deprecated" in capsys.readouterr().err) == debug


class TestShowing:
    def test_facts_are_aligned_and_none_is_left_out(self, capsys: pytest.CaptureFixture[str]) -> None:
        print_facts({"rows": 3, "nothing": None, "kept": "codes\nrefinement"})
        assert capsys.readouterr().out == "rows  3\nkept  codes\n      refinement\n"

    def test_no_facts(self, capsys: pytest.CaptureFixture[str]) -> None:
        print_facts({})
        assert capsys.readouterr().out == ""

    def test_no_bar_without_a_terminal(self, capsys: pytest.CaptureFixture[str]) -> None:
        with row_progress(10) as advance:
            advance(10)
        assert capsys.readouterr() == ("", "")
