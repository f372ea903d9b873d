"""Packaging and automation say the same thing everywhere."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import synthkit

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
CONSTRAINTS = {
    canonicalize_name(name): version
    for name, version in re.findall(r"^([\w.-]+)==(\S+)$", (ROOT / "constraints.txt").read_text(), re.MULTILINE)
}
REQUIREMENTS = [
    requirement
    for text in [
        *PROJECT["project"]["dependencies"],
        *(text for extra in PROJECT["project"]["optional-dependencies"].values() for text in extra),
    ]
    if (requirement := Requirement(text)).name != PROJECT["project"]["name"]  # an extra may ask for other extras
]


@pytest.mark.parametrize("requirement", REQUIREMENTS, ids=lambda requirement: requirement.name)
def test_every_dependency_has_a_tested_version_in_its_range(requirement: Requirement) -> None:
    version = CONSTRAINTS[canonicalize_name(requirement.name)]
    assert requirement.specifier.contains(version)


def test_constraints_are_exact_and_portable() -> None:
    lines = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if not line.startswith("#")]
    assert len(lines) == len(CONSTRAINTS)
    assert not [line for line in lines if "+" in line or "@" in line]  # local builds, files of one machine


def test_the_version_has_one_source() -> None:
    assert PROJECT["project"]["dynamic"] == ["version"]
    assert re.fullmatch(r"\d+\.\d+\.\d+", synthkit.__version__)


def test_continuous_integration_runs_what_a_developer_runs() -> None:
    commands = (ROOT / ".ci" / "run").read_text().splitlines()
    assert "set -euo pipefail" in commands
    assert commands.index("make lint") < commands.index("make test")
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert {"venv", "demo", "test", "lint", "bench"} <= targets


def test_every_room_has_its_place_in_the_layers() -> None:
    """import-linter takes a room in brackets as optional; one that is there must be listed."""
    (contract,) = PROJECT["tool"]["importlinter"]["contracts"]
    listed = {name.strip(" ()") for layer in contract["layers"] for name in re.split(r"[:|]", layer)}
    package = ROOT / "synthkit"
    rooms = {path.stem for path in package.glob("*.py")} | {path.parent.name for path in package.glob("*/__init__.py")}
    assert rooms - {"__init__"} <= listed
