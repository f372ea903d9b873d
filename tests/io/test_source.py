"""Sources as people write them, and that no password comes through."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from synthkit.archive import check_output
from synthkit.cli.common import SINK, SOURCE, Source, output_option, query_option
from synthkit.errors import InputError, OutputError
from synthkit.io import Address, check_target, is_address, masked, shown, source_path

SECRET = "s3cr3t"
WITH_PASSWORD = [
    "postgresql://me:{}@host/db?table=t",
    "postgresql://me:{}@host:5432/db?table=t",
    "postgresql+psycopg://me:{}@host/db",
    "postgresql://:{}@host/db",
    "mysql://me:{}@host/db?table=t",
    "postgresql://me:12/{}@host/db?table=t",
    "postgresql://me:12?{}@host/db",
    "postgresql://me:a@b{}@host/db?table=t",
    "postgresql://host/db?password={}&table=t",
    "postgresql://host/db?table=t&PASSWORD={}",
    "postgresql://host/db?sslpassword={}&table=t",
    "mssql+pyodbc:///?odbc_connect=DRIVER%3DX%3BPWD%3D{}&table=t",
]


class TestAddress:
    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("postgresql://me@host/db?table=people", Address("postgresql://me@host/db", "people")),
            ("postgresql://me@host/db?table=a.people", Address("postgresql://me@host/db", "people", "a")),
            ('postgresql:///db?table="a.b"."c""d"', Address("postgresql:///db", 'c"d', "a.b")),
            ("postgresql:///db?table=a.b&schema=c", Address("postgresql:///db", "a.b", "c")),
            ("postgresql:///db?table=Two%20Words%26more", Address("postgresql:///db", "Two Words&more")),
            (
                "postgresql:///db?host=/run&table=t&sslmode=require",
                Address("postgresql:///db?host=/run&sslmode=require", "t"),
            ),
            ("postgresql:///db?query=select 1 = 2", Address("postgresql:///db", query="select 1 = 2")),
            ("postgresql:///db?table=t&if_exists=append", Address("postgresql:///db", "t", if_exists="append")),
            ("sqlite:////data/a:b@c.db?table=t", Address("sqlite:////data/a:b@c.db", "t")),
            ("postgresql://me@host:5432/db?table=a@b", Address("postgresql://me@host:5432/db", "a@b")),
        ],
    )
    def test_says_what_it_names(self, text: str, expected: Address) -> None:
        assert Address.parse(text) == expected

    @given(
        table=st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12),
        schema=st.none() | st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12),
    )
    def test_any_name_can_be_written(self, table: str, schema: str | None) -> None:
        from urllib.parse import quote

        names = [name for name in (schema, table) if name is not None]
        written = ".".join('"' + name.replace('"', '""') + '"' for name in names)
        found = Address.parse(f"postgresql:///db?table={quote(written)}")
        assert (found.table, found.schema) == (table, schema)
        assert found.name == table

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("postgresql:///db?tabel=t", "unknown parameter 'tabel'; did you mean 'table'"),
            ("postgresql:///db?table=t&query=select 1", "names a table beside a query"),
            ("postgresql:///db?table=", "expected table or schema.table"),
            ("postgresql:///db?query=%20", "empty name or query"),
            ("postgresql:///db?table=a.b.c", "expected table or schema.table"),
            ("postgresql:///db?table=.t", "expected table or schema.table"),
            ('postgresql:///db?table="t', "expected table or schema.table"),
            ("postgresql:///db?table=t&if_exists=repalce", "unknown if_exists 'repalce'; did you mean 'replace'"),
        ],
    )
    def test_bad_ones_are_refused(self, text: str, message: str) -> None:
        with pytest.raises(InputError, match=message):
            Address.parse(text)

    def test_one_query_only(self) -> None:
        assert Address.parse("postgresql:///db", query="select 1").query == "select 1"
        with pytest.raises(InputError, match="both hold a query"):
            Address.parse("postgresql:///db?query=select 1", query="select 2")

    def test_a_long_query_is_shown_in_part(self) -> None:
        text = str(Address("postgresql:///db", query="select\n" + "a, " * 99))
        assert text.startswith("postgresql:///db?query=select a, a, ")
        assert text.endswith("...")
        assert len(text) < 90

    def test_what_is_an_address(self) -> None:
        assert is_address("sqlite:///x.db")
        assert is_address(Address("sqlite:///x.db"))
        assert not is_address("C:/people.csv")
        assert not is_address("people.csv?delimiter=://")
        assert not is_address(Path("a"))

    def test_the_file_behind_a_source(self, tmp_path: Path) -> None:
        assert source_path("sqlite:///x.db?table=t") is None
        assert source_path(Address("sqlite:///x.db", "t")) is None
        assert source_path(tmp_path / "in.csv?delimiter=tab") == tmp_path / "in.csv"


class TestPasswords:
    @pytest.mark.parametrize("form", WITH_PASSWORD)
    def test_are_refused_and_not_shown(self, form: str) -> None:
        with pytest.raises(InputError, match="holds a password") as caught:
            Address.parse(form.format(SECRET))
        assert SECRET not in str(caught.value)
        assert "PGPASSWORD" in str(caught.value)

    @pytest.mark.parametrize("form", [form for form in WITH_PASSWORD if "12?" not in form])
    def test_are_masked_in_any_text(self, form: str) -> None:
        text = f"cannot reach {form.format(SECRET)} now"
        assert SECRET not in masked(text)
        assert "***" in masked(text)
        assert shown(form.format(SECRET)) == masked(form.format(SECRET))

    @pytest.mark.parametrize(
        "text",
        [
            "postgresql://me@host:5432/db?table=a@b",
            "postgresql://host:5432/db?table=a@b",
            "see https://host/page: a@b",
            "sqlite:////data/a:b@c.db",
            "a: b@c",
        ],
    )
    def test_nothing_else_is_masked(self, text: str) -> None:
        assert masked(text) == text


@click.command()
@click.argument("data", type=SOURCE)
@click.argument("more", type=SOURCE, nargs=-1)
@query_option
@output_option
def verb(data: Source, more: tuple[Source, ...], output: Source) -> None:
    """Show what was given."""
    click.echo("\n".join(map(repr, (data, *more, output))))


class TestCommandLine:
    def shown(self, *words: str) -> list[str]:
        result = CliRunner().invoke(verb, list(words), standalone_mode=False)
        if result.exception is not None:
            raise result.exception
        return result.output.splitlines()

    def test_paths_stay_paths(self) -> None:
        assert self.shown("in.csv", "-o", "out.csv") == [repr(Path("in.csv")), repr(Path("out.csv"))]

    @pytest.mark.parametrize("option", ["-o", "--output", "--to"])
    def test_addresses_are_read_and_written(self, option: str) -> None:
        found = self.shown("sqlite:///a.db?table=t", option, "sqlite:///b.db?table=u")
        assert found == [repr(Address("sqlite:///a.db", "t")), repr(Address("sqlite:///b.db", "u"))]

    @pytest.mark.parametrize("order", [0, 1])
    def test_a_query_goes_to_the_address_without_a_table(self, order: int) -> None:
        words = ["sqlite:///a.db?table=t", "sqlite:///b.db", "in.csv"]
        query = ["--query", "select 1"]
        found = self.shown(*(query + words if order else words + query), "-o", "sqlite:///c.db?table=u")
        assert found[0] == repr(Address("sqlite:///a.db", "t"))
        assert found[1] == repr(Address("sqlite:///b.db", query="select 1"))
        assert found[2:] == [repr(Path("in.csv")), repr(Address("sqlite:///c.db", "u"))]

    @pytest.mark.parametrize("data", ["in.csv", "sqlite:///a.db?table=t"])
    def test_a_query_that_nobody_takes_is_refused(self, data: str) -> None:
        with pytest.raises(InputError, match="--query needs the address of a database without a table"):
            self.shown(data, "--query", "select 1", "-o", "out.csv")

    def test_passwords_are_refused(self) -> None:
        for words in (["postgresql://me:s3cr3t@host/db", "-o", "x.csv"], ["in.csv", "--to", "mysql://a:s3cr3t@b/c"]):
            with pytest.raises(InputError, match="holds a password") as caught:
                self.shown(*words)
            assert SECRET not in str(caught.value)

    def test_files_are_completed(self) -> None:
        (item,) = SINK.shell_complete(click.Context(verb), verb.params[0], "pe")
        assert (item.value, item.type) == ("pe", "file")


class TestOutputs:
    @pytest.fixture(autouse=True)
    def table(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
        monkeypatch.chdir(tmp_path)
        Path("in.csv").write_text("a\n1\n")
        return

    def test_an_address_is_no_file_that_could_be_replaced(self) -> None:
        check_output("out.csv", inputs=[Address("sqlite:///in.db", "t"), Path("none.csv")])

    def test_options_do_not_hide_an_input(self) -> None:
        with pytest.raises(OutputError, match="is also the input"):
            check_output("in.csv", inputs=[Path("in.csv?delimiter=tab")])

    @pytest.mark.parametrize(
        ("target", "message"),
        [
            ("in.csv", "is also the input"),
            ("out.xyz", "unknown suffix"),
            ("out.xlsx", "can only be read"),
            ("none/out.csv", "does not exist"),
            ("sqlite:///none/out.db?table=t", "folder of the output .* does not exist"),
            ("sqlite:///out.db", "names no table to write to"),
            ("sqlite:///out.db?query=select 1", "names no table to write to"),
            ("sqlite://?table=t", "names no file"),
            ("sqlite:///:memory:?table=t", "names no file"),
            ("mysql://host/db?table=t", "cannot be written to: only postgresql and sqlite"),
            ("postgresqll://host/db?table=t", "cannot be written to"),
        ],
    )
    def test_bad_targets_are_refused_before_any_work(self, target: str, message: str) -> None:
        with pytest.raises(InputError, match=message) as caught:
            check_target(target, inputs=[Path("in.csv")])
        assert "\n" not in str(caught.value)
        assert [path.name for path in Path().iterdir()] == ["in.csv"]

    def test_a_table_that_is_read_is_not_written(self) -> None:
        for source in ("sqlite:///a.db?table=t", Address("sqlite:///a.db", "t")):
            with pytest.raises(OutputError, match="is also an input"):
                check_target("sqlite:///a.db?table=t&if_exists=replace", inputs=[source])
