"""Fits of scans: what is learned, told and refused; checkpoints, seeds and the clock."""

from __future__ import annotations

import json
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from phantoms import heads, shapes
from sklearn.base import clone

from synthkit import ScanGAN, ScanSet, load
from synthkit.errors import DataError, InputError, ModelFileError
from synthkit.scans.fitted import joined
from synthkit.testing import check_drawn

QUICK = {"steps": 3, "batch": 4, "widths": (8, 8), "random_state": 0, "verbose": False, "time_budget": None}
pytestmark = pytest.mark.filterwarnings("ignore:there are only")


@pytest.fixture(scope="module")
def scans() -> ScanSet:
    return shapes(36, 16)


@pytest.fixture(scope="module")
def fitted(scans: ScanSet) -> ScanGAN:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return ScanGAN(**QUICK).fit(scans)


class TestTheReport:
    def test_says_what_was_done(self, fitted: ScanGAN, scans: ScanSet) -> None:
        report = fitted.report_
        assert report["scans"] == 36
        assert report["patients"] == 18
        assert report["classes"] == scans.counts()
        assert report["size"] == [16, 16]
        assert report["steps"] == report["planned_steps"] == 3
        assert report["held_out"] >= 2
        assert report["peak_memory_mb"] > 10
        assert report["held_out_before"] <= report["held_out_after"]
        assert not report["interrupted"]
        json.dumps(report)

    def test_says_what_was_left_out(self, scans: ScanSet) -> None:
        more = replace(scans, classes=(*scans.classes, "never seen"))
        found = ScanGAN("dcgan", **QUICK).fit(more)
        assert found.report_["left_out"] == ["the labels: the recipe dcgan knows no classes"]
        assert found.classes_ == ()
        found = ScanGAN(**QUICK).fit(more)
        assert found.report_["left_out"] == ["classes without a scan: never seen"]
        assert found.classes_ == scans.classes

    def test_few_scans_are_warned_of(self, scans: ScanSet) -> None:
        with pytest.warns(UserWarning, match="only 36 scans"):
            ScanGAN(**QUICK).fit(scans)


class TestSizes:
    def test_large_scans_are_resampled_and_say_so(self) -> None:
        large = shapes(22, 160)
        large = replace(large, form=replace(large.form, spacing=(0.5, 0.5)))
        with pytest.warns(UserWarning, match="160 x 160 are resampled to 128 x 128"):
            found = ScanGAN(**{**QUICK, "steps": 1}).fit(large)
        assert found.size_ == (128, 128)
        assert found.form_.spacing == (0.625, 0.625)
        assert found.sample(2, random_state=0).size == (128, 128)

    @pytest.mark.parametrize("size", [(4, 4), (5, 23), (6, 7, 5)])
    def test_any_size_comes_back(self, size: tuple[int, ...]) -> None:
        images = np.random.default_rng(0).integers(0, 255, (24, 1, *size)).astype(np.uint8)
        assert ScanGAN(**QUICK).fit(ScanSet(images)).sample(3, random_state=0).size == size

    def test_a_size_can_be_asked_for(self, scans: ScanSet) -> None:
        drawn = ScanGAN(**QUICK, size=(12, 20)).fit(scans).sample(2, random_state=0)
        assert drawn.size == (12, 20)
        assert drawn.masks.shape == (2, 12, 20)


class TestUnits:
    def test_volumes_in_hu_with_masks(self) -> None:
        volumes = heads(20, (6, 8, 8))
        drawn = ScanGAN(**QUICK, recipe="cgan").fit(volumes).sample(4, random_state=0)
        check_drawn(volumes, drawn, 4)
        assert drawn.form.units == "HU"
        assert drawn.images.dtype == np.int16

    @pytest.mark.parametrize("dtype", [np.uint16, np.int32, np.float32, np.float64, ">i2"])
    def test_the_dtype_comes_back(self, dtype: str) -> None:
        images = np.random.default_rng(0).integers(0, 4000, (24, 1, 8, 8)).astype(dtype)
        form = replace(ScanSet(images).form, bits=12, limits=(0.0, 4095.0))
        drawn = ScanGAN(**QUICK).fit(ScanSet(images, form=form)).sample(3, random_state=0)
        assert drawn.images.dtype == np.dtype(dtype).newbyteorder("=")
        assert 0 <= drawn.images.min() <= drawn.images.max() <= 4095

    def test_colours(self) -> None:
        colours = replace(shapes(24, 8, channels=3), masks=None)
        assert ScanGAN(**QUICK).fit(colours).sample(2, random_state=0).images.shape == (2, 3, 8, 8)

    def test_what_is_clipped_is_told(self, scans: ScanSet) -> None:
        found = ScanGAN(**QUICK, window=(0, 100)).fit(scans)
        assert found.report_["clipped"] > 0.05
        assert found.sample(5, random_state=0).images.max() <= 100


class TestBadInput:
    @pytest.mark.parametrize("n", [0, 1, 19])
    def test_too_few(self, scans: ScanSet, n: int) -> None:
        with pytest.raises(InputError, match=f"there are {n} scans.*at least 20.*Collect more"):
            ScanGAN(**QUICK).fit(scans.take(slice(0, n)))

    def test_values_that_are_no_numbers_name_the_scans(self, scans: ScanSet) -> None:
        images = scans.images.astype(np.float32)
        images[[3, 7]] = np.nan
        with pytest.raises(DataError, match=r"2 of 36 scans have values.*disc-0003, square-0007"):
            ScanGAN(**QUICK).fit(replace(scans, images=images))

    def test_one_patient_cannot_be_held_out_and_is_warned_of(self, scans: ScanSet) -> None:
        with pytest.warns(UserWarning, match="all 36 scans are of 1 patient: some of the same patient are held out"):
            found = ScanGAN(**QUICK).fit(replace(scans, patients=np.array(["p"] * 36)))
        assert found.report_["held_out"] >= 2

    def test_a_share_that_leaves_nothing_is_refused(self, scans: ScanSet) -> None:
        with pytest.raises(InputError, match="36 scans of 18 patients leave"):
            ScanGAN(**QUICK, validation_share=0.9).fit(scans)

    def test_something_else(self) -> None:
        with pytest.raises(InputError, match="expected scans"):
            ScanGAN(**QUICK).fit(np.zeros((30, 8, 8)))

    def test_a_budget_is_needed_for_its_settings(self, scans: ScanSet) -> None:
        with pytest.raises(InputError, match="ledger is given without a budget"):
            ScanGAN(**QUICK, ledger="x").fit(scans)

    @pytest.mark.parametrize(
        ("recipe", "target", "said"), [("cyclegan", False, "nothing to"), ("r3", True, "target is")]
    )
    def test_translation_needs_a_target(self, scans: ScanSet, recipe: str, target: bool, said: str) -> None:
        with pytest.raises(InputError, match=said):
            ScanGAN(**QUICK, recipe=recipe).fit(scans, target=scans if target else None)

    def test_other_held_out_scans(self, scans: ScanSet) -> None:
        with pytest.raises(DataError, match="held-out scans have 3 channels"):
            ScanGAN(**QUICK).fit(scans, holdout=shapes(20, 16, channels=3))


def test_given_held_out_scans_are_used(scans: ScanSet) -> None:
    found = ScanGAN(**QUICK).fit(scans, holdout=shapes(12, 24, seed=5))
    assert found.report_["held_out"] == 12
    assert found.report_["scans"] == 36


class TestCheckpoints:
    def test_a_fit_that_was_cut_goes_on_to_the_same_weights(self, scans: ScanSet, tmp_path: Path) -> None:
        settings = {**QUICK, "steps": 8}
        whole = ScanGAN(**settings).fit(scans)
        path = tmp_path / "fit.checkpoint"
        stopped = ScanGAN(**settings)
        stop_after(3, lambda: stopped.fit(scans, checkpoint=path))
        assert path.exists()
        assert stopped.report_["interrupted"]
        assert stopped.report_["steps"] == 3
        again = clone(stopped).fit(scans, checkpoint=path, resume=True)
        assert again.report_["steps"] == 8
        np.testing.assert_array_equal(whole.sample(5, random_state=1).images, again.sample(5, random_state=1).images)

    def test_without_a_seed_it_goes_on_with_that_of_the_checkpoint(self, scans: ScanSet, tmp_path: Path) -> None:
        path = tmp_path / "fit.checkpoint"
        settings = {**QUICK, "random_state": None, "steps": 6}
        stop_after(2, lambda: ScanGAN(**settings).fit(scans, checkpoint=path))
        assert ScanGAN(**settings).fit(scans, checkpoint=path, resume=True).report_["steps"] == 6

    def test_that_of_another_fit_is_refused(self, scans: ScanSet, tmp_path: Path) -> None:
        path = tmp_path / "fit.checkpoint"
        stop_after(2, lambda: ScanGAN(**QUICK).fit(scans, checkpoint=path))
        with pytest.raises(InputError, match="belongs to another fit: recipe was 'r3' and is now 'cgan'"):
            ScanGAN(**QUICK, recipe="cgan").fit(scans, checkpoint=path, resume=True)
        with pytest.raises(InputError, match="belongs to another fit: data was"):
            ScanGAN(**QUICK).fit(scans.take(slice(0, 30)), checkpoint=path, resume=True)


def stop_after(step: int, fit) -> None:
    """Ask the fit to stop, as Ctrl-C does, when a step has been taken."""
    import os
    import signal

    from synthkit.gan.images.stage import ImageStage

    original = ImageStage.step

    def stepped(self, index: int):
        losses = original(self, index)
        if index + 1 == step:
            os.kill(os.getpid(), signal.SIGINT)
        return losses

    ImageStage.step = stepped
    try:
        fit()
    finally:
        ImageStage.step = original


class TestDrawing:
    def test_the_stream_is_what_sample_gives(self, fitted: ScanGAN) -> None:
        whole = fitted.sample(9, random_state=2)
        parts = list(fitted.iter_sample(9, random_state=2, batch=4))
        assert [len(part) for part in parts] == [4, 4, 1]
        assert joined(parts, parts[0]).names == whole.names

    def test_classes_keep_their_proportions(self, scans: ScanSet) -> None:
        found = ScanGAN(**QUICK).fit(scans.take(np.flatnonzero((scans.labels == 0) | (np.arange(36) < 12))))
        drawn = found.sample(200, random_state=0)
        assert drawn.counts()["disc"] > 2 * drawn.counts()["square"] * 0.8

    def test_balance_fills_rare_classes(self, fitted: ScanGAN, scans: ScanSet) -> None:
        rare = scans.take(np.flatnonzero((scans.labels != 1) | (np.arange(36) < 6)))
        found = fitted.balance(rare, random_state=0)
        assert set(found.counts().values()) == {12}
        np.testing.assert_array_equal(found.images[: len(rare)], rare.images)
        assert list(found.patients[: len(rare)]) == list(rare.patients)
        assert len(set(found.patients[len(rare) :])) == len(found) - len(rare)

    def test_balance_tells_what_does_not_fit(self, fitted: ScanGAN, scans: ScanSet) -> None:
        with pytest.raises(InputError, match="no labels"):
            fitted.balance(replace(scans, labels=None))
        with pytest.raises(InputError, match="did you mean 'disc'"):
            fitted.balance(scans, counts={"disk": 50})
        with pytest.raises(InputError, match="has 12 scans, more than the 3"):
            fitted.balance(scans, counts={"disc": 3})
        with pytest.raises(DataError, match="24 x 24"):
            fitted.balance(shapes(30, 24), counts={"disc": 50})
        with pytest.raises(DataError, match="unknown class 'ring'"):
            fitted.balance(shapes(40, 16, classes=4), counts={"ring": 50})


class TestTheFile:
    def test_a_path_is_read_and_its_format_kept(self, tmp_path: Path, scans: ScanSet) -> None:
        np.savez(tmp_path / "s.npz", images=scans.images[:, 0], labels=scans.labels, classes=np.array(scans.classes))
        found = ScanGAN(**QUICK).fit(tmp_path / "s.npz")
        found.save(tmp_path / "m.synth")
        assert load(tmp_path / "m.synth").read_as_ == "npz"

    def test_a_table_is_no_model_of_scans(self) -> None:
        with pytest.raises(ModelFileError, match="holds a 'table'"):
            ScanGAN.load(Path(__file__).parents[1] / "golden" / "table-v1.synth")

    def test_a_notebook_shows_it(self, fitted: ScanGAN) -> None:
        assert "fitted to 36 scans of 16 x 16" in fitted._repr_html_()
        assert "not fitted yet" in ScanGAN()._repr_html_()

    def test_pictures_are_written_while_training(self, scans: ScanSet, tmp_path: Path) -> None:
        ScanGAN(**QUICK, pictures=tmp_path / "p").fit(scans)
        found = sorted((tmp_path / "p").glob("*.png"))
        assert len(found) == 4
        assert found[-1].name == "step-000003.png"
        assert found[0].read_bytes()[:4] == b"\x89PNG"
