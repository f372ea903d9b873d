"""A guarantee in words for somebody who is no specialist, and what it does not cover."""

from __future__ import annotations

import math

from synthkit.privacy.budget import PrivacyBudget
from synthkit.privacy.describe import one_in, percent, short
from synthkit.privacy.tradeoff import Meaning, posterior_bound
from synthkit.privacy.wording import TABLE, Wording

_PRIORS = (0.01, 0.5)
_LARGE = 1e4


def explain(budget: PrivacyBudget, meaning: Meaning, *, private: bool, words: Wording = TABLE) -> tuple[str, ...]:
    """Return what a guarantee means, one paragraph each.

    Parameters
    ----------
    budget
        The guarantee that holds.
    meaning
        Its bounds on attacks.
    private
        Whether the noise was private; without that nothing is guaranteed.
    words
        For the kind of data.
    """
    if not private:
        return (
            "Nothing is guaranteed. The noise of this model comes from a seed, and whoever knows or guesses the seed "
            "can take it away. What the same fit would guarantee with noise from the operating system is left out.",
        )
    if math.isinf(meaning.odds):
        return (
            f"Nothing is guaranteed. At delta {short(budget.delta)} the events in the ledger keep no epsilon, or one "
            "so large that it rules nothing out: whatever is in the data may be read from what was released.",
        )
    one, change, question = _unit(budget, words)
    odds = f"{meaning.odds:.3g}" if meaning.odds < _LARGE else f"{meaning.odds:.1e}"
    beliefs = " and ".join(
        f"from {percent(prior)} to at most {percent(posterior_bound(prior, budget.epsilon))}" for prior in _PRIORS
    )
    paragraphs = [
        f"{change}: no result of this release becomes more than {odds} times as likely, give or take a probability of "
        f"{one_in(budget.delta)}. That is what epsilon {budget.epsilon:.4g} and delta {short(budget.delta)} say.",
        f"Belief. But for the same small probability the release is as good as one after which somebody who suspects "
        f"{question} can multiply the odds of that belief by at most {odds}. Such a belief can grow {beliefs}.",
        f"Guessing. Somebody who has to tell {question}, where both are equally likely, is right in at most "
        f"{percent(meaning.accuracy_by_events)} of cases. Tossing a coin is right in 50 %.",
    ]
    if budget.adjacency == "replace-one":
        verbs = "takes the first version for the second in {} of cases", "recognises the second in at most {}"
        blind = "Guessing recognises as many as it mistakes."
    else:
        verbs = "wrongly accuses {} of those who were not in the data", "finds at most {} of those who were"
        blind = "Guessing finds as many as it wrongly accuses."
    tests = [
        f"{verbs[0].format(percent(attack.fpr))} {verbs[1].format(percent(attack.by_events))}"
        for attack in meaning.attacks
    ]
    if tests:
        paragraphs.append(f"Accusing. A test that {'; one that '.join(tests)}. {blind}")
    paragraphs.append(
        f"The bounds hold against anybody, with any computer and any other knowledge, even of all the data but {one}. "
        "They do not say that nothing can be learnt: what is true of the data as a whole is learnt about everybody to "
        "whom it applies, whether they were in the data or not."
    )
    return tuple(paragraphs)


def _unit(budget: PrivacyBudget, words: Wording) -> tuple[str, str, str]:
    """The unit, what neighbours are, and what an attacker asks."""
    one = words.one(budget.unit)
    if words.is_record(budget.unit):
        those = one
    elif not words.named:
        those = f"{one} with all {words.records}"
    else:
        used = "one is" if budget.rows_per_unit == 1 else f"up to {budget.rows_per_unit:,} are"
        those = f"all {words.records} of {one}, of which {used} used,"
    if budget.adjacency == "replace-one":
        return one, f"Replace {those} by any other", f"which of two versions of {one} was in the data"
    return one, f"Add {those} to the data, or take it out", f"whether {one} was in the data"


_NOT_COVERED = (
    "Choices made by looking at the data. Settings that were tuned on it, and the best of several fits, are covered "
    "only as far as each of these fits is a release in the ledger.",
    "Other releases. What else was published from the same people, outside this ledger, adds to the loss. Drawing more "
    "{records} from this model does not.",
    "Evaluations. Scores, figures and reports that compare with real {records} read the real {records}. They are not "
    "in the ledger; keep them where the data is.",
)
_MACHINE = (
    "The machine. How long the fit took, its use of memory, its logs, and whoever can see the machine while it runs."
)
_GRADIENTS = (
    "Rounding in the noise of gradients. It is made of floating-point numbers, as the sum of four normal draws, which "
    "hinders attacks on their last bits but is no proof. Noise on counts is exact, on whole numbers."
)
_CODE = (
    "The code. This certificate is worked out from the ledger in the file. That the program did what the ledger says "
    "rests on its review, its contract tests and its audit with canaries, which can refute it but not prove it."
)


def not_covered(budget: PrivacyBudget, gradients: bool, words: Wording = TABLE) -> tuple[str, ...]:
    """Return what a guarantee says nothing about, one paragraph each.

    Parameters
    ----------
    budget
        The guarantee.
    gradients
        Whether a critic was trained by DP-SGD.
    words
        For the kind of data.
    """
    found = [words.public, *(text.format(records=words.records) for text in _NOT_COVERED)]
    if words.is_record(budget.unit):
        found.append(
            f"People with several {words.records}. The unit is a {words.record}: somebody with k {words.records} is "
            "protected with k times this epsilon, and a larger delta."
        )
    elif words.named:
        found.append(
            f"People under several names. Who has several values of '{budget.unit}' counts as several, and what a "
            "group such as a family has in common is protected less."
        )
    else:
        found.append(
            f"People under several names. Who is in the data as several {budget.unit}s counts as several, and what a "
            "group such as a family has in common is protected less."
        )
    if budget.adjacency == "replace-one":
        found.append("How many units the data has: neighbouring tables have as many, so that this number is public.")
    return (*found, _MACHINE, *((_GRADIENTS,) if gradients else ()), _CODE)
