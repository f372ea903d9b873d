"""Sections of the scan benchmarks and the page that is made of them."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType

import pytest

BENCHMARKS = Path(__file__).resolve().parents[3] / "evaluation" / "benchmarks"


@pytest.fixture(scope="module")
def modules() -> dict[str, ModuleType]:
    loaded = {}
    for name in ("section_files", "section_page", "scans_section", "scans_page"):
        spec = importlib.util.spec_from_file_location(name, BENCHMARKS / f"{name}.py")
        assert spec is not None
        assert spec.loader is not None
        loaded[name] = sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(loaded[name])
    yield loaded  # type: ignore[misc]
    for name in loaded:
        del sys.modules[name]


@pytest.fixture
def folder(modules: dict[str, ModuleType], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(modules["scans_section"], "ROOT", tmp_path)
    monkeypatch.setattr(modules["scans_section"], "BASELINES", tmp_path / "baselines")
    monkeypatch.setattr(modules["scans_section"], "PICTURES", tmp_path / "docs" / "images" / "scans")
    return tmp_path


def written(modules: dict[str, ModuleType], name: str = "pneumonia", **changes: object) -> Path:
    content = {
        "title": "PneumoniaMNIST: use",
        "command": "python x.py",
        "facts": {"n": 4690, "seeds": [0, 1], "seconds": float("nan")},
        "columns": {"who": "trained on", "auc": "AUC", "met": "bar met", "none": "never filled"},
        "rows": [
            {"who": "real", "auc": [0.951, 0.93, 0.97]},
            {"who": "a | b", "auc": [0.91234, 0.9, 0.92], "met": False},
        ],
        "notes": ["A note."],
        "pictures": {"grid": (b"\x89PNG", "Real above.")},
        "more": [{"title": "More", "columns": ["n", "gain"], "rows": [{"n": 50, "gain": -0.01234}]}],
    } | changes
    path: Path = modules["scans_section"].write_section(name, **content)
    return path


def test_a_section_is_written_with_its_pictures_versions_and_no_number_that_json_lacks(
    modules: dict[str, ModuleType], folder: Path
) -> None:
    path = written(modules)
    content = json.loads(path.read_text())
    assert content["facts"]["seconds"] is None
    assert {"torch", "numpy", "python"} <= set(content["facts"]["versions"])
    assert (folder / "docs" / content["pictures"][0]["file"]).read_bytes() == b"\x89PNG"


def test_the_page_has_every_section_in_its_order_and_names_what_is_missing(
    modules: dict[str, ModuleType], folder: Path
) -> None:
    written(modules, "metrics", title="Which score catches what")
    written(modules)
    written(modules, "unheard-of", title="Something else")
    (folder / "baselines" / "other.json").write_text('{"runs": []}')
    page = modules["scans_page"]
    found = page.sections(folder / "baselines")
    assert list(found) == ["pneumonia", "metrics", "unheard-of"]
    text = page.page(found)
    assert "Not measured yet: dicom, reading, mednist, hippocampus" in text
    assert "- [PneumoniaMNIST: use](#pneumoniamnist-use)" in text
    assert "| trained on | AUC | bar met |" in text
    assert "| real | 0.951 (0.930 – 0.970) |  |" in text
    assert "| a \\| b | 0.912 (0.900 – 0.920) | **no** |" in text
    assert "never filled" not in text
    assert "−0.012" in text
    assert "![Real above.](images/scans/pneumonia-grid.png)" in text
    assert "torch " in text


def test_a_page_without_any_section_is_a_page(modules: dict[str, ModuleType], tmp_path: Path) -> None:
    page = modules["scans_page"]
    assert page.page(page.sections(tmp_path)).startswith("# Benchmarks of scans")


def test_a_wrong_name_of_a_section_is_refused(modules: dict[str, ModuleType], folder: Path) -> None:
    with pytest.raises(ValueError, match="small letters"):
        written(modules, "Pneumonia!")
