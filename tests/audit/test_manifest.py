from __future__ import annotations

import hashlib
import json
import os
from datetime import date
from pathlib import Path

import pytest

from synthkit.auditing.manifest import check_manifest, manifest_path, write_manifest
from synthkit.auditing.policy import load_policy
from synthkit.auditing.records import Estimate, Risk
from synthkit.auditing.report import write_report
from synthkit.auditing.result import Audit
from synthkit.errors import InputError


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    """A folder with inputs, and another with two reports and their manifest."""
    (tmp_path / "data").mkdir()
    (tmp_path / "reports").mkdir()
    inputs = {part: tmp_path / "data" / f"{part}.csv" for part in ("real", "synthetic")}
    for part, path in inputs.items():
        path.write_text(f"a\n{part}\n")
    hashes = {part: {"sha256": hashlib.sha256(path.read_bytes()).hexdigest()} for part, path in inputs.items()}
    policy = load_policy("public-release")
    found = Audit(
        {"duplicates": Risk("duplicates", estimates={"near": Estimate(0.5, 0.4, 0.6, 0.0)}, outcome="disclosure")},
        policy=policy.to_dict(),
        rows={"real": 1, "synthetic": 1},
        provenance={"inputs": hashes},
        created="2026-11-22T20:00:00+00:00",
    )
    reports = [tmp_path / "reports" / name for name in ("audit.md", "audit.json")]
    for report in reports:
        write_report(found, report)
    manifest = manifest_path(reports[0])
    write_manifest(manifest, tuple(reports), found, inputs)
    return {**inputs, "md": reports[0], "json": reports[1], "manifest": manifest}


def states(path: Path) -> dict[str, str]:
    return {file.path.name: file.state for file in check_manifest(path, today=date(2026, 12, 1)).files}


def test_nothing_has_changed_until_something_does(files: dict[str, Path]) -> None:
    assert files["manifest"].name == "audit.manifest.json"
    found = check_manifest(files["manifest"], today=date(2026, 12, 1))
    assert states(files["manifest"]) == dict.fromkeys(
        ("audit.md", "audit.json", "real.csv", "synthetic.csv"), "unchanged"
    )
    assert found.wrong == ()
    assert found.policy == "public-release"
    assert found.passed is None  # the audit above has no verdicts
    assert found.sha256 == hashlib.sha256(files["manifest"].read_bytes()).hexdigest()


@pytest.mark.parametrize("part", ["md", "json", "real", "synthetic"])
def test_every_changed_byte_and_every_missing_file_is_named(files: dict[str, Path], part: str) -> None:
    path = files[part]
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(bytes(data))
    found = states(files["manifest"])
    assert found.pop(path.name) == "changed"
    assert set(found.values()) == {"unchanged"}
    path.unlink()
    assert states(files["manifest"])[path.name] == "missing"


def test_reports_and_json_belong_together(files: dict[str, Path]) -> None:
    """The digest that the reports print, the one in the manifest and that of the JSON file are one."""
    own = hashlib.sha256(files["json"].read_bytes()).hexdigest()
    assert check_manifest(files["manifest"]).audit_sha256 == own
    assert own in files["md"].read_text(encoding="utf-8")


def test_a_folder_may_move_as_a_whole(files: dict[str, Path], tmp_path: Path) -> None:
    moved = tmp_path.parent / f"{tmp_path.name}-moved"
    tmp_path.rename(moved)
    assert set(states(moved / "reports" / "audit.manifest.json").values()) == {"unchanged"}
    moved.rename(tmp_path)


def test_the_digest_of_what_was_read_counts(files: dict[str, Path]) -> None:
    """An input that changes between reading and writing the manifest is one that has changed."""
    found = Audit({}, provenance={"inputs": {"real": {"sha256": "0" * 64}}})
    write_manifest(files["manifest"], {"report": files["md"]}, found, {"real": files["real"]})
    assert states(files["manifest"]) == {"audit.md": "unchanged", "real.csv": "changed"}


def test_an_audit_expires(files: dict[str, Path]) -> None:
    last = date(2027, 5, 21)  # 180 days after it was made
    assert check_manifest(files["manifest"]).expires == last
    assert not check_manifest(files["manifest"], today=last).expired
    assert check_manifest(files["manifest"], today=date(2027, 5, 22)).expired


def test_an_audit_without_a_policy_has_no_verdict(files: dict[str, Path]) -> None:
    write_manifest(files["manifest"], (files["md"],), Audit({}))
    found = check_manifest(files["manifest"])
    assert found.passed is None
    assert found.expires is None
    assert not found.expired


def test_it_holds_no_path_of_the_machine(files: dict[str, Path], tmp_path: Path) -> None:
    content = json.loads(files["manifest"].read_text())
    assert str(tmp_path) not in files["manifest"].read_text()
    assert content["inputs"][0]["file"] == "../data/real.csv"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\xff\xfe", "it is not JSON"),
        (b"[" * 100_000, "it is not JSON"),
        (b"[]", "its format is not"),
        (b'{"format": "synthkit-audit"}', "its format is not"),
        (b'{"format": "synthkit-audit-manifest", "format_version": 9}', "its format version is 9"),
        (b'{"format": "synthkit-audit-manifest", "format_version": true}', "its format version is True"),
        (b'{"format": "synthkit-audit-manifest", "format_version": 1}', "an entry is missing"),
        (b'{"format": "synthkit-audit-manifest", "format_version": 1, "reports": [1], "inputs": []}', "another form"),
    ],
)
def test_what_is_no_manifest_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "x.manifest.json"
    path.write_bytes(content)
    with pytest.raises(InputError, match=message) as raised:
        check_manifest(path)
    assert "\n" not in str(raised.value)
    with pytest.raises(InputError, match="cannot read the manifest"):
        check_manifest(tmp_path)


def test_names_that_are_no_text_are_written_and_read_again(files: dict[str, Path], tmp_path: Path) -> None:
    odd = tmp_path / os.fsdecode(b"tr\xff.csv")
    odd.write_text("a")
    write_manifest(files["manifest"], (files["md"],), Audit({}), {"real": odd})
    assert states(files["manifest"])[odd.name] == "unchanged"


def test_a_verdict_that_is_no_verdict_is_refused(files: dict[str, Path]) -> None:
    content = json.loads(files["manifest"].read_text()) | {"passed": "false"}
    files["manifest"].write_text(json.dumps(content))
    with pytest.raises(InputError, match="has another form"):
        check_manifest(files["manifest"])
