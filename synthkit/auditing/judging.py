"""From the risk of an attack and of its two controls to an outcome, where there may be too little to judge by."""

from __future__ import annotations

from dataclasses import replace

from synthkit.auditing.records import Risk


def judged(own: Risk, caught: Risk, missed: Risk, *, doubt: str = "", lacking: str = "") -> Risk:
    """Return the risk of one attack, judged by its controls and by how much evidence there is.

    Parameters
    ----------
    own, caught, missed
        What it found on the release, on the positive and on the negative control.
    doubt
        Why a success would not be one of this release; a disclosure is then inconclusive. Empty for no doubt.
    lacking
        Why finding nothing says nothing; it is then inconclusive. Empty where there is enough.
    """
    if own.outcome == "not applicable":
        return own
    risk = own.judged(
        caught.headline if caught.outcome != "not applicable" else None,
        missed.headline if missed.outcome != "not applicable" else None,
    )
    if risk.outcome == "disclosure" and doubt:
        said = risk.note if doubt in risk.note else f"{risk.note} {doubt}".strip()
        return replace(risk, outcome="inconclusive", note=said)
    if risk.outcome == "no disclosure found" and lacking:
        return replace(risk, outcome="inconclusive", note=f"{risk.note} {lacking}".strip())
    return risk
