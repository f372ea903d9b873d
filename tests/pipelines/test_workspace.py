"""The workspace: records that are whole or not there, hashes, and one run at a time."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from synthkit.errors import InputError, OutputError
from synthkit.pipelines.workspace import Artefact, GateResult, StageRecord, Workspace, content_hash, file_hash

plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


def a_record(workspace: Workspace, text: str = "made") -> StageRecord:
    folder = workspace.make("fit")
    (folder / "model.synth").write_text(text)
    artefact = Artefact.of(folder / "model.synth")
    return StageRecord("fit", {"stage": "fit"}, {"model": artefact}, (GateResult("fit", "g", "met", "Said."),))


def test_a_record_comes_back_as_it_was(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path / "runs" / "one")
    assert workspace.record("fit") is None
    record = a_record(workspace)
    workspace.keep(record)
    assert workspace.record("fit") == record
    assert workspace.damage(record) == ""
    assert record.artefacts["model"].content == file_hash(workspace.file(record, "model"))
    workspace.make("fit")
    assert workspace.record("fit") is None


@pytest.mark.parametrize("content", ["", "{", "[]", "3", '{"format": "other"}', '{"format": "synthkit-stage"}'])
def test_what_is_no_record_is_none(tmp_path: Path, content: str) -> None:
    workspace = Workspace(tmp_path)
    workspace.keep(a_record(workspace))
    (tmp_path / "fit" / "record.json").write_text(content)
    assert workspace.record("fit") is None


def test_damage_is_told(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    record = a_record(workspace)
    (tmp_path / "fit" / "model.synth").write_text("mode!")
    assert workspace.damage(record) == "model.synth was changed"
    (tmp_path / "fit" / "model.synth").write_text("longer than that")
    assert workspace.damage(record) == "model.synth was changed"
    (tmp_path / "fit" / "model.synth").unlink()
    assert workspace.damage(record) == "model.synth is missing"


@given(plain)
def test_the_hash_of_plain_values_does_not_depend_on_the_order_of_keys(value: object) -> None:
    def turned(one: object) -> object:
        if isinstance(one, dict):
            return {key: turned(entry) for key, entry in reversed(one.items())}
        return [turned(entry) for entry in one] if isinstance(one, list) else one

    assert content_hash(value) == content_hash(turned(value))
    assert content_hash([value]) != content_hash([value, value])


HOLD = """
import pathlib, signal, sys
from synthkit.pipelines.workspace import Workspace
with Workspace(pathlib.Path(sys.argv[1])).locked():
    print("held", flush=True)
    signal.pause()
"""


def test_one_run_at_a_time_and_the_lock_of_a_killed_one_is_free(tmp_path: Path) -> None:
    words = [sys.executable, "-c", HOLD, str(tmp_path / "w")]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as holder:
        try:
            assert holder.stdout is not None
            assert holder.stdout.readline() == "held\n"
            with (
                pytest.raises(InputError, match=rf"another run \(process {holder.pid}\) is using the workspace"),
                Workspace(tmp_path / "w").locked(),
            ):
                pass
        finally:
            holder.kill()
    with Workspace(tmp_path / "w").locked():
        assert (tmp_path / "w" / "lock").read_text() == str(os.getpid())


def test_a_place_where_no_folder_can_be_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="cannot be made"), Workspace(tmp_path / "file" / "runs").locked():
        pass
