"""The verbs fit, sample, info and balance on scans, as a user types them."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from phantoms import shapes, write_pictures

from synthkit import load, read_scans
from synthkit.cli import run

QUICK = ("--steps", "2", "--batch", "4", "--widths", "8,8", "--seed", "0", "--quiet")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pictures in a folder for each class, one class with few."""
    place = tmp_path_factory.mktemp("scans") / "pictures"
    scans = shapes(40, 16, classes=2)
    kept = np.flatnonzero((scans.labels == 0) | (np.arange(40) < 20))
    write_pictures(place, scans.take(kept))
    return place


@pytest.fixture(scope="module")
def model(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("models") / "m.synth"
    assert run(["fit", str(folder), "-o", str(path), *QUICK]) == 0
    return path


def refused(words: list[str], capsys: pytest.CaptureFixture[str], *texts: str, code: int = 2) -> None:
    """One sentence on standard error, the right code, nothing else."""
    capsys.readouterr()
    assert run(words) == code
    err = capsys.readouterr().err
    assert len(err.strip().splitlines()) == 1, err
    assert err.startswith("synthkit: ")
    for text in texts:
        assert text in err


class TestFit:
    def test_leaves_a_model_and_nothing_else(self, model: Path) -> None:
        assert os.listdir(model.parent) == ["m.synth"]
        gan = load(model)
        assert gan.classes_ == ("disc", "square")
        assert gan.read_as_ == "png"

    def test_says_what_it_did(self, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        words = [word for word in QUICK if word != "--quiet"]
        assert run(["fit", str(folder), "-o", str(tmp_path / "m.synth"), *words, "--only", "disc"]) == 0
        said = capsys.readouterr()
        assert "disc: 20" in said.out
        assert "peak memory mb" in said.out
        assert "30 files, 30 scans" in said.err
        assert "only 20 scans" in said.err

    @pytest.mark.parametrize(
        ("options", "texts"),
        [
            (["--target", "x"], ["--target is for tables, and", "holds scans", "Leave --target out"]),
            (["--schema", "x.yaml"], ["--schema is for tables"]),
            (["--no-refine"], ["--no-refine is for tables"]),
            (["--size", "huge"], ["size 'huge'", "40x56x40"]),
            (["--window", "5"], ["window '5'"]),
            (["--widths", "a"], ["--widths 'a'"]),
            (["--time-budget", "soon"], ["'soon' is not a duration"]),
            (["--recipe", "r4"], ["r4"]),
            (["--recipe", "cyclegan"], ["--into"]),
            (["--into", "elsewhere"], ["target is for translation"]),
            (["--only", "disk"], ["did you mean 'disc'"]),
            (["--only", "square"], ["there are 10 scans", "at least 20"]),
            (["--labels", "none", "--only", "disc"], ["no classes"]),
            (["--classes", "a,b"], ["without a budget"]),
            (["--device", "cuda:9"], ["no GPU"]),
            (["--resum"], ["--resume"]),
        ],
    )
    def test_wrong_words(
        self, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], options: list[str], texts: list[str]
    ) -> None:
        out = tmp_path / "m.synth"
        words = ["fit", str(folder), "-o", str(out), "--steps", "1", "--seed", "0", "--quiet", *options]
        if "--into" in options:
            words[words.index("elsewhere")] = str(folder)
        refused(words, capsys, *texts)
        assert not list(tmp_path.iterdir())

    def test_scan_options_are_not_for_tables(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        (tmp_path / "t.csv").write_text("a,b\n1,2\n2,3\n")
        for option in (["--recipe", "r3"], ["--size", "64"], ["--slices", "each"], ["--class-balance"]):
            words = ["fit", str(tmp_path / "t.csv"), "-o", str(tmp_path / "m.synth"), *option]
            refused(words, capsys, f"{option[0]} is for scans, and", "holds a table")
        refused(["fit", str(tmp_path / "t.csv"), "-o", str(tmp_path / "m"), "--loss", "hinge"], capsys, "for tables")

    def test_broken_pictures_are_named_and_the_rest_is_used(
        self, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        place = tmp_path / "some"
        write_pictures(place, shapes(30, 16, classes=2))
        victim = sorted(place.rglob("*.png"))[3]
        victim.write_bytes(victim.read_bytes()[:40])
        assert run(["fit", str(place), "-o", str(tmp_path / "m.synth"), *QUICK]) == 0
        assert victim.name in capsys.readouterr().err
        assert load(tmp_path / "m.synth").report_["scans"] == 29

    def test_an_empty_folder(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        (tmp_path / "empty").mkdir()
        refused(["fit", str(tmp_path / "empty"), "-o", str(tmp_path / "m.synth")], capsys)

    def test_nothing_at_the_path(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        refused(["fit", str(tmp_path / "none.npz"), "-o", str(tmp_path / "m.synth")], capsys, "none.npz")


class TestInfo:
    def test_text(self, model: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert run(["info", str(model)]) == 0
        out = capsys.readouterr().out
        for text in ("16 x 16", "disc: 20", "square: 10", "read from", "held out after"):
            assert text in out

    def test_json(self, model: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert run(["info", str(model), "--json"]) == 0
        content = json.loads(capsys.readouterr().out)
        assert content["kind"] == "scans"
        assert content["space"]["classes"] == ["disc", "square"]
        assert content["report"]["scans"] == 30


class TestSample:
    @pytest.mark.parametrize(
        ("format", "suffix"), [("auto", ".png"), ("png", ".png"), ("dicom", ".dcm"), ("npz", ".npz")]
    )
    def test_formats(self, model: Path, tmp_path: Path, format: str, suffix: str) -> None:
        out = tmp_path / "out"
        words = ["sample", str(model), "-n", "5", "--where", "label=disc", "-o", str(out), "--format", format]
        assert run([*words, "--seed", "1", "--quiet"]) == 0
        assert list(out.rglob(f"*{suffix}"))
        assert (out / "provenance.json").exists()
        again = read_scans(out).scans
        drawn = load(model).sample(5, where={"label": "disc"}, random_state=1)
        np.testing.assert_array_equal(again.images[:, 0], drawn.images[:, 0])
        assert [again.classes[label] for label in again.labels] == ["disc"] * 5

    def test_the_same_seed_writes_the_same_bytes(self, model: Path, tmp_path: Path) -> None:
        for name in ("a", "b"):
            words = ["sample", str(model), "-n", "4", "-o", str(tmp_path / name), "--seed", "7", "--format", "dicom"]
            assert run([*words, "--quiet"]) == 0
        first, second = (
            {
                path.relative_to(tmp_path / name): hashlib.sha256(path.read_bytes()).hexdigest()
                for path in (tmp_path / name).rglob("*")
                if path.is_file()
            }
            for name in ("a", "b")
        )
        assert first == second

    def test_provenance_tells_the_model_and_the_seed(self, model: Path, tmp_path: Path) -> None:
        assert run(["sample", str(model), "-n", "2", "-o", str(tmp_path / "out"), "--seed", "7", "--quiet"]) == 0
        told = json.loads((tmp_path / "out" / "provenance.json").read_text())["provenance"]
        assert told["seed"] == 7
        assert told["recipe"] == "r3"
        assert told["weights_sha256"] == hashlib.sha256(model.read_bytes()).hexdigest()

    @pytest.mark.parametrize(
        ("options", "texts"),
        [
            (["--where", "label=disk"], ["did you mean 'disc'"]),
            (["--where", "age=5"], ["unknown condition 'age'"]),
            (["--where", "disc"], ["'disc' is not a condition"]),
            (["--raw"], ["--raw is for tables"]),
            (["--format", "tiff"], ["tiff"]),
            (["--format", "png", "--transfer-syntax", "rle"], ["DICOM"]),
        ],
    )
    def test_wrong_words(
        self, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], options: list[str], texts: list[str]
    ) -> None:
        out = tmp_path / "out"
        refused(["sample", str(model), "-n", "3", "-o", str(out), "--quiet", *options], capsys, *texts)
        assert not list(tmp_path.iterdir())

    def test_a_folder_with_other_things_is_left_alone(
        self, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        (tmp_path / "mine.txt").write_text("keep")
        refused(["sample", str(model), "-n", "3", "-o", str(tmp_path), "--replace"], capsys)
        assert (tmp_path / "mine.txt").read_text() == "keep"

    def test_formats_are_not_for_tables(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        golden = Path(__file__).parents[1] / "golden" / "table-v1.synth"
        words = ["sample", str(golden), "-n", "3", "-o", str(tmp_path / "o.csv"), "--format", "dicom"]
        refused(words, capsys, "--format is for scans, and", "holds a table")


class TestBalance:
    def test_fills_the_rare_class(self, folder: Path, model: Path, tmp_path: Path) -> None:
        out = tmp_path / "added"
        assert run(["balance", str(folder), "--model", str(model), "-o", str(out), "--seed", "1", "--quiet"]) == 0
        added = read_scans(out).scans
        assert len(added) == 10
        assert {added.classes[label] for label in added.labels} == {"square"}

    def test_counts(self, folder: Path, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        words = ["balance", str(folder), "--model", str(model), "-o", str(tmp_path / "added"), "--seed", "1", "--json"]
        assert run([*words, "--counts", "square=13,disc=21", "--quiet"]) == 0
        assert json.loads(capsys.readouterr().out)["synthetic"] == 4

    @pytest.mark.parametrize(
        ("options", "texts"),
        [
            (["--counts", "square=3"], ["has 10 scans, more than the 3"]),
            (["--counts", "squares=30"], ["did you mean 'square'"]),
            (["--counts", "square=10"], ["already"]),
            (["--ratio", "0.5", "--counts", "square=20"], ["Give one of them"]),
            (["--mark", "x"], ["--mark is for tables"]),
            (["--labels", "none"], ["no classes"]),
        ],
    )
    def test_wrong_words(
        self,
        folder: Path,
        model: Path,
        tmp_path: Path,
        capsys: pytest.CaptureFixture[str],
        options: list[str],
        texts: list[str],
    ) -> None:
        words = ["balance", str(folder), "--model", str(model), "-o", str(tmp_path / "added"), "--quiet", *options]
        refused(words, capsys, *texts)
        assert not list(tmp_path.iterdir())


class TestInterruption:
    def started(self, folder: Path, out: Path, *more: str) -> subprocess.Popen[str]:
        words = ["fit", str(folder), "-o", str(out), "--batch", "4", "--widths", "8,8", "--seed", "0", *more]
        return subprocess.Popen(
            [sys.executable, "-c", "from synthkit.cli import main; main()", *words, "--steps", "400"],
            stderr=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def wait_for(self, path: Path, running: subprocess.Popen[str]) -> None:
        began = time.monotonic()
        while not path.exists():
            assert running.poll() is None, running.communicate()
            assert time.monotonic() - began < 100
            time.sleep(0.1)

    def test_ctrl_c_keeps_what_there_is_and_resume_goes_on(self, folder: Path, tmp_path: Path) -> None:
        out, log = tmp_path / "m.synth", tmp_path / "log.jsonl"
        running = self.started(folder, out, "--log", str(log))
        began = time.monotonic()
        while not (log.exists() and "critic and generator" in log.read_text()):
            assert running.poll() is None, running.communicate()
            assert time.monotonic() - began < 100
            time.sleep(0.1)
        running.send_signal(signal.SIGINT)
        _, err = running.communicate(timeout=100)
        assert running.returncode == 130
        assert "Traceback" not in err
        gan = load(out)
        assert gan.report_["interrupted"]
        assert 0 < gan.report_["steps"] < 400
        assert out.with_name("m.synth.checkpoint").exists()
        words = ["fit", str(folder), "-o", str(out), "--batch", "4", "--widths", "8,8", "--seed", "0", "--quiet"]
        assert run([*words, "--steps", "400", "--time-budget", "1s", "--resume"]) == 0
        assert load(out).report_["steps"] >= gan.report_["steps"]
        assert not out.with_name("m.synth.checkpoint").exists()

    def test_a_killed_fit_leaves_its_checkpoint_and_no_half_model(self, folder: Path, tmp_path: Path) -> None:
        out = tmp_path / "m.synth"
        running = self.started(folder, out)
        self.wait_for(tmp_path / "m.synth.checkpoint", running)
        running.kill()
        running.communicate(timeout=60)
        assert not out.exists()
        words = ["fit", str(folder), "-o", str(out), "--batch", "4", "--widths", "8,8", "--seed", "0", "--quiet"]
        assert run([*words, "--steps", "400", "--time-budget", "1s", "--resume"]) == 0
        assert load(out).report_["stages"]["anchor"].partition(" steps")[0].split()[-1] != "0"
