"""Documentation that cannot rot: links resolve, examples run, and the reference is what the commands say."""

from __future__ import annotations

import importlib.util
import json
import re
import sys
from functools import cache
from pathlib import Path
from types import ModuleType
from urllib.parse import unquote

import click
import pytest
from markup import read

from synthkit.cli import VERBS, group

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
_FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
_CLAIMS = re.compile(r"\b(anonymous|anonymi[sz]ed|compliant)\b", re.IGNORECASE)

by_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))


@cache
def script(name: str) -> ModuleType:
    """Load a script of docs/, which is no package."""
    spec = importlib.util.spec_from_file_location(name, ROOT / "docs" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look up their module by name
    spec.loader.exec_module(module)
    return module


def anchor(heading: str) -> str:
    """Return the anchor that a heading gets on the usual hosts."""
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


@by_page
class TestEveryPage:
    def test_links_lead_somewhere(self, page: Path) -> None:
        for target in _LINK.findall(_FENCE.sub("", page.read_text(encoding="utf-8"))):
            if target.startswith(("https://", "http://", "mailto:")):
                continue
            place, _, fragment = unquote(target).partition("#")
            found = (page.parent / place) if place else page
            assert found.exists(), f"{page.relative_to(ROOT)} links to {target}"
            assert found.resolve().is_relative_to(ROOT)
            if fragment:
                headings = re.findall(r"^#+ (.+)$", found.read_text(encoding="utf-8"), re.MULTILINE)
                assert fragment in map(anchor, headings), f"{page.relative_to(ROOT)} links to {target}"

    def test_python_is_python(self, page: Path) -> None:
        for language, code in _FENCE.findall(page.read_text(encoding="utf-8")):
            if language == "python":
                compile(code, str(page), "exec")

    def test_commands_exist(self, page: Path) -> None:
        """Every ``synthkit VERB --option`` in an example is one that the command line knows."""
        for language, code in _FENCE.findall(page.read_text(encoding="utf-8")):
            if language not in ("bash", "make"):
                continue
            for verb, rest in re.findall(r"\bsynthkit (\w+)(.*)", code):
                command = group.get_command(click.Context(group), verb)
                assert command is not None, f"{page.relative_to(ROOT)} shows `synthkit {verb}`"
                if isinstance(command, click.Group):
                    name, _, rest = rest.strip().partition(" ")
                    assert name in command.commands, f"{page.relative_to(ROOT)} shows `synthkit {verb} {name}`"
                    command = command.commands[name]
                known = {spelling for parameter in command.params for spelling in parameter.opts}
                unquoted = re.sub(r"'[^']*'|#.*", "", rest)
                for option in re.findall(r"(?<!\S)--?[a-z][\w-]*", unquoted):
                    assert option in known, f"{page.relative_to(ROOT)} shows `synthkit {verb} {option}`"

    def test_fences_and_markers_are_closed(self, page: Path) -> None:
        text = page.read_text(encoding="utf-8")
        assert text.count("\n```") % 2 == 0
        assert text.count("<!--") == text.count("-->")

    def test_claims_nothing_that_no_score_can_show(self, page: Path) -> None:
        assert not _CLAIMS.search(page.read_text(encoding="utf-8"))


def test_the_reference_is_what_the_commands_say() -> None:
    page = (ROOT / "docs" / "reference" / "cli.md").read_text(encoding="utf-8")
    assert page == script("make_reference").page(), "run: python docs/make_reference.py"


def test_every_metric_has_a_page_that_says_what_the_metric_says() -> None:
    pages = script("make_reference").metric_pages()
    folder = ROOT / "docs" / "reference" / "metrics"
    assert {path.name for path in folder.glob("*.md")} == set(pages)
    for name, text in pages.items():
        assert (folder / name).read_text(encoding="utf-8") == text, "run: python docs/make_reference.py"


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_and_option_is_in_the_reference(verb: str) -> None:
    page = (ROOT / "docs" / "reference" / "cli.md").read_text(encoding="utf-8")
    section = page.partition(f"\n## {verb}\n")[2].partition("\n## ")[0]
    command = group.get_command(click.Context(group), verb)
    assert command is not None
    commands = [command, *(command.commands.values() if isinstance(command, click.Group) else ())]
    for parameter in (parameter for one in commands for parameter in one.params):
        if isinstance(parameter, click.Option):
            for spelling in parameter.opts:
                assert f"`{spelling}`" in section


@pytest.mark.parametrize("verb", VERBS)
def test_examples_in_the_help_keep_their_lines(verb: str) -> None:
    """A raw docstring would hold a backslash and a b instead of click's mark, and the examples would be rewrapped."""
    command = group.get_command(click.Context(group), verb)
    assert command is not None
    assert "\\b" not in (command.help or "")


def test_every_page_is_in_the_contents() -> None:
    contents = [ROOT / "docs" / "index.md", ROOT / "docs" / "reference" / "metrics" / "index.md"]
    linked = {
        (page.parent / target).resolve() for page in contents for target in _LINK.findall(page.read_text("utf-8"))
    }
    written_by_the_benchmark = {ROOT / "docs" / "benchmarks.md", ROOT / "docs" / "benchmarks-evaluation.md"}
    missing = set((ROOT / "docs").rglob("*.md")) - linked - {contents[0]} - written_by_the_benchmark
    assert not missing


def test_the_version_is_in_the_changelog() -> None:
    import synthkit

    assert f"## [{synthkit.__version__}]" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", ["result.png", "notebook.png"])
def test_the_picture_is_small(name: str) -> None:
    assert 0 < (ROOT / "docs" / "images" / name).stat().st_size <= 200_000


def test_the_notebook_is_its_page_and_was_run() -> None:
    maker = script("make_notebook")
    cells = json.loads(maker.NOTEBOOK.read_text(encoding="utf-8"))["cells"]
    found = [(cell["cell_type"], "".join(cell["source"])) for cell in cells]
    assert found == list(maker.pieces(maker.text_of_page())), "run: python docs/make_notebook.py"
    outputs = [output for cell in cells for output in cell.get("outputs", ())]
    pages = ["".join(output.get("data", {}).get("text/html", "")) for output in outputs]
    own = [page for page in pages if 'class="synthkit"' in page]
    assert {"stream", "execute_result"} == {output["output_type"] for output in outputs}
    assert len(own) >= 6
    for page in own:
        read(page)  # well formed, without scripts


@pytest.mark.slow
@pytest.mark.timeout(400)  # fits several models, and must not fail because the machine is busy
@pytest.mark.parametrize("pages", script("make_outputs").GROUPS, ids=lambda pages: Path(pages[0]).stem)
def test_examples_run(pages: tuple[str, ...], tmp_path: Path) -> None:
    """What is marked as runnable runs as it stands; what it prints is not compared, because figures move."""
    script("make_outputs").run_group(pages, tmp_path)
    assert any(tmp_path.iterdir())
