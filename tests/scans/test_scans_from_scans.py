"""Super-resolution, translation, in-painting and anomaly scores, on phantoms and with the smallest networks."""

from __future__ import annotations

import dataclasses
import warnings

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import synthkit
from synthkit.errors import DataError, InputError
from synthkit.random import RandomSource
from synthkit.scans.anomaly import COUNTED, READINGS
from synthkit.scans.anomaly_features import Neighbours, appearance, one_contrast
from synthkit.scans.from_scans import parts_of
from synthkit.scans.gan import ScanGAN
from synthkit.scans.inpainting import drawn_holes, filled_smoothly
from synthkit.scans.similarity import psnr
from synthkit.scans.superresolution import lowered
from tests.shared.phantoms import heads, shapes

SMALL = {"widths": (8, 8, 8), "batch": 4, "time_budget": None, "random_state": 0, "device": "cpu", "verbose": False}


def fitted(recipe, scans, *, steps=6, target=None, holdout=None, **settings):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # few scans
        return ScanGAN(recipe, steps=steps, **{**SMALL, **settings}).fit(scans, target=target, holdout=holdout)


def negative(scans):
    """The same pictures with black and white exchanged, 16 bits deep."""
    form = dataclasses.replace(scans.form, modality="MR", bits=12, limits=(0.0, 4095.0))
    return dataclasses.replace(scans, images=((255 - scans.images.astype(np.int16)) * 16).astype(np.int16), form=form)


@pytest.fixture(scope="module")
def scans():
    return shapes(40, 16)


@pytest.fixture(scope="module")
def volumes():
    return heads(24, (8, 8, 8))


@pytest.fixture(scope="module")
def finer(scans):
    return fitted("srgan", scans, factor=2)


@pytest.fixture(scope="module")
def filler(scans):
    return fitted("inpaint", scans)


@pytest.fixture(scope="module")
def both_ways(scans):
    return fitted("cyclegan", scans, target=negative(shapes(40, 16, seed=1)), steps=3)


@pytest.fixture(scope="module")
def detector(scans):
    return fitted("fanogan", scans, steps=60)


# ------------------------------------------------------------ super-resolution


def test_a_lower_resolution_is_a_mean():
    images = torch.arange(16.0).reshape(1, 1, 4, 4)
    assert lowered(images, 2).flatten().tolist() == [2.5, 4.5, 10.5, 12.5]
    assert lowered(torch.ones(1, 1, 4, 4, 4), 4).flatten().tolist() == [1.0]


def test_finer_scans_keep_everything_but_the_resolution(scans, finer):
    coarse = dataclasses.replace(scans.take(range(5)), form=dataclasses.replace(scans.form, spacing=(1.5, 2.0)))
    made = finer.superresolve(coarse)
    assert made.images.shape == (5, 1, 32, 32)
    assert made.images.dtype == coarse.images.dtype
    assert made.form.spacing == (0.75, 1.0)
    assert made.names == coarse.names
    assert made.patients.tolist() == coarse.patients.tolist()
    assert made.labels.tolist() == coarse.labels.tolist()
    assert np.array_equal(made.masks[:, ::2, ::2], coarse.masks)
    assert not np.array_equal(made.images, finer.superresolve(coarse, sharp=False).images)


def test_any_size_can_be_made_finer(scans, finer):
    odd = dataclasses.replace(scans.take([0]), images=scans.images[:1, :, :7, :13], masks=None)
    assert finer.superresolve(odd).images.shape == (1, 1, 14, 26)
    # what a network makes of a part does not depend on the other scans of the set
    several = finer.superresolve(scans.take(range(6)))
    assert np.array_equal(finer.superresolve(scans.take([3])).images[0], several.images[3])


def test_training_beats_interpolation():
    model = fitted("srgan", shapes(160, 16), steps=400, widths=(16, 16), batch=8)
    report = model.report_["held_out_psnr"]
    assert report["faithful"] > report["interpolation"]
    assert set(model.report_["held_out_likeness"]) == {"faithful", "sharp"}
    assert model.report_["held_out_likeness"]["sharp"] >= model.report_["held_out_likeness"]["faithful"]


def test_volumes_can_be_made_finer(volumes):
    model = fitted("srgan", volumes, steps=2)
    made = model.superresolve(volumes.take([0]))
    assert made.images.shape == (1, 1, 16, 16, 16)
    assert made.form.spacing == (1.5, 0.5, 0.5)
    assert made.images.dtype == np.int16


@pytest.mark.parametrize("factor", [5, 4])
def test_factors_that_do_not_fit(scans, factor):
    small = dataclasses.replace(scans, images=scans.images[:, :, :12, :12], masks=None)
    with pytest.raises(InputError, match=f"{factor}"):
        fitted("srgan", small, factor=factor)


# ------------------------------------------------------------ in-painting


@given(value=st.floats(-1, 1), seed=st.integers(0, 20))
def test_a_constant_is_filled_with_itself(value, seed):
    holes = drawn_holes(2, (9, 14), RandomSource(seed).torch("holes"))
    images = torch.full((2, 1, 9, 14), value)
    images[holes.bool()] = 99.0  # is not looked at
    assert torch.allclose(filled_smoothly(images, holes), torch.full_like(images, value), atol=1e-5)


@pytest.mark.parametrize("size", [(12, 16), (8, 8, 10)])
def test_holes_are_there_and_not_everywhere(size):
    holes = drawn_holes(200, size, RandomSource(0).torch("holes")).flatten(1).mean(1)
    assert holes.shape == (200,)
    assert float(holes.max()) < 0.5
    assert 0.01 < float(holes.mean()) < 0.3


def test_what_is_not_missing_comes_back_unchanged(scans, filler):
    some = scans.take(range(6))
    where = np.zeros((6, 16, 16), bool)
    where[:, 4:9, 5:12] = True
    made = filler.impute(some, where)
    assert np.array_equal(made.images[:, 0][~where], some.images[:, 0][~where])
    assert made.images.dtype == some.images.dtype
    assert made.names == some.names
    # what was in the holes does not matter
    other = some.images.copy()
    other[:, 0][where] = 255
    assert np.array_equal(filler.impute(dataclasses.replace(some, images=other), where).images, made.images)
    assert not np.array_equal(filler.impute(some, where, sharp=False).images, made.images)


def test_no_numbers_in_holes_only(scans, filler):
    some = dataclasses.replace(scans.take([0]), images=scans.images[:1].astype(np.float32))
    where = np.zeros((1, 16, 16), np.uint8)
    where[0, 3, 3] = 1
    some.images[0, 0, 3, 3] = np.nan
    assert np.isfinite(filler.impute(some, where).images).all()
    some.images[0, 0, 8, 8] = np.nan
    with pytest.raises(DataError, match="no numbers"):
        filler.impute(some, where)


def test_holes_that_do_not_fit(scans, filler):
    with pytest.raises(DataError, match=r"\(40, 16, 15\)"):
        filler.impute(scans, np.zeros((40, 16, 15)))
    with pytest.raises(DataError, match="disc-0000 is nothing but a hole"):
        filler.impute(scans, np.ones((40, 16, 16)))


def test_filling_learns(scans):
    model = fitted("inpaint", scans, steps=120, widths=(16, 16, 16), batch=8)
    report = model.report_["held_out_psnr"]
    assert report["faithful"] > report["smooth"]


def test_volumes_can_be_filled(volumes):
    model = fitted("inpaint", volumes, steps=2)
    where = np.zeros((1, 8, 8, 8), bool)
    where[0, 2:4] = True
    made = model.impute(volumes.take([0]), where)
    assert np.array_equal(made.images[0, 0][~where[0]], volumes.images[0, 0][~where[0]])


# ------------------------------------------------------------ translation


def test_translations_are_in_the_units_of_the_other_kind(scans, both_ways):
    source = dataclasses.replace(scans.take(range(4)), form=dataclasses.replace(scans.form, spacing=(1.5, 2.0)))
    forth = both_ways.translate(source)
    assert forth.images.shape == source.images.shape
    assert forth.images.dtype == np.int16
    assert forth.form.modality == "MR"
    assert forth.form.spacing == (1.5, 2.0)
    assert forth.names == source.names
    assert forth.patients.tolist() == source.patients.tolist()
    back = both_ways.translate(forth, reverse=True)
    assert back.images.dtype == np.uint8
    assert back.form == source.form


def test_translating_alone_or_together_is_the_same(scans, both_ways):
    together = both_ways.translate(scans)
    assert np.array_equal(both_ways.translate(scans.take([7])).images[0], together.images[7])


def test_pairs_are_learned(scans):
    target = negative(scans)
    model = fitted("cyclegan", scans, target=target, steps=80, widths=(16, 16, 16), batch=8, paired=True)
    assert model.report_["paired"] is True
    made = model.translate(scans)
    identity = scans.images.astype(float) * 16
    assert psnr(made.images, target.images, 4080.0).mean() > psnr(identity, target.images, 4080.0).mean() + 3


def test_pairs_are_held_out_as_pairs(scans, monkeypatch):
    """Also where only one side says who the patients are."""
    from synthkit.scans import translation

    seen = {}

    def keep(context):
        seen["context"] = context
        raise InputError("enough")

    monkeypatch.setattr(translation, "fit_translation", keep)
    nameless = dataclasses.replace(negative(scans), patients=None)
    with pytest.raises(InputError, match="enough"):
        fitted("cyclegan", scans, target=nameless, paired=True)
    context = seen["context"]
    for own, other in ((context.training, context.target), (context.held_out, context.held_out_target)):
        assert np.array_equal((255 - own.stored.astype(np.int16)) * 16, other.stored)
    with pytest.raises(InputError, match="held out as pairs"):
        fitted("cyclegan", scans, target=nameless, paired=True, holdout=scans)


def test_volumes_and_other_channels_can_be_translated(volumes):
    two = dataclasses.replace(volumes, images=np.concatenate([volumes.images, -volumes.images], 1), masks=None)
    model = fitted("cyclegan", volumes, target=two, steps=2)
    made = model.translate(volumes.take([0, 1]))
    assert made.images.shape == (2, 2, 8, 8, 8)
    assert model.translate(made, reverse=True).images.shape == (2, 1, 8, 8, 8)


def test_translation_needs_a_target(scans):
    with pytest.raises(InputError, match="translate into"):
        fitted("cyclegan", scans)


# ------------------------------------------------------------ anomalies


@given(gain=st.floats(0.2, 3), offset=st.floats(-0.5, 0.5))
def test_contrast_does_not_matter(gain, offset):
    images = torch.randn(3, 1, 8, 8, generator=RandomSource(0).torch("images")) * 0.2
    assert torch.allclose(one_contrast(images * gain + offset), one_contrast(images), atol=1e-4)


def test_edges_are_compared_by_the_correlation_of_gradients():
    images = torch.randn(2, 1, 16, 16, generator=RandomSource(0).torch("images"))
    one, other = appearance(images, contrast_counts=False)
    assert np.square(one).sum() == pytest.approx(1)
    correlation = float(np.corrcoef(one.ravel(), other.ravel())[0, 1])
    # the means of gradients are about zero, so that a correlation and a product are about the same
    assert np.square(one - other).sum() == pytest.approx(2 - 2 * correlation, abs=0.02)
    assert appearance(images * 0.3 + 0.2, contrast_counts=False)[0] == pytest.approx(one, abs=1e-6)
    weaker, whole = (appearance(images * gain, contrast_counts=True)[0] for gain in (0.3, 1.0))
    assert weaker == pytest.approx(0.3 * whole, abs=1e-6)
    assert appearance(torch.zeros(1, 1, 8, 8, 8), contrast_counts=False).shape == (1, 3, 8, 8, 8)
    assert not appearance(torch.ones(1, 1, 8, 8), contrast_counts=False).any()


@given(seed=st.integers(0, 30), n=st.integers(2, 12), features=st.integers(1, 8))
def test_the_nearest_training_scan_is_found(seed, n, features):
    known = RandomSource(seed).numpy("known").normal(size=(n, features))
    new = RandomSource(seed).numpy("new").normal(size=(5, features))
    # whatever lies outside of the directions that are kept is added, so that the nearest distance is exact with all
    neighbours = Neighbours.of(known, 20)
    by_hand = [np.linalg.norm(known - one, axis=1).min() for one in new]
    assert neighbours.distances(new) == pytest.approx(by_hand, abs=1e-6)
    assert neighbours.distances(known) == pytest.approx(np.zeros(n), abs=1e-6)
    assert Neighbours.from_arrays(neighbours.arrays()).distances(new) == pytest.approx(by_hand, abs=1e-3)


def test_scores_of_scans(scans, detector):
    found = detector.anomaly_scores(scans)
    assert len(found) == 40
    assert set(found.parts) == set(READINGS)
    assert found.total == pytest.approx(np.mean([found.parts[name] for name in COUNTED], axis=0))
    assert found.heat.shape == (40, 16, 16)
    assert (found.heat >= 0).all()
    assert ((found.share > 0) & (found.share <= 1)).all()
    order = found.order()
    assert (np.diff(found.total[order]) <= 0).all()
    assert (np.diff(found.share[order]) >= 0).all()
    assert [row["scan"] for row in found.rows()] == list(scans.names)
    assert found.rows()[3]["score"] == pytest.approx(found.total[3], abs=1e-6)


def test_a_planted_patch_is_unusual_and_found(scans, detector):
    planted = scans.take(range(10))
    images = planted.images.copy()
    images[:, 0, 1:5, 1:5] = 255
    clean, odd = detector.anomaly_scores(planted), detector.anomaly_scores(dataclasses.replace(planted, images=images))
    assert (odd.total > clean.total).mean() >= 0.9
    inside, outside = odd.heat[:, 1:5, 1:5].mean(), odd.heat[:, 8:, 8:].mean()
    assert inside > 3 * outside


def test_scores_do_not_depend_on_exposure(scans, detector):
    darker = dataclasses.replace(scans, images=scans.images.astype(np.float32) * 0.5 + 10)
    assert detector.anomaly_scores(darker).total == pytest.approx(detector.anomaly_scores(scans).total, abs=0.05)


def test_scans_with_units_keep_their_contrast(volumes):
    model = fitted("fanogan", volumes, steps=2)
    found = model.anomaly_scores(volumes.take([0, 1]))
    assert found.heat.shape == (2, 8, 8, 8)
    weaker = dataclasses.replace(volumes, images=volumes.images // 2)
    assert (np.abs(model.anomaly_scores(weaker).total - model.anomaly_scores(volumes).total) > 0.1).all()


# ------------------------------------------------------------ all of them


@pytest.mark.parametrize("which", ["finer", "filler", "both_ways", "detector"])
def test_a_saved_model_gives_the_same(which, scans, request, tmp_path):
    model = request.getfixturevalue(which)
    model.save(tmp_path / "model.synth")
    again = synthkit.load(tmp_path / "model.synth")
    where = np.zeros((3, 16, 16), bool)
    where[:, :4, :4] = True
    some = scans.take(range(3))
    uses = {
        "finer": lambda one: one.superresolve(some).images,
        "filler": lambda one: one.impute(some, where).images,
        "both_ways": lambda one: one.translate(some).images,
        "detector": lambda one: one.anomaly_scores(some).heat,
    }
    assert np.array_equal(uses[which](again), uses[which](model))
    with pytest.raises(InputError, match="cannot draw"):
        model.sample(1)


def test_same_seed_same_scans(scans):
    one, other = (fitted("srgan", scans, steps=3).superresolve(scans.take([0])).images for _ in range(2))
    assert np.array_equal(one, other)


@pytest.mark.parametrize(
    ("which", "use"),
    [
        ("finer", lambda model, scans: model.translate(scans)),
        ("filler", lambda model, scans: model.superresolve(scans)),
        ("both_ways", lambda model, scans: model.impute(scans, scans.masks)),
        ("finer", lambda model, scans: model.anomaly_scores(scans)),
    ],
)
def test_a_model_of_another_recipe(which, use, scans, request):
    with pytest.raises(InputError, match=r"a model of the recipe '\w+' cannot .*[Ff]it one with the recipe"):
        use(request.getfixturevalue(which), scans)


def test_scans_of_another_kind(scans, volumes, finer, detector):
    with pytest.raises(DataError, match="1 x 8 x 8 x 8"):
        finer.superresolve(volumes)
    hounsfield = dataclasses.replace(scans, form=dataclasses.replace(scans.form, modality="CT", units="HU"))
    with pytest.raises(DataError, match="in HU"):
        finer.superresolve(hounsfield)
    with pytest.raises(DataError, match=r"size=\(16, 16\)"):
        detector.anomaly_scores(shapes(4, 24))


def test_memory_is_bounded():
    parts = list(parts_of((1000, 1, 512, 512)))
    assert max(part.stop - part.start for part in parts) * 512 * 512 <= 2**21
    assert [i for part in parts for i in range(part.start, part.stop)] == list(range(1000))
