"""Make docs/tutorials/notebook.ipynb from notebook.md by running it, and a picture of some of its cells.

    python docs/make_notebook.py

The text between the blocks becomes the cells of text, each runnable block a cell with what a notebook shows: what was
printed, then the value of the last line, as HTML where it has one. The picture needs Chromium on the PATH.
"""

from __future__ import annotations

import contextlib
import html
import importlib.util
import io
import json
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from synthkit.archive import atomic_path

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "tutorials" / "notebook.md"
NOTEBOOK = PAGE.with_suffix(".ipynb")
PICTURE = ROOT / "docs" / "images" / "notebook.png"
PICTURED = ("schema", "gan", "evaluation")  # the last lines of the cells that are in the picture
MOST_BYTES = 200_000
_PICTURE = re.compile(r"^!\[.*?\]\(.*?\)\n\n", re.MULTILINE)
_METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}
_STYLE = (
    "body{font:14px system-ui,sans-serif;margin:12px;width:876px;background:#fff;color:#111}"
    "pre{background:#f4f4f4;padding:8px 10px;margin:14px 0 8px;font-size:13px}"
)


def text_of_page() -> str:
    """Return the page without the picture and the link to the notebook."""
    text = _PICTURE.sub("", PAGE.read_text(encoding="utf-8"))
    return text.replace("[The same as an executed notebook](notebook.ipynb) has what", "It shows what")


def pieces(text: str) -> Iterator[tuple[str, str]]:
    """Yield the cells of a page in order: "markdown" or "code", and their content. Outputs are left out."""
    start = 0
    for match in outputs.BLOCK.finditer(text):
        if before := text[start : match.start()].strip():
            yield "markdown", before
        start = match.end()
        if match[1] == "runnable":
            yield "code", match[3]
    if after := text[start:].strip():
        yield "markdown", after


def run(text: str) -> dict[str, Any]:
    """Run the cells of a page in the current folder; return the notebook."""
    namespace: dict[str, Any] = {"__name__": "__main__"}
    cells: list[dict[str, Any]] = []
    for kind, content in pieces(text):
        cell: dict[str, Any] = {"cell_type": kind, "id": f"cell-{len(cells)}", "metadata": {}}
        cells.append(cell | {"source": content.splitlines(keepends=True)})
        if kind == "code":
            count = sum(one["cell_type"] == "code" for one in cells)
            cells[-1] |= {"execution_count": count, "outputs": _outputs(content, namespace, count)}
    return {"cells": cells, "metadata": _METADATA, "nbformat": 4, "nbformat_minor": 5}


def _outputs(code: str, namespace: dict[str, Any], count: int) -> list[dict[str, Any]]:
    stream = io.StringIO()
    with contextlib.redirect_stdout(stream), contextlib.redirect_stderr(stream):
        value = outputs.run_cell(code, namespace, PAGE)
    printed = stream.getvalue()
    found: list[dict[str, Any]] = []
    if printed:
        found.append({"output_type": "stream", "name": "stdout", "text": printed.splitlines(keepends=True)})
    if value is not None:
        data = {kind: text.splitlines(keepends=True) for kind, text in shown(value).items()}
        found.append({"output_type": "execute_result", "execution_count": count, "metadata": {}, "data": data})
    return found


def shown(value: Any) -> dict[str, str]:
    """Return what a notebook shows of a value, by kind."""
    plain = {"text/plain": repr(value)}
    page = getattr(value, "_repr_html_", None)
    return plain if page is None else {**plain, "text/html": page()}


def picture(notebook: dict[str, Any], folder: Path) -> None:
    """Draw the cells that end with a name in `PICTURED` as a browser shows them."""
    body = ""
    for cell in notebook["cells"]:
        last = cell["source"][-1]
        if cell["cell_type"] == "code" and last in PICTURED:
            data = cell["outputs"][-1]["data"]["text/html"]
            body += f"<pre>{html.escape(last)}</pre>{''.join(data)}"
    page = folder / "page.html"
    page.write_text(f"<!DOCTYPE html><meta charset=utf-8><style>{_STYLE}</style>{body}", encoding="utf-8")
    height = int(_chromium(folder, page, "--dump-dom", probe=True))
    with atomic_path(PICTURE) as temporary:
        target = folder / "page.png"
        _chromium(folder, page, f"--screenshot={target}", f"--window-size=900,{height}")
        temporary.write_bytes(target.read_bytes())


def _chromium(folder: Path, page: Path, *options: str, probe: bool = False) -> str:
    program = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if program is None:
        raise SystemExit("the picture needs Chromium on the PATH")
    if probe:
        measured = folder / "measured.html"
        script = "<script>onload=()=>{document.title='height '+document.documentElement.scrollHeight}</script>"
        measured.write_text(page.read_text(encoding="utf-8") + script, encoding="utf-8")
        page = measured
    command = [program, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"]
    command += [f"--user-data-dir={folder / 'profile'}", "--window-size=900,100", *options, page.as_uri()]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=300, check=True)
    height = re.search(r"<title>height (\d+)", ended.stdout)
    return height[1] if height else ""


def _make_outputs() -> Any:
    spec = importlib.util.spec_from_file_location("make_outputs", Path(__file__).with_name("make_outputs.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["make_outputs"] = module  # dataclasses look up their module by name
    spec.loader.exec_module(module)
    return module


outputs = _make_outputs()


def main() -> None:
    """Run the page, write the notebook and the picture."""
    with tempfile.TemporaryDirectory(prefix="synthkit-notebook-") as folder:
        with contextlib.chdir(folder):
            notebook = run(text_of_page())
        picture(notebook, Path(folder))
    with atomic_path(NOTEBOOK) as temporary:
        temporary.write_text(json.dumps(notebook, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    size = PICTURE.stat().st_size
    print(f"{NOTEBOOK.name}: {NOTEBOOK.stat().st_size:,} bytes; {PICTURE.name}: {size:,} bytes")
    if size > MOST_BYTES:
        raise SystemExit(f"the picture has {size:,} bytes, more than {MOST_BYTES:,}")


if __name__ == "__main__":
    main()
