"""Every bad file: one clear sentence, exit code 2, nothing written."""

from __future__ import annotations

import gzip
import lzma
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from synthkit.errors import DataError, InputError, OutputError
from synthkit.io import TableWriter, read_table, table_format, write_table

SCRIPT = """
import resource, signal, sys
import numpy as np, pandas as pd
from synthkit.errors import OutputError
from synthkit.io import write_table
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
frame = pd.DataFrame({"x": np.random.default_rng(0).normal(size=20_000)})
try:
    write_table(frame, sys.argv[1])
except OutputError as error:
    print(error)
"""


def write_pieces(path: Path, *frames: pd.DataFrame) -> None:
    with TableWriter(path) as writer:
        for frame in frames:
            writer.write(frame)


def refused(path: Path, message: str, error: type[InputError] = DataError) -> None:
    with pytest.raises(error, match=message) as caught:
        read_table(path)
    assert caught.value.exit_code == 2
    assert "\n" not in str(caught.value)
    assert str(path.name) in str(caught.value)


class TestPaths:
    def test_missing(self, tmp_path: Path) -> None:
        (tmp_path / "people.csv").write_text("a\n1\n")
        refused(tmp_path / "peple.csv", "there is no file .*did you mean .*people.csv", InputError)
        refused(tmp_path / "nowhere" / "people.csv", "there is no file", InputError)

    def test_folder(self, tmp_path: Path) -> None:
        (tmp_path / "in.csv").mkdir()
        refused(tmp_path / "in.csv", "is a folder, expected a file", InputError)

    @pytest.mark.skipif(os.geteuid() == 0, reason="the super-user may read everything")
    def test_no_permission(self, tmp_path: Path) -> None:
        (tmp_path / "in.csv").write_text("a\n1\n")
        (tmp_path / "in.csv").chmod(0)
        refused(tmp_path / "in.csv", "Permission denied", InputError)

    @pytest.mark.parametrize(
        ("name", "message"),
        [
            ("in.xls", r"unknown suffix '\.xls'.*did you mean '\.xlsx'"),
            ("in.db", r"unknown suffix.*sqlite:///.*in\.db\?table=NAME"),
            ("in.cvs", r"did you mean '\.csv'"),
            ("in", "no suffix; known: .csv"),
            ("in.gz", "no suffix"),
            ("in.parquet.gz", "compressed again"),
        ],
    )
    def test_suffix(self, tmp_path: Path, name: str, message: str) -> None:
        refused(tmp_path / name, message, InputError)
        with pytest.raises(InputError, match=message):
            write_table(pd.DataFrame({"a": [1]}), tmp_path / name)
        assert not list(tmp_path.iterdir())

    @pytest.mark.parametrize(
        ("name", "suffix", "compression"),
        [
            ("a.csv", ".csv", None),
            ("A.CSV.GZ", ".csv", "gzip"),
            ("a.b.tsv.zst", ".tsv", "zstd"),
            ("a.csv.xz", ".csv", "xz"),
            ("a.csv.bz2", ".csv", "bz2"),
            ("a.Parquet", ".parquet", None),
            ("x.gz.feather", ".feather", None),
        ],
    )
    def test_known_suffixes(self, name: str, suffix: str, compression: str | None) -> None:
        assert (table_format(name).suffix, table_format(name).compression) == (suffix, compression)


class TestText:
    @pytest.mark.parametrize(
        ("content", "message"),
        [
            (b"", "is empty"),
            (b"\n\n", "blank lines only"),
            (b"a,b\n", "has 2 columns but no rows"),
            (b"a,b,a\n1,2,3\n", "column name 'a' appears 2 times"),
            (b"a,b\n1,2\n3,4,5\n", r"line 3 of .* has 3 cells, expected 2"),
            (b"a,b\n1,2\n3\n", r"line 3 of .* has 1 cells, expected 2"),
            (b"a,b\n1,2,\n3,4,\n", r"line 2 of .* has 3 cells, expected 2"),
            (b'a,b\n1, "x, y"\n3\n', r"line 3 of .* has 1 cells, expected 2"),
            (b'a,b\n1,"x\ny"\n3\n', r"line 4 of .* has 1 cells, expected 2"),
            (b"PK\x03\x04rest", "is a zip archive or an Excel workbook, expected text"),
            (b"PAR1rest", "is a Parquet file, expected text"),
            (b'a,b\n1,"x\n2,y\n', "cannot be read as a table|has 2 cells"),
        ],
        ids=lambda value: repr(value)[:24],
    )
    def test_content(self, tmp_path: Path, content: bytes, message: str) -> None:
        (tmp_path / "in.csv").write_bytes(content)
        refused(tmp_path / "in.csv", message)

    def test_late_rows_are_checked_too(self, tmp_path: Path) -> None:
        (tmp_path / "in.csv").write_text("a,b\n" + "1,2\n" * 50_000 + "3\n" + "1,2\n" * 10)
        refused(tmp_path / "in.csv", "line 50,002 of .* has 1 cells")

    @pytest.mark.parametrize(
        ("name", "damage"),
        [
            ("in.csv.gz", lambda data: gzip.compress(data)[:-20]),
            ("in.csv.gz", lambda data: data),
            ("in.csv.xz", lambda data: lzma.compress(data)[:-20]),
            ("in.csv.bz2", lambda data: data),
            ("in.csv.zst", lambda data: data),
        ],
    )
    def test_damaged_compression(self, tmp_path: Path, name: str, damage: Callable[[bytes], bytes]) -> None:
        (tmp_path / name).write_bytes(damage(b"a,b\n" + b"1,2\n" * 5000))
        refused(tmp_path / name, "is not a complete (gzip|xz|bz2|zstd) file")


class TestBinary:
    @pytest.mark.parametrize("suffix", [".parquet", ".feather", ".arrow"])
    def test_content(self, people: pd.DataFrame, tmp_path: Path, suffix: str) -> None:
        path = tmp_path / f"in{suffix}"
        write_table(people, path)
        whole = path.read_bytes()
        path.write_bytes(b"")
        refused(path, "is empty")
        path.write_bytes(b"age,hours\n1,2\n")
        refused(path, "is not a complete (Parquet|Arrow) file")
        for length in (6, len(whole) // 2, len(whole) - 3):
            path.write_bytes(whole[:length])
            refused(path, "is not a complete (Parquet|Arrow) file")

    @pytest.mark.parametrize("suffix", [".parquet", ".feather"])
    def test_repeated_names(self, tmp_path: Path, suffix: str) -> None:
        import pyarrow as pa
        import pyarrow.feather
        import pyarrow.parquet

        table = pa.Table.from_arrays([pa.array([1, 2]), pa.array([3, 4])], names=["a", "a"])
        path = tmp_path / f"in{suffix}"
        if suffix == ".parquet":
            pyarrow.parquet.write_table(table, path)
        else:
            pyarrow.ipc.new_file(str(path), table.schema).close()
        refused(path, "column name 'a' appears 2 times")

    def test_no_rows(self, tmp_path: Path) -> None:
        pd.DataFrame({"a": []}).to_parquet(tmp_path / "in.parquet")
        refused(tmp_path / "in.parquet", "has 1 columns but no rows")


class TestOutput:
    def test_folder_is_missing(self, tmp_path: Path) -> None:
        with pytest.raises(OutputError, match="does not exist"):
            write_table(pd.DataFrame({"a": [1]}), tmp_path / "none" / "out.csv")

    def test_text_that_is_no_unicode(self, tmp_path: Path) -> None:
        with pytest.raises(DataError, match="not valid Unicode"):
            write_table(pd.DataFrame({"a": ["\ud800"]}), tmp_path / "out.csv")
        assert not list(tmp_path.iterdir())

    def test_an_old_file_stays_when_writing_fails(self, tmp_path: Path) -> None:
        path = tmp_path / "out.csv"
        path.write_text("old")
        with pytest.raises(DataError, match="missing"):
            write_pieces(path, pd.DataFrame({"a": [1]}), pd.DataFrame({"b": [1]}))
        assert path.read_text() == "old"

    @pytest.mark.parametrize("name", ["out.csv", "out.csv.gz", "out.csv.zst", "out.parquet", "out.feather"])
    def test_disk_full(self, tmp_path: Path, name: str) -> None:
        done = subprocess.run(
            [sys.executable, "-c", SCRIPT, str(tmp_path / name)], capture_output=True, text=True, check=False
        )
        assert (done.returncode, done.stderr) == (0, "")
        assert "disk is full" in done.stdout
        assert done.stdout.count("\n") == 1
        assert not list(tmp_path.iterdir())
