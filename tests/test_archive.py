from __future__ import annotations

import json
import os
import resource
import stat
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from synthkit import __version__
from synthkit.archive import (
    FORMAT_VERSION,
    Archive,
    atomic_path,
    check_output,
    read_archive,
    read_manifest,
    write_archive,
)
from synthkit.errors import ModelFileError, OutputError

ENTRY_NAMES = st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,8}", fullmatch=True)
DTYPES = st.sampled_from(["<f4", "<f8", "<f2", "<i1", "<i2", "<i4", "<i8", "<u1", "<u4", "<u8", "?"])
ARRAYS = DTYPES.flatmap(lambda dtype: arrays.arrays(dtype, arrays.array_shapes(min_dims=0, max_dims=3, min_side=0)))
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


def write_small(path: Path) -> Archive:
    """Write a model file with one of everything and return what it holds."""
    write_archive(
        path,
        {"kind": "table", "note": "grüezi"},
        tensors={"codes": {"weights": np.arange(12, dtype=np.float32).reshape(3, 4)}},
        texts={"schema.yaml": "columns: []\n", "trees/0.txt": "tree\n"},
    )
    return read_archive(path)


def rewrite(source: Path, target: Path, **changes: bytes | None) -> None:
    """Copy a zip entry by entry, replacing some contents and leaving out those that are None."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w") as new:
        contents: dict[str, bytes | None] = {name: old.read(name) for name in old.namelist()}
        for name, content in {**contents, **changes}.items():
            if content is not None:
                new.writestr(name, content)


def same_arrays(one: Archive, two: Archive) -> bool:
    flat = [
        {(group, name): array for group, entries in archive.tensors.items() for name, array in entries.items()}
        for archive in (one, two)
    ]
    return flat[0].keys() == flat[1].keys() and all(
        flat[0][key].dtype == flat[1][key].dtype
        and flat[0][key].shape == flat[1][key].shape
        and flat[0][key].tobytes() == flat[1][key].tobytes()
        for key in flat[0]
    )


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    """Let the operating system refuse files beyond this size, which is how a full disk looks from here."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


class TestRoundTrip:
    @given(
        manifest=st.dictionaries(st.text(), JSON, max_size=3),
        tensors=st.dictionaries(ENTRY_NAMES, st.dictionaries(st.text(max_size=5), ARRAYS, max_size=2), max_size=2),
        texts=st.dictionaries(ENTRY_NAMES.map(lambda name: f"{name}.txt"), st.text(st.characters(codec="utf-8"))),
    )
    def test_what_is_written_is_read(
        self,
        tmp_path_factory: pytest.TempPathFactory,
        manifest: dict[str, object],
        tensors: dict[str, dict[str, np.ndarray]],
        texts: dict[str, str],
    ) -> None:
        folder = tmp_path_factory.mktemp("archive")
        # A name that safetensors keeps for itself
        tensors = {group: {k: v for k, v in found.items() if k != "__metadata__"} for group, found in tensors.items()}
        write_archive(folder / "a.synth", manifest, tensors=tensors, texts=texts)
        archive = read_archive(folder / "a.synth")
        added = {"format", "format_version", "created_with", "files"}
        assert {key: value for key, value in archive.manifest.items() if key not in added} == manifest
        assert archive.texts == texts
        assert archive.tensors.keys() == tensors.keys()
        assert same_arrays(archive, Archive({}, tensors, {}))
        assert read_manifest(folder / "a.synth") == archive.manifest

        write_archive(folder / "b.synth", manifest, tensors=tensors, texts=texts)
        assert (folder / "a.synth").read_bytes() == (folder / "b.synth").read_bytes()
        assert sorted(path.name for path in folder.iterdir()) == ["a.synth", "b.synth"]

    def test_bytes_do_not_depend_on_the_order_of_parts(self, tmp_path: Path) -> None:
        one, two = {"a": np.zeros(2), "b": np.ones(2)}, {"b": np.ones(2), "a": np.zeros(2)}
        write_archive(tmp_path / "1", {}, tensors={"x": one, "y": two}, texts={"t": "t", "s": "s"})
        write_archive(tmp_path / "2", {}, tensors={"y": one, "x": two}, texts={"s": "s", "t": "t"})
        contents = [zipfile.ZipFile(tmp_path / name) for name in ("1", "2")]
        assert contents[0].namelist() == contents[1].namelist() == sorted(contents[0].namelist())
        assert contents[0].read("x.safetensors") == contents[1].read("x.safetensors")
        for archive in contents:
            archive.close()

    def test_transposed_and_scalar_arrays(self, tmp_path: Path) -> None:
        entries = {"t": np.arange(6.0).reshape(2, 3).T, "s": np.float64(3.5), "step": np.arange(10)[::-2]}
        write_archive(tmp_path / "a", {}, tensors={"x": entries}, texts={})
        for name, array in read_archive(tmp_path / "a").tensors["x"].items():
            np.testing.assert_array_equal(array, entries[name])

    def test_numpy_values_in_the_manifest_become_plain(self, tmp_path: Path) -> None:
        write_archive(tmp_path / "a", {"n": np.int64(3), "a": np.arange(2), "nan": np.nan}, tensors={}, texts={})
        manifest = read_manifest(tmp_path / "a")
        assert (manifest["n"], manifest["a"]) == (3, [0, 1])
        assert np.isnan(manifest["nan"])

    def test_the_order_of_keys_is_kept(self, tmp_path: Path) -> None:
        write_archive(tmp_path / "a", {"order": {"b": 1, "a": 2}}, tensors={}, texts={})
        assert list(read_manifest(tmp_path / "a")["order"]) == ["b", "a"]

    def test_the_version_is_written(self, tmp_path: Path) -> None:
        manifest = write_small(tmp_path / "a").manifest
        assert manifest["format"] == "synthkit-model"
        assert manifest["format_version"] == FORMAT_VERSION
        assert manifest["created_with"] == __version__
        assert sorted(manifest["files"]) == ["codes.safetensors", "schema.yaml", "trees/0.txt"]

    @pytest.mark.parametrize(
        "name", ["../up", "/root", "a\\b", "", ".hidden", "a/../b", "manifest.json", "x.safetensors"]
    )
    def test_names_that_would_be_refused_are_not_written(self, tmp_path: Path, name: str) -> None:
        with pytest.raises(ValueError, match="plain names"):
            write_archive(tmp_path / "a", {}, tensors={}, texts={name: ""})
        assert not list(tmp_path.iterdir())


class TestDamage:
    def test_truncated_anywhere(self, tmp_path: Path) -> None:
        write_small(tmp_path / "a.synth")
        whole = (tmp_path / "a.synth").read_bytes()
        for length in range(len(whole)):
            (tmp_path / "b.synth").write_bytes(whole[:length])
            with pytest.raises(ModelFileError, match=r"b\.synth"):
                read_archive(tmp_path / "b.synth")

    @given(data=st.data())
    def test_any_changed_byte_is_noticed_or_harmless(
        self, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
    ) -> None:
        """A zip has bytes that mean nothing to a reader (times, attributes); no other change may pass."""
        folder = tmp_path_factory.mktemp("changed")
        original = write_small(folder / "a.synth")
        content = bytearray((folder / "a.synth").read_bytes())
        position = data.draw(st.integers(0, len(content) - 1))
        content[position] ^= data.draw(st.integers(1, 255))
        (folder / "b.synth").write_bytes(content)
        try:
            changed = read_archive(folder / "b.synth")
        except ModelFileError:
            return
        assert (changed.manifest, changed.texts) == (original.manifest, original.texts)
        assert same_arrays(changed, original)

    @given(content=st.binary(max_size=200))
    def test_any_other_file_is_refused(self, tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
        path = tmp_path_factory.mktemp("other") / "a.synth"
        path.write_bytes(content)
        with pytest.raises(ModelFileError):
            read_archive(path)

    def test_a_changed_text_is_noticed(self, tmp_path: Path) -> None:
        write_small(tmp_path / "a")
        rewrite(tmp_path / "a", tmp_path / "b", **{"schema.yaml": b"columns: [x]\n"})
        with pytest.raises(ModelFileError, match=r"'schema\.yaml' is not what was written"):
            read_archive(tmp_path / "b")

    def test_a_changed_manifest_is_noticed(self, tmp_path: Path) -> None:
        manifest = {**write_small(tmp_path / "a").manifest, "kind": "scan"}
        rewrite(tmp_path / "a", tmp_path / "b", **{"manifest.json": json.dumps(manifest).encode()})
        for read in (read_archive, read_manifest):
            with pytest.raises(ModelFileError, match="manifest is not what was written"):
                read(tmp_path / "b")

    @pytest.mark.parametrize("change", [{"schema.yaml": None}, {"extra.txt": b"x"}])
    def test_a_part_more_or_less_is_noticed(self, tmp_path: Path, change: dict[str, bytes | None]) -> None:
        write_small(tmp_path / "a")
        rewrite(tmp_path / "a", tmp_path / "b", **change)
        with pytest.raises(ModelFileError, match=next(iter(change))):
            read_archive(tmp_path / "b")

    def test_a_newer_version_says_so(self, tmp_path: Path) -> None:
        write_small(tmp_path / "a")
        newer = {"format": "synthkit-model", "format_version": FORMAT_VERSION + 1, "created_with": "9.0"}
        rewrite(tmp_path / "a", tmp_path / "b", **{"manifest.json": json.dumps(newer).encode()})
        with pytest.raises(ModelFileError, match=r"written with synthkit 9\.0.*Upgrade synthkit"):
            read_archive(tmp_path / "b")

    @pytest.mark.parametrize("content", [b"", b"[]", b"{", b"{}", b'{"format": "other"}', b"[" * 100_000, b"\xff"])
    def test_a_manifest_that_is_none(self, tmp_path: Path, content: bytes) -> None:
        with zipfile.ZipFile(tmp_path / "a", "w") as archive:
            archive.writestr("manifest.json", content)
        with pytest.raises(ModelFileError):
            read_archive(tmp_path / "a")

    def test_a_zip_bomb_is_not_unpacked(self, tmp_path: Path) -> None:
        write_small(tmp_path / "a")
        with zipfile.ZipFile(tmp_path / "a", "a", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("zeros.txt", bytes(10_000_000))
        with pytest.raises(ModelFileError, match="larger than the file"):
            read_archive(tmp_path / "a")

    @pytest.mark.parametrize("name", ["../up.txt", "/etc/x", "a\\b", ".hidden", "schema.yaml"])
    @pytest.mark.filterwarnings("ignore:Duplicate name:UserWarning")  # the point of the last case
    def test_odd_names_are_refused(self, tmp_path: Path, name: str) -> None:
        write_small(tmp_path / "a")
        with zipfile.ZipFile(tmp_path / "a", "a") as archive:
            archive.writestr(name, b"x")
        with pytest.raises(ModelFileError, match="names of parts"):
            read_archive(tmp_path / "a")

    def test_a_zip_of_something_else(self, tmp_path: Path) -> None:
        with zipfile.ZipFile(tmp_path / "a.docx", "w") as archive:
            archive.writestr("word/document.xml", b"<xml/>")
        with pytest.raises(ModelFileError, match="not a model file"):
            read_archive(tmp_path / "a.docx")

    def test_missing_and_folder(self, tmp_path: Path) -> None:
        with pytest.raises(ModelFileError, match="does not exist"):
            read_archive(tmp_path / "none.synth")
        with pytest.raises(ModelFileError, match="is a folder"):
            read_archive(tmp_path)


class TestAtomicPath:
    def test_the_file_appears_at_the_end(self, tmp_path: Path) -> None:
        with atomic_path(tmp_path / "out.csv.gz") as temporary:
            assert temporary.parent == tmp_path
            assert temporary.suffixes[-2:] == [".csv", ".gz"]
            temporary.write_text("new")
            assert not (tmp_path / "out.csv.gz").exists()
        assert (tmp_path / "out.csv.gz").read_text() == "new"
        assert [path.name for path in tmp_path.iterdir()] == ["out.csv.gz"]

    @pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, OSError])
    def test_failure_keeps_the_old_file_and_leaves_nothing(self, tmp_path: Path, error: type[BaseException]) -> None:
        def fail_half_way() -> None:
            with atomic_path(tmp_path / "out") as temporary:
                temporary.write_text("half")
                raise error("stop")

        (tmp_path / "out").write_text("old")
        with pytest.raises(error):
            fail_half_way()
        assert (tmp_path / "out").read_text() == "old"
        assert [path.name for path in tmp_path.iterdir()] == ["out"]

    def test_a_full_disk_is_told_and_leaves_nothing(self, tmp_path: Path) -> None:
        content = {"x": {"a": np.zeros(200_000)}}
        with pytest.raises(OutputError, match="the disk is full"), largest_file(400_000):
            write_archive(tmp_path / "a.synth", {}, tensors=content, texts={})
        assert not list(tmp_path.iterdir())

    def test_permissions_are_those_of_a_new_or_the_old_file(self, tmp_path: Path) -> None:
        (tmp_path / "plain").touch()
        with atomic_path(tmp_path / "out"):
            pass
        assert stat.S_IMODE((tmp_path / "out").stat().st_mode) == stat.S_IMODE((tmp_path / "plain").stat().st_mode)
        (tmp_path / "out").chmod(0o640)
        with atomic_path(tmp_path / "out"):
            pass
        assert stat.S_IMODE((tmp_path / "out").stat().st_mode) == 0o640

    def test_a_link_stays_a_link(self, tmp_path: Path) -> None:
        (tmp_path / "link").symlink_to("real")
        with atomic_path(tmp_path / "link") as temporary:
            temporary.write_text("new")
        assert (tmp_path / "link").is_symlink()
        assert (tmp_path / "real").read_text() == "new"

    def test_long_names_are_fine(self, tmp_path: Path) -> None:
        name = "x" * 250 + ".csv"
        with atomic_path(tmp_path / name) as temporary:
            assert temporary.suffix == ".csv"
        assert (tmp_path / name).exists()

    def test_a_killed_writer_leaves_the_old_file(self, tmp_path: Path) -> None:
        (tmp_path / "out").write_text("old")
        code = (
            "import os, signal, sys\nfrom synthkit.archive import atomic_path\n"
            "with atomic_path(sys.argv[1]) as temporary:\n"
            "    temporary.write_text('half')\n    os.kill(os.getpid(), signal.SIGKILL)\n"
        )
        assert subprocess.run([sys.executable, "-c", code, str(tmp_path / "out")], check=False).returncode == -9
        assert (tmp_path / "out").read_text() == "old"


class TestCheckOutput:
    def test_a_good_place_is_left_as_it_is(self, tmp_path: Path) -> None:
        check_output(tmp_path / "new.csv")
        (tmp_path / "old.csv").write_text("old")
        check_output(tmp_path / "old.csv", inputs=[tmp_path / "other.csv"])
        assert [path.name for path in tmp_path.iterdir()] == ["old.csv"]
        assert (tmp_path / "old.csv").read_text() == "old"

    def test_a_bare_name_is_in_the_current_folder(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)
        check_output("new.csv")

    @pytest.mark.parametrize("place", ["nowhere/out.csv", "file/out.csv", ".", "", "x" * 300, "null"])
    def test_bad_places_are_told_by_both(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str) -> None:
        monkeypatch.chdir(tmp_path)
        (tmp_path / "file").touch()
        (tmp_path / "null").symlink_to(os.devnull)
        before = sorted(tmp_path.iterdir())
        with pytest.raises(OutputError):
            check_output(place)
        with pytest.raises(OutputError), atomic_path(place):
            pass
        assert sorted(tmp_path.iterdir()) == before

    @pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs a folder in which even root cannot write")
    def test_a_folder_that_cannot_be_written_to(self) -> None:
        with pytest.raises(OutputError, match="cannot be written"):
            check_output("/proc/out.csv")

    def test_the_folder_that_is_missing_is_named(self, tmp_path: Path) -> None:
        with pytest.raises(OutputError, match=r"does not exist\. Make it first: mkdir -p '.*nowhere'"):
            check_output(tmp_path / "nowhere" / "out.csv")

    def test_an_input_is_never_the_output(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)
        (tmp_path / "in.csv").touch()
        (tmp_path / "link.csv").symlink_to("in.csv")
        (tmp_path / "hard.csv").hardlink_to("in.csv")
        for same in ("in.csv", "./in.csv", tmp_path / "in.csv", "link.csv", "hard.csv"):
            with pytest.raises(OutputError, match="is also the input"):
                check_output(same, inputs=["in.csv"])
