"""Synthetic tables and medical scans that keep the shape of the real ones: fit, sample, balance, evaluate, audit.

The public names are loaded when they are first used, so that ``import synthkit`` and ``synthkit --help`` stay instant.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from synthkit.auditing.audit import audit as audit
    from synthkit.auditing.expression.audit import audit_expression as audit_expression
    from synthkit.auditing.scans.audit import audit_scans as audit_scans
    from synthkit.balance.augment import augment as augment
    from synthkit.balance.balancer import Balancer as Balancer
    from synthkit.balance.table import balance_table as balance_table
    from synthkit.evaluation.compare import compare as compare
    from synthkit.evaluation.evaluate import evaluate as evaluate
    from synthkit.evaluation.expression.evaluate import evaluate_expression as evaluate_expression
    from synthkit.evaluation.scans.evaluate import evaluate_scans as evaluate_scans
    from synthkit.expression.gan import ExpressionGAN as ExpressionGAN
    from synthkit.io import read_table as read_table
    from synthkit.io import write_table as write_table
    from synthkit.io.expression import read_expression as read_expression
    from synthkit.io.expression_set import ExpressionSet as ExpressionSet
    from synthkit.io.expression_write import write_expression as write_expression
    from synthkit.io.scan_set import ScanForm as ScanForm
    from synthkit.io.scan_set import ScanSet as ScanSet
    from synthkit.io.scan_write import write_scans as write_scans
    from synthkit.io.scans import read_scans as read_scans
    from synthkit.privacy import PrivacyBudget as PrivacyBudget
    from synthkit.scans.gan import ScanGAN as ScanGAN
    from synthkit.schema import Schema as Schema
    from synthkit.tables.gan import TableGAN as TableGAN
    from synthkit.tables.pooling import pool_estimates as pool_estimates

__version__ = "0.1.0"

__all__ = [
    "Balancer",
    "ExpressionGAN",
    "ExpressionSet",
    "PrivacyBudget",
    "ScanForm",
    "ScanGAN",
    "ScanSet",
    "Schema",
    "TableGAN",
    "__version__",
    "audit",
    "audit_expression",
    "audit_scans",
    "augment",
    "balance_table",
    "compare",
    "evaluate",
    "evaluate_expression",
    "evaluate_scans",
    "load",
    "pool_estimates",
    "read_expression",
    "read_scans",
    "read_table",
    "write_expression",
    "write_scans",
    "write_table",
]

_HOME = {
    "Balancer": "synthkit.balance.balancer",
    "ExpressionGAN": "synthkit.expression.gan",
    "ExpressionSet": "synthkit.io.expression_set",
    "PrivacyBudget": "synthkit.privacy",
    "ScanForm": "synthkit.io.scan_set",
    "ScanGAN": "synthkit.scans.gan",
    "ScanSet": "synthkit.io.scan_set",
    "Schema": "synthkit.schema",
    "TableGAN": "synthkit.tables.gan",
    "audit": "synthkit.auditing.audit",
    "audit_expression": "synthkit.auditing.expression.audit",
    "audit_scans": "synthkit.auditing.scans.audit",
    "augment": "synthkit.balance.augment",
    "balance_table": "synthkit.balance.table",
    "compare": "synthkit.evaluation.compare",
    "evaluate": "synthkit.evaluation.evaluate",
    "evaluate_expression": "synthkit.evaluation.expression.evaluate",
    "evaluate_scans": "synthkit.evaluation.scans.evaluate",
    "pool_estimates": "synthkit.tables.pooling",
    "read_expression": "synthkit.io.expression",
    "read_scans": "synthkit.io.scans",
    "read_table": "synthkit.io",
    "write_expression": "synthkit.io.expression_write",
    "write_scans": "synthkit.io.scan_write",
    "write_table": "synthkit.io",
}

# The kind that a model file states in its manifest -> the public class that opens it.
_MODEL_KINDS = {"table": "TableGAN", "scans": "ScanGAN", "expression": "ExpressionGAN"}


def load(path: str | Path) -> Any:
    """Open a model file of any kind, without executing anything that is in it.

    Parameters
    ----------
    path
        A ``.synth`` file written by ``save``.

    Returns
    -------
    TableGAN, ScanGAN or ExpressionGAN
        The fitted model, ready to sample.

    Raises
    ------
    ModelFileError
        If the file is missing, damaged, tampered with, of an unknown kind or from a newer version.
    """
    from synthkit.archive import read_manifest
    from synthkit.errors import ModelFileError, unknown_name

    kind = read_manifest(path).get("kind")
    if kind not in _MODEL_KINDS:
        raise ModelFileError(
            f"the model file '{path}' has an {unknown_name('kind of model', str(kind), _MODEL_KINDS)}",
            remedy="Open it with the version of synthkit that wrote it.",
        )
    return __getattr__(_MODEL_KINDS[kind]).load(path)


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_HOME[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
