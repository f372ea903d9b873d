"""Text files that are not what their name says: found in the content, reported, and overruled on request."""

from __future__ import annotations

import bz2
import gzip
import lzma
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from synthkit.errors import DataError, InputError
from synthkit.io import read_table, write_table

NAMES = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars", "^": "carets", "~": "tildes"}
TEXT = "id,name,city\n1,Ann,Bern\n2,Bob,Basel\n3,Cy,Thun\n"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("layout")


def read_quietly(source: str | Path, **options: Any) -> pd.DataFrame:
    """Read a table without a word: any warning is an error in these tests."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return read_table(source, **options)


def zstd(data: bytes) -> bytes:
    return bytes(pa.compress(data, "zstd", asbytes=True))


class TestSeparator:
    @pytest.mark.parametrize("suffix", [".csv", ".tsv"])
    @pytest.mark.parametrize("separator", list(NAMES))
    def test_is_found_and_reported(self, tmp_path: Path, suffix: str, separator: str) -> None:
        path = tmp_path / f"in{suffix}"
        path.write_text(TEXT.replace(",", separator))
        expected = {"id": [1, 2, 3], "name": ["Ann", "Bob", "Cy"], "city": ["Bern", "Basel", "Thun"]}
        if separator == ("," if suffix == ".csv" else "\t"):
            assert read_quietly(path).to_dict("list") == expected
            return
        with pytest.warns(
            UserWarning,
            match=f"{NAMES[separator]} between cells.*To settle this or to change it, write 'in{suffix}.delimiter=",
        ):
            assert read_table(path).to_dict("list") == expected
        assert read_quietly(path, delimiter=separator).to_dict("list") == expected

    @pytest.mark.parametrize("separator", [";", "|", "\t"])
    @settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(
        data=st.integers(2, 4).flatmap(
            lambda width: st.lists(
                st.lists(
                    st.from_regex(r"[b-mo-z][b-mo-z,;|\t\" \n]{0,6}[b-mo-z]x", fullmatch=True),
                    min_size=width,
                    max_size=width,
                ),
                min_size=1,
                max_size=6,
            )
        )
    )
    def test_cells_with_every_separator_in_quotes(self, folder: Path, separator: str, data: list[list[str]]) -> None:
        path = folder / "quoted.csv"
        frame = pd.DataFrame(data, columns=[f"column {number}" for number in range(len(data[0]))])
        frame.to_csv(path, sep=separator, index=False, quoting=1)
        with pytest.warns(UserWarning, match="between cells"):
            assert read_table(path).to_numpy().tolist() == data

    @pytest.mark.parametrize(
        "text",
        [
            "words\nx;y\nz\n",
            "words\nx;y\nz;w\n",
            'words\n"a;b"\n"c;d"\n',
            '"a;b"\n"1;2"\n',
            "a,b\n1;5,2\n3;5,4\n",
            "a,b\n1,2\n",
            "one\n1\n2\n",
        ],
    )
    def test_ordinary_files_are_read_without_a_word(self, tmp_path: Path, text: str) -> None:
        path = tmp_path / "in.csv"
        path.write_text(text)
        pd.testing.assert_frame_equal(read_quietly(path), pd.read_csv(path))

    def test_a_header_with_a_comma_does_not_hide_semicolons(self, tmp_path: Path) -> None:
        path = tmp_path / "in.csv"
        path.write_text("Name, given;Age\nAnn;41\nBob;22\n")
        with pytest.warns(UserWarning, match="semicolons"):
            assert read_table(path).columns.tolist() == ["Name, given", "Age"]

    def test_a_draw_is_told_and_the_name_decides(self, tmp_path: Path) -> None:
        path = tmp_path / "in.csv"
        path.write_text("a;b,c;d\n1;2,3;4\n")
        with pytest.warns(UserWarning, match="commas between cells, though semicolons would give 3 columns"):
            assert read_table(path).columns.tolist() == ["a;b", "c;d"]
        with pytest.warns(UserWarning, match="decimal commas in 'b,c'"):
            assert read_table(path, delimiter="semicolon").columns.tolist() == ["a", "b,c", "d"]

    def test_ragged_rows_are_still_refused(self, tmp_path: Path) -> None:
        path = tmp_path / "in.csv"
        path.write_text("a;b;c\n1;2;3\n4;5\n6;7;8\n")
        with pytest.raises(DataError, match=r"line 3 of .* has 2 cells, expected 3"):
            read_table(path)

    @pytest.mark.parametrize(
        ("given", "separator"), [("space", " "), ("\\t", "\t"), ("tab", "\t"), (":", ":"), ("Bar", "|")]
    )
    def test_any_character_can_be_named(self, tmp_path: Path, given: str, separator: str) -> None:
        path = tmp_path / "in.csv"
        path.write_text(TEXT.replace(",", separator))
        assert read_quietly(path, delimiter=given).columns.tolist() == ["id", "name", "city"]
        assert read_quietly(f"{path}?delimiter={given}").columns.tolist() == ["id", "name", "city"]

    @pytest.mark.parametrize("given", ["", "ab", '"', "a", "1", "\n", "€", "."])
    def test_others_are_refused(self, tmp_path: Path, given: str) -> None:
        path = tmp_path / "in.csv"
        path.write_text(TEXT)
        with pytest.raises(InputError, match="cannot stand between cells"):
            read_table(path, delimiter=given)


class TestDecimals:
    TEXT = "name;price;share;zip;whole\nAnn;1,50;-0,5;01234;3\nBob;;1e3;99999;4\nCy;12,00;2,25;00001;\n"

    def test_commas_are_found_and_reported(self, tmp_path: Path) -> None:
        path = tmp_path / "in.csv"
        path.write_text(self.TEXT)
        with pytest.warns(UserWarning, match="semicolons between cells; decimal commas in 'price', 'share'"):
            frame = read_table(path)
        assert frame["price"].fillna(-1).tolist() == [1.5, -1, 12.0]
        assert frame["share"].tolist() == [-0.5, 1000.0, 2.25]
        assert frame["zip"].tolist() == ["01234", "99999", "00001"]
        assert str(frame["whole"].dtype) == "Int64"
        write_table(frame, tmp_path / "out.csv")
        assert (tmp_path / "out.csv").read_text().splitlines()[1] == "Ann,1.5,-0.5,01234,3"

    def test_can_be_overruled(self, tmp_path: Path) -> None:
        path = tmp_path / "in.csv"
        path.write_text(self.TEXT)
        assert read_quietly(path, delimiter=";", decimal="point")["price"].iloc[0] == "1,50"
        assert read_quietly(f"{path}?delimiter=;&decimal=,")["price"].iloc[0] == 1.5
        with pytest.raises(InputError, match="neither a point nor a comma"):
            read_table(path, decimal="x")

    def test_thousands_before_decimal_commas(self, tmp_path: Path) -> None:
        path = tmp_path / "in.csv"
        path.write_text("a;b;c\n1.234.567,5;1.5;x\n2,5;2.5;y\n")
        with pytest.warns(UserWarning, match="decimal commas in 'a'"):
            frame = read_table(path)
        assert frame["a"].tolist() == [1234567.5, 2.5]
        # in a file with decimal commas, who knows what 1.5 is
        assert frame["b"].tolist() == ["1.5", "2.5"]

    @pytest.mark.parametrize(
        "cells", [["1,5", "x"], ["1,5", "1.5"], ["1,2,3", "4,5"], ["192.168.1", "1,5"], [",5", "1,5"]]
    )
    def test_a_column_with_anything_else_stays_text(self, tmp_path: Path, cells: list[str]) -> None:
        path = tmp_path / "in.csv"
        path.write_text("a;b\n" + "".join(f"{cell};1\n" for cell in cells))
        assert read_quietly(path, delimiter=";")["a"].tolist() == cells

    def test_commas_in_quotes_between_commas_stay_text(self, tmp_path: Path) -> None:
        path = tmp_path / "in.csv"
        path.write_text('a,b\n"1,5",2\n"2,5",3\n')
        assert read_quietly(path)["a"].tolist() == ["1,5", "2,5"]
        assert read_quietly(path, decimal="comma")["a"].tolist() == [1.5, 2.5]

    @settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(values=st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=6))
    def test_every_number_keeps_every_digit(self, folder: Path, values: list[float]) -> None:
        path = folder / "decimals.csv"
        frame = pd.DataFrame({"a": values, "b": 1})
        frame.to_csv(path, sep=";", decimal=",", index=False)
        read = read_quietly(path, delimiter=";", decimal=",")
        assert read["a"].astype(float).tolist() == [value + 0.0 for value in values]


WESTERN = "naïve café Zürich Straße señor ñandú Ångström Tromsø garçon não ação 5€ 20°C 3µg ½ “so” – £9 Œuvre".split()
ENCODED = [
    ("cp1252", "name;city\nJürgen Müller;Köln\nRené;Zürich\n".replace(";", ","), "cp1252"),
    ("cp1252", "a,b\n1,café\n", "cp1252"),
    ("cp1252", "note,x\nnaïve – “quoted” 5 €,1\n", "cp1252"),
    ("latin-1", "name,x\nniño,1\nmañana,2\n", "cp1252"),
    ("cp1252", "t,x\n22 °C,5\n3 µg,4\n±2,3\n", "cp1252"),
    ("cp1251", "имя,город\nИван,Москва\nОльга,Казань\n", "cp1251"),
    ("koi8-r", "имя,город\nИван,Москва\nОльга,Казань\n", "koi8_r"),
    ("shift-jis", "名前,町\n太郎,東京\n花子,大阪\n", "shift_jis"),
    ("gb18030", "姓名,城市\n张伟,北京\n王芳,上海\n", "gb18030"),
    ("euc-kr", "이름,도시\n김철수,서울\n", "euc_kr"),
    ("cp1253", "όνομα,πόλη\nΓιώργος,Αθήνα\n", "cp1253"),
    ("utf-16", "name,city\nJürgen,Köln\n", "utf-16"),
    ("utf-32", "name,city\nJürgen,Köln\n", "utf-32"),
    ("utf-16-le", "name,city\nJürgen,Köln\n", "utf-16-le"),
    ("utf-16-be", "name,city\nJürgen,Köln\n", "utf-16-be"),
]


class TestEncoding:
    @pytest.mark.parametrize(
        ("encoding", "text", "said"), ENCODED, ids=[f"{one[0]}-{n}" for n, one in enumerate(ENCODED)]
    )
    @pytest.mark.parametrize("compress", [None, gzip.compress], ids=["plain", "gzip"])
    def test_is_found_and_reported(
        self, tmp_path: Path, encoding: str, text: str, said: str, compress: Callable[[bytes], bytes] | None
    ) -> None:
        path = tmp_path / ("in.csv" if compress is None else "in.csv.gz")
        data = text.encode(encoding)
        path.write_bytes(data if compress is None else compress(data))
        header, *rows = [line.split(",") for line in text.splitlines()]
        with pytest.warns(UserWarning, match=f"encoding {said}.*write 'in.*encoding={said}'"):
            frame = read_table(path)
        assert frame.columns.tolist() == header
        assert frame.astype(str).to_numpy().tolist() == rows
        assert read_quietly(path, encoding=encoding).equals(frame)

    def test_the_line_and_other_readings_are_told(self, tmp_path: Path) -> None:
        path = tmp_path / "in.csv"
        path.write_bytes(b"a,b\n1,x\n" * 1 + b"2,caf\xe9\n")
        with pytest.warns(UserWarning, match=r"encoding cp1252 \(line 3 is not UTF-8, though .*cp125\d.* as well\)"):
            read_table(path)

    def test_late_in_a_long_file(self, tmp_path: Path) -> None:
        path = tmp_path / "in.csv"
        path.write_bytes(b"a,b\n" + b"1,x\n" * 200_000 + b"2,caf\xe9\n")
        with pytest.warns(UserWarning, match="line 200,002 is not UTF-8"):
            assert read_table(path)["b"].iloc[-1] == "café"

    def test_with_semicolons_and_decimal_commas_at_once(self, tmp_path: Path) -> None:
        path = tmp_path / "in.csv"
        path.write_bytes("Stück;Größe\nSäge;1,5\nMühle;2,5\n".encode("cp1252"))
        expected = {"Stück": ["Säge", "Mühle"], "Größe": [1.5, 2.5]}
        said = r"encoding cp1252.*; semicolons between cells; decimal commas in 'Größe', as its content suggests"
        with pytest.warns(UserWarning, match=said) as caught:
            assert read_table(path).to_dict("list") == expected
        settled = str(caught[0].message).rpartition("write '")[2].rstrip("'.")
        assert read_quietly(tmp_path / settled).to_dict("list") == expected, "what the warning says is what was done"

    @settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(words=st.lists(st.sampled_from(WESTERN) | st.from_regex(r"[b-m]{1,6}x", fullmatch=True), min_size=1))
    def test_western_text_comes_out_as_it_went_in(self, folder: Path, words: list[str]) -> None:
        path = folder / "western.csv"
        path.write_bytes("\n".join(["word", *words, "end"]).encode("cp1252"))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            assert read_table(path)["word"].tolist() == [*words, "end"]

    @pytest.mark.parametrize("encoding", ["utf-8", "ascii", "shift_jis", "utf-16"])
    def test_a_named_encoding_holds_or_is_refused(self, tmp_path: Path, encoding: str) -> None:
        path = tmp_path / "in.csv"
        path.write_bytes(b"a,b\n1,x\n2,\x85\xff\xff\n3\n")
        with pytest.raises(DataError, match=r"is not .* text: line \d"):
            read_table(path, encoding=encoding)

    @pytest.mark.parametrize("encoding", ["utf9", "hex", "rot13", ""])
    def test_unknown_ones_are_refused(self, tmp_path: Path, encoding: str) -> None:
        path = tmp_path / "in.csv"
        path.write_text(TEXT)
        with pytest.raises(InputError, match="there is no encoding"):
            read_table(path, encoding=encoding)


class TestCompression:
    @pytest.mark.parametrize(
        ("compress", "name"), [(gzip.compress, "gzip"), (bz2.compress, "bz2"), (lzma.compress, "xz"), (zstd, "zstd")]
    )
    @pytest.mark.parametrize("called", ["in.csv", "in.csv.gz"])
    def test_is_known_by_the_content(
        self, tmp_path: Path, compress: Callable[[bytes], bytes], name: str, called: str
    ) -> None:
        path = tmp_path / called
        path.write_bytes(compress(TEXT.encode()))
        if called.endswith(".gz") and name == "gzip":
            assert len(read_quietly(path)) == 3
            return
        with pytest.warns(UserWarning, match=f"{name} compression, of which its name says nothing"):
            assert len(read_table(path)) == 3


class TestOptions:
    def test_a_file_with_a_question_mark_in_its_name_has_no_options(self, tmp_path: Path) -> None:
        path = tmp_path / "in.csv?delimiter=tab"
        (tmp_path / "in.csv").write_text(TEXT)
        assert len(read_quietly(path.with_name("in.csv"))) == 3
        odd = tmp_path / "who?.csv"
        odd.write_text(TEXT)
        assert len(read_quietly(odd)) == 3

    @pytest.mark.parametrize(
        ("after", "message"),
        [
            ("?delimitr=;", "unknown option 'delimitr'; did you mean 'delimiter'"),
            ("?delimiter=", "gives the option 'delimiter' no value"),
            ("?sheet=1", "the option 'sheet' is for .xlsx, .xlsm and means nothing"),
        ],
    )
    def test_bad_ones_are_named(self, tmp_path: Path, after: str, message: str) -> None:
        (tmp_path / "in.csv").write_text(TEXT)
        with pytest.raises(InputError, match=message):
            read_table(f"{tmp_path / 'in.csv'}{after}")
