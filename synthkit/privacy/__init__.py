"""Differential privacy: budget, ledger, mechanisms, the private anchor, the private critic, linter and certificate."""

from synthkit.privacy.budget import PrivacyBudget

__all__ = ["PrivacyBudget"]
