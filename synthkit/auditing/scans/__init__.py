"""Audit of synthetic scans: whether they repeat the scans they were made from, whoever made them.

`audit_scans` is the entry point; `docs/how-to/auditing-scans.md` says how to read what it finds.
"""

from __future__ import annotations
