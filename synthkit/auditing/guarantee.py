"""What differential privacy a release was given, from its model file or the ledger of its data."""

from __future__ import annotations

from pathlib import Path

from synthkit.auditing.result import Guarantee
from synthkit.errors import PrivacyError


def read_guarantee(model: str | Path | None, ledger: str | Path | None) -> tuple[Guarantee | None, tuple[str, ...]]:
    """Return the guarantee of a release, worked out anew from its events, and what to say about it.

    Parameters
    ----------
    model
        File of the model that made the release, or None.
    ledger
        Ledger file of the data, or None; its epsilon is that of all releases together, which is what counts.

    Raises
    ------
    ModelFileError
        The model file is missing, damaged, or none.
    PrivacyError
        The ledger is missing or damaged, or keeps another unit than the model.
    """
    if model is None and ledger is None:
        return None, ()
    own, said = (None, ()) if model is None else _of_model(Path(model))
    if ledger is None:
        return own, said

    from synthkit.evaluation.provenance import file_hash
    from synthkit.privacy.ledger import LedgerFile

    path = Path(ledger)
    file = LedgerFile(path)
    total = file.total
    if own is not None and (own.unit, own.adjacency) != (total.unit, total.adjacency):
        raise PrivacyError(
            f"the ledger '{path}' keeps the unit '{total.unit}' ({total.adjacency}), the model '{own.unit}' "
            f"({own.adjacency}), expected the same",
            remedy="pass the ledger of the data that the model was fitted to",
        )
    if model is not None and own is None:
        said = (*said, "The ledger does not count this model, which was fitted without a budget.")
        return None, said
    return (
        Guarantee(
            source=f"ledger {path.name}" + (f", model {Path(model).name}" if model is not None else ""),
            epsilon=file.epsilon(),
            delta=total.delta,
            unit=total.unit,
            adjacency=total.adjacency,
            holds=None if own is None else own.holds,
            reasons=() if own is None else own.reasons,
            releases=len(file.releases),
            sha256=file_hash(path),
        ),
        said,
    )


def _of_model(path: Path) -> tuple[Guarantee | None, tuple[str, ...]]:
    from synthkit.archive import read_manifest
    from synthkit.privacy.private_model import PrivateModel

    if read_manifest(path).get("privacy") is None:
        return None, (f"The model '{path.name}' was fitted without a privacy budget: nothing is proved about it.",)

    from synthkit.tables.private_lint import lint

    opened = PrivateModel.open(path)
    kept = opened.ledger()
    report = lint(opened)
    reasons = [f"{finding.title}: {finding.reason}" for finding in report.failed]
    if not opened.is_private:
        reasons.append("the noise was seeded and can be repeated")
    return (
        Guarantee(
            source=f"model {path.name}",
            epsilon=kept.epsilon_total() if kept.before else kept.epsilon(),
            delta=kept.total.delta if kept.before else kept.budget.delta,
            unit=kept.budget.unit,
            adjacency=kept.budget.adjacency,
            holds=not reasons,
            reasons=tuple(reasons),
            releases=1 + len(kept.before),
            sha256=opened.sha256,
        ),
        (),
    )
