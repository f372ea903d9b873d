"""Policies for scans: the same three names as for tables, with gates on what can be attacked in scans."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from types import MappingProxyType

from synthkit.auditing.policy import POLICIES, Policy, parse_policy
from synthkit.schema_yaml import read_named

SCAN_POLICIES: Mapping[str, str] = MappingProxyType(dict(POLICIES))
"""Policies for scans that come with the package, the most lenient first."""


def load_scan_policy(name: str | Path) -> Policy:
    """Read a policy for scans.

    Parameters
    ----------
    name
        Name of a policy that comes with the package, or path of a YAML file.

    Raises
    ------
    InputError
        No such policy, or a file that is not one: says which line and key is wrong and what was expected.
    """
    return parse_policy(*read_named(name, "policy", SCAN_POLICIES, files("synthkit.auditing.scans") / "shipped"))
