"""Audit of a release: attacks with controls, what they disclose, a policy, and a report to sign.

`audit` is the entry point; `docs/explanation/audit.md` says what an audit can show and what it cannot.
"""

from __future__ import annotations

from synthkit.auditing.audit import audit
from synthkit.auditing.result import Audit

__all__ = ["Audit", "audit"]
