"""Run the examples of the pages and put what they print into the pages.

    python docs/make_outputs.py                              # all pages with outputs
    python docs/make_outputs.py docs/tutorials/notebook.md   # the groups that these pages are in
    python docs/make_outputs.py --check                      # run only, change nothing

A block after ``<!-- runnable -->`` is run: Python in one namespace per page, and commands of synthkit. As in a
notebook, the value of a last line that is an expression is printed. A block after ``<!-- output -->`` shows what the
block before it printed; ``<!-- output from A to B -->`` only the lines from the one that begins with A to the one that
begins with B. Pages of one group run in one folder, in order. The tests run the same groups.
"""

from __future__ import annotations

import ast
import contextlib
import io
import os
import re
import shlex
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from synthkit.archive import atomic_path
from synthkit.cli import run

ROOT = Path(__file__).resolve().parent.parent
GROUPS = (
    ("README.md",),
    ("docs/tutorials/first-table.md", "docs/how-to/conditions.md", "docs/how-to/pipelines-cli.md"),
    ("docs/tutorials/notebook.md",),
    ("docs/tutorials/imbalanced.md",),
    ("docs/tutorials/missing-and-odd.md",),
    ("docs/tutorials/pipeline.md",),
    ("docs/how-to/balancing.md",),
    ("docs/how-to/augmenting.md",),
    ("docs/how-to/imputing.md",),
    ("docs/how-to/anomalies.md",),
    ("docs/how-to/schema.md",),
    ("docs/how-to/sources.md",),
    ("docs/how-to/constraints.md",),
    ("docs/how-to/privacy-officer.md",),
    ("docs/how-to/auditing.md",),
    ("docs/how-to/auditing-scans.md",),
    ("docs/how-to/pipelines.md",),
    ("docs/tutorials/scans.md", "docs/how-to/scans.md"),
    ("docs/how-to/scan-to-scan.md",),
    ("docs/how-to/reading-scans.md",),
    ("docs/how-to/dicom-out.md",),
    ("docs/how-to/reading-expression.md",),
)
# the least that ends with a fence: an output that is still empty must not reach into the next block
BLOCK = re.compile(r"<!-- (runnable|output[^>]*?) -->\n```(\w+)\n(?:(.*?)\n)??```$", re.DOTALL | re.MULTILINE)
_LINES = re.compile(r"output(?: from (.+?))?(?: to (.+))?")


@dataclass
class Page:
    """One page that is being run."""

    path: Path
    text: str

    def run(self) -> str:
        """Run all blocks in the current folder; return the text with what they print."""
        namespace: dict[str, Any] = {"__name__": "__main__"}
        printed = ""

        def replace(match: re.Match[str]) -> str:
            nonlocal printed
            kind, language, code = match.groups()
            if kind != "runnable":
                return f"<!-- {kind} -->\n```{language}\n{shown(printed, kind)}\n```"
            printed = self._run(language, code, namespace, self.text[: match.start()].count("\n") + 3)
            return match.group()

        return BLOCK.sub(replace, self.text)

    def _run(self, language: str, code: str, namespace: dict[str, Any], line: int) -> str:
        stream = io.StringIO()
        with contextlib.redirect_stdout(stream), contextlib.redirect_stderr(stream):
            if language == "python":
                value = run_cell(code, namespace, self.path, line)
                if value is not None:
                    print(repr(value))
            else:
                for command in code.splitlines():
                    program, *words = shlex.split(command, comments=True)
                    if program != "synthkit" or (status := run(words)) != 0:
                        status = 127 if program != "synthkit" else status
                        raise SystemExit(f"{self.path}: {command!r} ended with {status}\n{stream.getvalue()}")
        return stream.getvalue()


def run_cell(code: str, namespace: dict[str, Any], path: Path, line: int = 1) -> Any:
    """Run a block of Python; return the value of its last line where that is an expression, else None."""
    # line breaks in front, so that a traceback names the line of the page
    tree = ast.parse("\n" * (line - 1) + code, str(path))
    last = tree.body[-1] if tree.body else None
    if not isinstance(last, ast.Expr):
        exec(compile(tree, str(path), "exec"), namespace)
        return None
    exec(compile(ast.Module(tree.body[:-1], []), str(path), "exec"), namespace)
    return eval(compile(ast.Expression(last.value), str(path), "eval"), namespace)


def shown(printed: str, kind: str) -> str:
    """Return the lines of an output that a block asks for, without blank lines around them."""
    match = _LINES.fullmatch(kind)
    if match is None:
        raise SystemExit(f"what is {kind!r}?")
    first, last = match.groups()
    lines = [line.rstrip() for line in printed.splitlines()]
    begin = next((i for i, line in enumerate(lines) if not first or line.strip().startswith(first)), None)
    if begin is None:
        raise SystemExit(f"for {kind!r} there is no such line in:\n{printed}")
    end = next((i for i, line in enumerate(lines) if last and i >= begin and line.strip().startswith(last)), len(lines))
    return "\n".join(lines[begin : end + 1]).strip("\n")


def run_group(names: tuple[str, ...], folder: Path) -> dict[str, str]:
    """Run pages one after another in a folder; return their new texts."""
    with contextlib.chdir(folder):
        return {name: Page(ROOT / name, (ROOT / name).read_text(encoding="utf-8")).run() for name in names}


def main() -> None:
    """Run all groups and write what changed."""
    os.environ["COLUMNS"] = "100"
    asked = {word for word in sys.argv[1:] if not word.startswith("--")}
    if unknown := asked.difference(*GROUPS):
        raise SystemExit(f"no group has {', '.join(sorted(unknown))}")
    for names in GROUPS:
        if asked and asked.isdisjoint(names):
            continue
        with tempfile.TemporaryDirectory(prefix="synthkit-docs-") as folder:
            texts = run_group(names, Path(folder))
        for name, text in texts.items():
            changed = text != (ROOT / name).read_text(encoding="utf-8")
            print(f"{name}: {'changed' if changed else 'as it was'}")
            if changed and "--check" not in sys.argv[1:]:
                with atomic_path(ROOT / name) as temporary:
                    temporary.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
