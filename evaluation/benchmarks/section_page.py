"""Renders the sections of a benchmark, which `section_files.write_section` leaves, as a page of Markdown."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from synthkit.archive import atomic_path

_FACTS_LAST = ("cores", "threads", "processor", "GPU", "versions")


def write_page(path: Path, text: str) -> None:
    """Write a page, whole or not at all, and say so."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
    print(f"{path}: {len(text.splitlines())} lines")


def sections(folder: Path, known: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Return the content of each section by name, in the order of the page; one that is no section is left out."""
    found = {}
    for path in folder.glob("*.json"):
        content = json.loads(path.read_text(encoding="utf-8"))
        if isinstance(content, dict) and {"title", "columns", "rows"} <= content.keys():
            found[path.stem] = content
    order = {name: place for place, name in enumerate(known)}
    return dict(sorted(found.items(), key=lambda entry: (order.get(entry[0], len(order)), entry[0])))


def page(found: Mapping[str, Mapping[str, Any]], head: str, expected: Sequence[str]) -> str:
    """Return the page as Markdown: what stands above, what was not measured, contents, sections."""
    lines = [head]
    missing = [name for name in expected if name not in found]
    if missing:
        lines += [f"Not measured yet: {', '.join(missing)}.", ""]
    for content in found.values():
        lines += [f"- [{content['title']}](#{anchor(content['title'])})"]
    lines.append("")
    for content in found.values():
        lines += [f"## {content['title']}", "", *section(content)]
    return "\n".join(lines).rstrip() + "\n"


def section(content: Mapping[str, Any]) -> Iterator[str]:
    """Yield the lines of a section."""
    if content.get("command"):
        yield from (f"`{content['command']}`", "")
    yield from table(content["columns"], content["rows"])
    yield from notes(content.get("notes", ()))
    for more in content.get("more", ()):
        if more.get("title"):
            yield from (f"**{more['title']}**", "")
        yield from table(more["columns"], more["rows"])
        yield from notes(more.get("notes", ()))
    for picture in content.get("pictures", ()):
        yield from (f"![{plain(picture['caption'])}]({picture['file']})", "", f"*{picture['caption']}*", "")
    told = list(facts(content.get("facts", {})))
    if told:
        yield from ("<details><summary>How it was measured</summary>", "", *told, "", "</details>", "")


def table(columns: Mapping[str, str] | Sequence[str], rows: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Yield a table; a column without any value is left out."""
    titles = dict(columns) if isinstance(columns, Mapping) else {name: name for name in columns}
    kept = {key: title for key, title in titles.items() if any(row.get(key) is not None for row in rows)}
    if not kept or not rows:
        return
    numeric = {key: all(is_number(row.get(key)) for row in rows) for key in kept}
    yield "| " + " | ".join(plain(title) for title in kept.values()) + " |"
    yield "|" + "|".join("---:" if numeric[key] else "---" for key in kept) + "|"
    for row in rows:
        yield "| " + " | ".join(cell(row.get(key)) for key in kept) + " |"
    yield ""


def is_number(value: Any) -> bool:
    """Whether a cell is a number, one with its interval, or empty."""
    return value is None or (isinstance(value, int | float) and not isinstance(value, bool)) or is_interval(value)


def is_interval(value: Any) -> bool:
    """Whether a cell is a value with the ends of its interval."""
    return (
        isinstance(value, list)
        and len(value) == 3
        and all(one is None or isinstance(one, int | float) for one in value)
    )


def cell(value: Any) -> str:
    """Return what stands in a cell."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "**no**"
    if is_interval(value):
        middle, low, high = value
        if low is None or high is None:
            return cell(middle)
        return f"{number(middle)} ({number(low)} – {number(high)})"
    if isinstance(value, int | float):
        return number(value)
    if isinstance(value, list):
        return ", ".join(cell(one) for one in value)
    return plain(str(value))


def number(value: float | None) -> str:
    """Return a number with about three digits; whole numbers as they are."""
    if value is None or not math.isfinite(value):
        return "–"
    if isinstance(value, int) or (value == round(value) and abs(value) >= 100):
        return f"{value:,.0f}".replace("-", "−")
    size = abs(value)
    if size == 0:
        return "0"
    digits = 1 if size >= 100 else 2 if size >= 10 else 3 if size >= 0.01 else 5
    return f"{round(value, digits) + 0.0:,.{digits}f}".replace("-", "−")


def notes(lines: Sequence[str]) -> Iterator[str]:
    """Yield sentences as a list."""
    if lines:
        yield from (*(f"- {line}" for line in lines), "")


def facts(entries: Mapping[str, Any]) -> Iterator[str]:
    """Yield how it was measured, one fact a line, the machine and the versions last."""
    ordered = [name for name in entries if name not in _FACTS_LAST] + [name for name in _FACTS_LAST if name in entries]
    for name in ordered:
        value = entries[name]
        if isinstance(value, Mapping):
            said = ", ".join(f"{key} {cell(one)}" for key, one in value.items())
        elif isinstance(value, list) and not is_interval(value):
            said = ", ".join(cell(one) for one in value)
        else:
            said = cell(value)
        if said:
            yield f"- {name}: {said}"


def anchor(title: str) -> str:
    """Return the anchor that a Markdown viewer gives a heading."""
    return "".join("-" if sign == " " else sign for sign in title.lower() if sign.isalnum() or sign in " -_")


def plain(text: str) -> str:
    """Return a text that may stand in a cell."""
    return " ".join(text.split()).replace("|", "\\|")
