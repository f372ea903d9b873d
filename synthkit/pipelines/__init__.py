"""Pipelines: a recipe in YAML, its stages, their artefacts in a workspace, and a manifest that says what was done."""

from __future__ import annotations

from synthkit.pipelines.reading import RECIPES, json_schema, load_recipe, parse_recipe
from synthkit.pipelines.runner import Event, Planned, RunResult, plan_recipe, run_recipe
from synthkit.pipelines.settings import STAGES, Recipe

__all__ = [
    "RECIPES",
    "STAGES",
    "Event",
    "Planned",
    "Recipe",
    "RunResult",
    "json_schema",
    "load_recipe",
    "parse_recipe",
    "plan_recipe",
    "run_recipe",
]
