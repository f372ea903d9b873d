"""Audit of synthetic gene expression: whether it repeats the cells it was made from, or tells whose cells these were.

`audit_expression` is the entry point; `docs/how-to/auditing-expression.md` says how to read what it finds.
"""

from __future__ import annotations
