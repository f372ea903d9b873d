"""All attacks by name, in the order in which they are made and shown."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from synthkit.auditing.attack import Attack
from synthkit.auditing.attacks import attribute, duplicates, linkability, membership, shadow, singling_out

MODULES = (duplicates, membership, shadow, singling_out, linkability, attribute)

ATTACKS: Mapping[str, Attack] = MappingProxyType(
    {attack.name: attack for module in MODULES for attack in module.ATTACKS}
)
"""Attack by name."""
