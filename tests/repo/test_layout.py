"""Rules of the house that no linter checks."""

from __future__ import annotations

import ast
import importlib.util
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from synthkit.cli import VERBS, group

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "synthkit"
SOURCES = sorted(PACKAGE.rglob("*.py"))
MOST_LINES = 500
CONTENT_FOLDERS = ("pipelines", "privacy", "evaluation", "docs")
HEAVY = {"torch", "pandas", "sklearn", "pyarrow", "lightgbm", "scipy", "sdmetrics", "plotly", "matplotlib"}
GENERATOR_MAKERS = {"default_rng", "RandomState", "SeedSequence", "PCG64", "Generator", "manual_seed", "seed"}

by_file = pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))


@by_file
class TestEverySource:
    def test_is_short_enough_to_hold_one_idea(self, path: Path) -> None:
        assert len(path.read_text(encoding="utf-8").splitlines()) <= MOST_LINES

    def test_executes_nothing_that_it_loads(self, path: Path) -> None:
        found = list(dangerous(ast.parse(path.read_text(encoding="utf-8"))))
        assert not found, f"{path.relative_to(ROOT)}: {found}"

    def test_catches_only_what_it_expects(self, path: Path) -> None:
        """Cleaning up after anything is fine, as long as it goes on: the last word is then a raise that keeps it."""
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ExceptHandler):
                caught = ast.unparse(node.type) if node.type else "everything"
                last = node.body[-1]
                goes_on = isinstance(last, ast.Raise) and (last.exc is None or last.cause is not None)
                broad = caught in ("everything", "Exception", "BaseException")
                assert goes_on or not broad, f"line {node.lineno} catches {caught}"

    def test_makes_no_generator_of_its_own(self, path: Path) -> None:
        """All randomness comes from the one seed, through synthkit/random.py."""
        if path == PACKAGE / "random.py":
            return
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                assert node.func.attr not in GENERATOR_MAKERS, f"line {node.lineno} calls {ast.unparse(node.func)}"
            if isinstance(node, ast.Import):
                assert "random" not in [name.name for name in node.names], f"line {node.lineno} imports random"


def dangerous(tree: ast.AST) -> Iterator[str]:
    """Name what may run code from a file, and asserts, which vanish with ``python -O``."""
    for node in ast.walk(tree):
        match node:
            case ast.Assert():
                yield f"line {node.lineno}: assert"
            case ast.Import(names=names):
                yield from (f"line {node.lineno}: {name.name}" for name in names if is_unsafe_module(name.name))
            case ast.ImportFrom(module=str(module)):
                if is_unsafe_module(module):
                    yield f"line {node.lineno}: {module}"
            case ast.Call(func=ast.Name(id="eval" | "exec" | "compile" | "__import__" as name)):
                yield f"line {node.lineno}: {name}()"
            case ast.Call(func=ast.Attribute(value=ast.Name(id="torch"), attr="load"), keywords=keywords):
                # With weights_only=True tensors are read and nothing else; the one file read so is checked by its hash.
                if not any(word.arg == "weights_only" and ast.unparse(word.value) == "True" for word in keywords):
                    yield f"line {node.lineno}: torch.load()"
            case ast.Call(
                func=ast.Attribute(value=ast.Name(id="yaml"), attr="load" | "unsafe_load" | "full_load" as name)
            ):
                yield f"line {node.lineno}: yaml.{name}()"
            case ast.Call(func=ast.Attribute(attr="read_pickle" | "to_pickle" as name)):
                yield f"line {node.lineno}: {name}()"


def is_unsafe_module(name: str) -> bool:
    return name.split(".")[0] in {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "marshal", "shelve"}


@pytest.mark.parametrize(
    "code",
    [
        "assert x",
        "import pickle",
        "from joblib import load",
        "eval('1')",
        "torch.load(p)",
        "torch.load(p, weights_only=False)",
        "yaml.load(t)",
        "pd.read_pickle(p)",
    ],
)
def test_the_rule_against_execution_sees(code: str) -> None:
    assert list(dangerous(ast.parse(code)))


def test_the_rule_against_execution_allows_what_is_safe() -> None:
    code = "model.eval()\nyaml.safe_load(text)\nsafetensors.load(data)\nre.compile('x')\njson.load(file)"
    code += "\ntorch.load(p, weights_only=True)"
    assert not list(dangerous(ast.parse(code)))


def test_content_folders_hold_no_package() -> None:
    """What is loaded by name lives in synthkit/; only scripts of evaluation/benchmarks/ and docs/ are Python."""
    for folder in CONTENT_FOLDERS:
        for path in (ROOT / folder).rglob("*.py"):
            place = path.relative_to(ROOT).parent
            assert place in (Path("evaluation/benchmarks"), Path("docs")), f"{path} belongs into synthkit/"
            assert path.name != "__init__.py", f"{path} makes a package of a content folder"


def test_no_test_folder_is_a_package() -> None:
    assert not list((ROOT / "tests").rglob("__init__.py"))


def test_every_folder_of_the_package_is_importable() -> None:
    """A folder without ``__init__.py`` would be missing from the wheel only."""
    for path in SOURCES:
        assert (path.parent / "__init__.py").exists(), f"{path.parent.relative_to(ROOT)} lacks __init__.py"


def test_the_wheel_has_one_top_level_name(tmp_path: Path) -> None:
    """Built from a copy, because setuptools writes into the tree that it builds from."""
    source = tmp_path / "source"
    ignored = shutil.ignore_patterns("__pycache__", "*.egg-info")
    shutil.copytree(PACKAGE, source / "synthkit", ignore=ignored)
    for folder in (*CONTENT_FOLDERS, "tests"):
        if (ROOT / folder).is_dir():
            shutil.copytree(ROOT / folder, source / folder, ignore=ignored)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source / name)
    arguments = ["--wheel", "--no-isolation", "--outdir", str(tmp_path), str(source)]
    built = subprocess.run([sys.executable, "-m", "build", *arguments], capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stdout + built.stderr
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    assert {name.split("/")[0] for name in names if ".dist-info/" not in name} == {"synthkit"}
    shipped = {name for name in names if name.startswith("synthkit/")}
    on_disk = {path.relative_to(ROOT).as_posix() for path in PACKAGE.rglob("*") if path.is_file()}
    assert shipped == {name for name in on_disk if "__pycache__" not in name}


def test_help_imports_nothing_heavy() -> None:
    code = "import sys\nfrom synthkit.cli import run\nrun(['--help'])\nprint(*sys.modules, sep='\\n')"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    imported = {line.split(".")[0] for line in out.splitlines()}
    assert "Usage: synthkit" in out
    assert not imported & (HEAVY | {"numpy", "rich", "pydantic", "yaml"})


def test_the_help_of_every_verb_imports_nothing_heavy() -> None:
    code = (
        "import sys\nfrom synthkit.cli import VERBS, run\n"
        "codes = [run([verb, '--help']) for verb in VERBS]\nprint(*sys.modules, sep='\\n')\nsys.exit(any(codes))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    assert not {line.split(".")[0] for line in result.stdout.splitlines()} & HEAVY


def test_import_synthkit_imports_nothing_heavy() -> None:
    code = "import sys, synthkit\ndir(synthkit)\nprint(*sys.modules)"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert not {name.split(".")[0] for name in out.split()} & HEAVY


@pytest.mark.parametrize("verb", VERBS)
class TestEveryVerb:
    def test_has_a_module(self, verb: str) -> None:
        assert importlib.util.find_spec(VERBS[verb][0]) is not None

    def test_explains_itself_and_each_option(self, verb: str) -> None:
        command = group.get_command(click.Context(group), verb)
        assert command is not None
        assert command.help
        assert len(command.help.split()) >= 5
        assert VERBS[verb][1].endswith(".")
        subcommands = command.commands if isinstance(command, click.Group) else {}
        for name, one in {verb: command, **subcommands}.items():
            assert len((one.help or "").split()) >= 5, f"{verb} {name} does not explain itself"
            for parameter in one.params:
                if isinstance(parameter, click.Option):
                    assert parameter.help, f"{name} {parameter.opts[0]} has no help"

    def test_module_holds_one_verb(self, verb: str) -> None:
        # a module named run would hide the function synthkit.cli.run
        expected = {"run": "run_pipeline"}.get(verb, verb)
        assert Path(importlib.util.find_spec(VERBS[verb][0]).origin or "").stem == expected


def test_public_names_are_what_they_say() -> None:
    import synthkit

    for name in synthkit.__all__:
        assert getattr(synthkit, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = synthkit.nothing
