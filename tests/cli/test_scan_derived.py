"""The verbs that make scans from scans, and scores of scans: through the command line, on pictures and volumes."""

from __future__ import annotations

import csv
import json
import warnings

import numpy as np
import pytest
from PIL import Image

import synthkit
from synthkit.cli import run
from synthkit.io.scans import read_scans
from synthkit.scans.gan import ScanGAN
from tests.shared.phantoms import heads, shapes, write_heads, write_pictures

SMALL = {"widths": (8, 8, 8), "batch": 4, "steps": 3, "time_budget": None, "random_state": 0, "verbose": False}


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder of pictures, one of masks, and a model of each recipe."""
    folder = tmp_path_factory.mktemp("derived")
    scans = shapes(24, 16)
    write_pictures(folder / "pictures", scans)
    write_pictures(folder / "other", shapes(24, 16, seed=1))
    for i, name in enumerate(scans.names):
        mask = np.zeros((16, 16), np.uint8)
        mask[2:7, 3 : 8 + i % 4] = 255
        (folder / "holes").mkdir(exist_ok=True)
        Image.fromarray(mask).save(folder / "holes" / f"{name}.png")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # few scans
        for recipe in ("srgan", "inpaint", "fanogan", "cyclegan"):
            target = shapes(24, 16, seed=1) if recipe == "cyclegan" else None
            ScanGAN(recipe, device="cpu", **SMALL).fit(scans, target=target).save(folder / f"{recipe}.synth")
    return folder


def sources(folder):
    with open(folder / "sources.csv", newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_finer_pictures(place, tmp_path, capsys):
    out = tmp_path / "fine"
    assert run(["superresolve", str(place / "srgan.synth"), str(place / "pictures"), "-o", str(out)]) == 0
    said = capsys.readouterr().err
    assert "24 scans of 32 x 32" in said
    assert "still show the patients" in said
    made = read_scans(out).scans
    assert made.images.shape == (24, 1, 32, 32)
    assert made.counts() == {"cross": 8, "disc": 8, "square": 8}
    named = sources(out)
    assert len(named) == 24
    assert {row["source"].split("/")[-1].split("-")[0] for row in named} == {"disc", "square", "cross"}
    content = json.loads((out / "provenance.json").read_text())
    assert content["provenance"]["from_scans"] is True
    other = tmp_path / "faithful"
    arguments = ["superresolve", str(place / "srgan.synth"), str(place / "pictures"), "-o", str(other), "--faithful"]
    assert run([*arguments, "--quiet"]) == 0
    assert not np.array_equal(read_scans(other).scans.images, made.images)


def test_translated_pictures_there_and_back(place, tmp_path, capsys):
    there, back = tmp_path / "there", tmp_path / "back"
    model = str(place / "cyclegan.synth")
    assert run(["translate", model, str(place / "pictures"), "-o", str(there)]) == 0
    assert run(["translate", model, str(there), "-o", str(back), "--reverse", "--format", "npz"]) == 0
    assert "24 translated scans" in capsys.readouterr().err
    assert read_scans(there).scans.images.shape == (24, 1, 16, 16)
    assert len(read_scans(next(back.glob("*.npz"))).scans) == 24


def test_other_scans_get_other_identifiers(place, tmp_path):
    model = str(place / "cyclegan.synth")
    for name in ("pictures", "other"):
        assert run(["translate", model, str(place / name), "-o", str(tmp_path / name), "--quiet"]) == 0
    seeds = [
        json.loads((tmp_path / name / "provenance.json").read_text())["provenance"] for name in ("pictures", "other")
    ]
    assert seeds[0]["seed"] != seeds[1]["seed"]
    assert seeds[0]["weights_sha256"] == seeds[1]["weights_sha256"]


def test_filled_holes(place, tmp_path, capsys):
    out = tmp_path / "filled"
    arguments = ["impute", str(place / "pictures"), "--holes", str(place / "holes"), "-o", str(out)]
    assert run([*arguments, "--model", str(place / "inpaint.synth")]) == 0
    assert "% of their samples filled" in capsys.readouterr().err
    given = read_scans(place / "pictures", masks=place / "holes").scans
    made = read_scans(out).scans
    by_source = {row["source"]: position for position, row in enumerate(sources(out))}
    order = [by_source[name] for name in given.names]
    outside = given.masks == 0
    assert np.array_equal(made.images[order][:, 0][outside], given.images[:, 0][outside])
    assert made.masks is None


def test_scores_and_heat_maps(place, tmp_path, capsys):
    table, maps = tmp_path / "scores.csv", tmp_path / "maps"
    arguments = ["score", str(place / "fanogan.synth"), str(place / "pictures")]
    assert run([*arguments, "-o", str(table), "--heat-maps", str(maps)]) == 0
    with open(table, newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 24
    assert set(rows[0]) == {"scan", "score", "share", "reconstruction", "features", "neighbours"}
    assert len(list(maps.glob("0*.png"))) == 24
    assert (maps / "most-unusual.png").exists()
    with Image.open(maps / "000001.png") as picture:
        assert picture.size == (16, 16)
        assert picture.mode == "RGB"
    capsys.readouterr()
    assert run(arguments) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "the 10 most unusual of 24 scans"
    assert len(lines) == 11
    assert run([*arguments, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["scans"] == 24
    assert found["most_unusual"][0]["score"] == max(found["scores"])


def test_volumes_in_dicom(tmp_path, capsys):
    """CT series in, CT series out: geometry in millimetres stays, values are in HU, and maps are NIfTI."""
    import nibabel

    write_heads(tmp_path / "ct", heads(20, (8, 16, 16)))
    fit = ["fit", str(tmp_path / "ct"), "--widths", "8,8", "--batch", "4", "--steps", "2", "--seed", "0", "--quiet"]
    for recipe in ("srgan", "fanogan"):
        assert run([*fit, "--recipe", recipe, "--device", "cpu", "-o", str(tmp_path / f"{recipe}.synth")]) == 0
    capsys.readouterr()
    out = tmp_path / "fine"
    assert run(["superresolve", str(tmp_path / "srgan.synth"), str(tmp_path / "ct"), "-o", str(out)]) == 0
    given, made = read_scans(tmp_path / "ct").scans, read_scans(out).scans
    assert made.form.units == "HU"
    assert made.size == tuple(2 * length for length in given.size)
    extents = [np.multiply(scans.size, scans.form.spacing) for scans in (given, made)]
    assert extents[0] == pytest.approx(extents[1])
    maps = tmp_path / "maps"
    score = ["score", str(tmp_path / "fanogan.synth"), str(tmp_path / "ct"), "--heat-maps", str(maps), "--json"]
    assert run(score) == 0
    files = sorted(maps.glob("*.nii.gz"))
    assert len(files) == 20
    assert nibabel.load(files[0]).shape == given.size[::-1]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["superresolve", "MODEL/cyclegan.synth", "DATA", "-o", "OUT"], "'cyclegan' cannot super-resolve"),
        (["translate", "MODEL/srgan.synth", "DATA", "-o", "OUT"], "'srgan' cannot translate"),
        (["score", "MODEL/srgan.synth", "DATA"], "'srgan' cannot score"),
        (["score", "MODEL/fanogan.synth", "DATA", "--explain", "2"], "--explain is for tables"),
        (["impute", "DATA", "-o", "OUT", "--holes", "DATA"], "model of other scans"),
        (["impute", "DATA", "-o", "OUT", "--model", "MODEL/inpaint.synth"], "where the scans have holes"),
        (["impute", "DATA", "-o", "OUT", "--multiple", "3"], "--multiple is for tables"),
        (["impute", "TABLE", "-o", "OUT", "--holes", "DATA"], "--holes is for scans"),
        (["translate", "MODEL/cyclegan.synth", "TABLE", "-o", "OUT"], "holds a table, expected scans"),
        (["translate", "MODEL/none.synth", "DATA", "-o", "OUT"], "none.synth"),
    ],
)
def test_what_cannot_be_done(place, tmp_path, capsys, arguments, words):
    table = tmp_path / "people.csv"
    table.write_text("a,b\n1,\n2,3\n")
    out = tmp_path / "out"
    named = {"OUT": str(out), "DATA": str(place / "pictures"), "TABLE": str(table)}
    words_of = [named.get(word, word.replace("MODEL", str(place))) for word in arguments]
    assert run(words_of) == 2
    said = capsys.readouterr().err.strip()
    assert words in said
    assert len(said.splitlines()) == 1
    assert not out.exists()


def test_a_full_folder_is_not_touched(place, tmp_path, capsys):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years")
    arguments = ["superresolve", str(place / "srgan.synth"), str(place / "pictures"), "-o", str(tmp_path / "mine")]
    for more in ([], ["--replace"]):
        assert run([*arguments, *more]) == 2
        assert "synthkit did not write it" in capsys.readouterr().err
    assert (tmp_path / "mine" / "thesis.txt").read_text() == "years"


def test_models_open_as_what_they_are(place):
    assert isinstance(synthkit.load(place / "srgan.synth"), ScanGAN)
