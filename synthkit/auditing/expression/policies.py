"""Policies for gene expression: the same three names as for tables, with gates on what can be attacked in cells."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from synthkit.auditing.policy import POLICIES, Policy, parse_policy
from synthkit.schema_yaml import read_named


def load_expression_policy(name: str | Path) -> Policy:
    """Read a policy for gene expression.

    Parameters
    ----------
    name
        Name of a policy that comes with the package, or path of a YAML file.

    Raises
    ------
    InputError
        No such policy, or a file that is not one: says which line and key is wrong and what was expected.
    """
    return parse_policy(*read_named(name, "policy", POLICIES, files("synthkit.auditing.expression") / "shipped"))
