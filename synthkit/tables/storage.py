"""The model file of a table generator: one archive of JSON, arrays and trees as text; nothing in it is executed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from synthkit.archive import read_archive, write_archive
from synthkit.errors import ModelFileError
from synthkit.gan.boosting import BoostedRatio
from synthkit.gan.kept_critic import KeptCritic
from synthkit.gan.layout import Layout
from synthkit.gan.network import NetworkGenerator
from synthkit.gan.population import Particles
from synthkit.gan.prediction import TargetPredictor
from synthkit.gan.table import CodeTable
from synthkit.tables.encoder import TableEncoder
from synthkit.tables.fitted import FittedTable

KIND = "table"


def save(fitted: FittedTable, settings: Mapping[str, Any], path: str | Path) -> None:
    """Write a model file, whole or not at all.

    Raises
    ------
    OutputError
        The path cannot be written.
    """
    fields, encoder_arrays = fitted.encoder.state()
    tensors: dict[str, dict[str, np.ndarray]] = {"encoder": encoder_arrays, "layout": fitted.layout.state()}
    texts: dict[str, str] = {}
    manifest: dict[str, Any] = {
        "kind": KIND,
        "settings": dict(settings),
        "encoder": fields,
        "report": fitted.report,
    }
    if fitted.privacy is not None:
        manifest["privacy"] = fitted.privacy
    if fitted.table is not None:
        tensors["codes"] = {"log_theta": fitted.table.log_theta, "log_weights": fitted.table.log_weights}
    if fitted.ratio is not None and fitted.particles is not None:
        particles = fitted.particles
        tensors["refinement"] = {
            "tilts": fitted.ratio.tilts,
            "codes": particles.codes.astype(np.uint16 if particles.codes.max(initial=0) < 2**16 else np.int64),
            "symbols": particles.symbols.astype(np.uint16 if fitted.layout.sizes.max(initial=0) < 2**16 else np.int32),
            "positions": particles.positions,
            "energy": particles.energy,
            "folds": particles.folds,
        }
        texts.update(fitted.ratio.texts())
        if isinstance(fitted.ratio.predictor, TargetPredictor):
            manifest["target_predictor"] = fitted.ratio.predictor.fields()
            texts.update(fitted.ratio.predictor.texts())
    if fitted.network is not None:
        manifest["network"], tensors["network"] = fitted.network.save_state()
    if fitted.critic is not None:
        manifest["critic"], tensors["critic"] = fitted.critic.save_state()
    write_archive(path, manifest, tensors=tensors, texts=texts)


def load(path: str | Path, device: str = "cpu") -> tuple[FittedTable, dict[str, Any]]:
    """Read a model file: what was fitted, and the settings of the estimator.

    Raises
    ------
    ModelFileError
        Not a model of a table, truncated, changed, or from a newer version.
    """
    archive = read_archive(path)
    manifest, tensors = archive.manifest, archive.tensors
    if manifest.get("kind") != KIND:
        raise ModelFileError(
            f"'{path}' holds a {manifest.get('kind')!r}, expected a model of a table",
            remedy="open it with synthkit.load",
        )
    try:
        encoder = TableEncoder.from_state(manifest["encoder"], tensors.get("encoder", {}))
        layout = Layout.from_state(tensors["layout"])
        fitted = FittedTable(encoder, layout, report=dict(manifest["report"]))
        fitted.privacy = manifest.get("privacy")
        if "codes" in tensors:
            stored = tensors["codes"]
            fitted.table = CodeTable(stored["log_theta"], stored["log_weights"], layout.sizes.tolist())
        if "refinement" in tensors:
            stored = tensors["refinement"]
            fitted.ratio = BoostedRatio(layout)
            fitted.ratio.load(archive.texts, stored["tilts"])
            if "target_predictor" in manifest:
                fitted.ratio.predictor = TargetPredictor.load(manifest["target_predictor"], archive.texts)
            fitted.particles = Particles(
                stored["codes"].astype(np.int64),
                stored["symbols"].astype(np.int32),
                stored["positions"],
                stored["energy"],
                stored["folds"],
            )
        if "network" in tensors:
            fitted.network = NetworkGenerator.from_saved(manifest["network"], tensors["network"], device)
        if "critic" in tensors:
            fitted.critic = KeptCritic.from_saved(manifest["critic"], tensors["critic"], layout)
        settings = dict(manifest["settings"])
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise ModelFileError(
            f"'{path}' lacks a part of the model ({type(error).__name__}: {error})", remedy="fit the model again"
        ) from error
    return fitted, settings
