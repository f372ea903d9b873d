"""YAML files: schemas as people read them, and a safe loader that leaves yes, no and dates as text."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from synthkit.errors import InputError, SchemaError, unknown_name

if TYPE_CHECKING:
    from synthkit.schema import Schema

_MOST_BYTES = 1_000_000
HEADER = """\
# synthkit schema: one entry per column, in the order of the table. Every field may be edited.
#   domain inferred (bounds and categories were read from the data) or declared (they are public knowledge: a person has
#          checked each of them; needed for a privacy budget, as is records, the public number of records)
#   type   continuous, integer, categorical, ordinal (categories in order), boolean, datetime,
#          identifier (new values are made up), constant, text (left out of the model)
#   roles  any of: target, sensitive, quasi-identifier, person-key
#   reason why the type was chosen; for readers only
"""


class _FlowList(list[Any]):
    """A list that is written on one line."""


class _Dumper(yaml.SafeDumper):
    """Safe dumper that indents lists and writes lists of values on one line."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        super().increase_indent(flow, False)


_Dumper.add_representer(
    _FlowList, lambda dumper, data: dumper.represent_sequence("tag:yaml.org,2002:seq", data, flow_style=True)
)


def _represent_text(dumper: _Dumper, text: str) -> yaml.ScalarNode:
    """Text in double quotes where it holds characters that only escapes bring back, such as other line breaks."""
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=None if text.isprintable() else '"')


_Dumper.add_representer(str, _represent_text)


class _AliasFound(Exception):
    """There is an alias: its name and its line, counted from 1."""


class _Loader(yaml.SafeLoader):
    """Safe loader in which only true and false are booleans, dates stay text, and a key may appear once.

    Aliases are refused: a few lines of them grow without end, and a file that people sign or share should say what it
    says in full.
    """

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            event = self.get_event()  # type: ignore[no-untyped-call]
            raise _AliasFound(event.anchor, event.start_mark.line + 1)
        return super().compose_node(parent, index)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode):
                if key.value in seen:
                    raise yaml.constructor.ConstructorError(
                        None, None, f"the key {key.value!r} appears twice", key.start_mark
                    )
                seen.add(key.value)
        return dict(super().construct_mapping(node, deep))


_BOOLEAN, _TIMESTAMP = "tag:yaml.org,2002:bool", "tag:yaml.org,2002:timestamp"
_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag not in (_BOOLEAN, _TIMESTAMP)]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver(_BOOLEAN, re.compile(r"^(?:true|True|TRUE|false|False|FALSE)$"), list("tTfF"))


def dump_schema(schema: Schema) -> str:
    """The schema as YAML text with a heading that explains the fields."""
    content = schema.to_dict()
    for fields in content["columns"]:
        for key, value in fields.items():
            if isinstance(value, list):
                fields[key] = _FlowList(value)
    if "constraints" in content:
        content["constraints"] = [flowing(fields) for fields in content["constraints"]]
    return HEADER + _dumped(content)


def dump_constraint(fields: Mapping[str, Any]) -> str:
    """One constraint as an entry of the list ``constraints:``, with lists of values on one line each."""
    return _dumped([flowing(fields)])


def flowing(fields: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a constraint, in which lists of plain values are written on one line."""

    def flow(value: Any) -> Any:
        if isinstance(value, list):
            nested = any(isinstance(entry, list) for entry in value)
            return [flow(entry) for entry in value] if nested else _FlowList(value)
        return {key: flow(entry) for key, entry in value.items()} if isinstance(value, dict) else value

    return {key: flow(value) for key, value in fields.items()}


def _dumped(content: Any) -> str:
    text: str = yaml.dump(content, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120)
    return text


def line_of(text: str, place: Sequence[str | int]) -> int:
    """The line, from 1, of the entry of a YAML text to which these keys and positions lead, as far as there are any."""
    loader = _Loader(text)
    try:
        node = loader.get_single_node()
    finally:
        loader.dispose()
    line = 1
    for step in place:
        if isinstance(node, yaml.MappingNode):
            found = [pair for pair in node.value if pair[0].value == str(step)]
            if not found:
                break
            line, node = found[0][0].start_mark.line + 1, found[0][1]
        elif isinstance(node, yaml.SequenceNode) and isinstance(step, int) and step < len(node.value):
            node = node.value[step]
            line = node.start_mark.line + 1
        else:
            break
    return line


def parse_yaml(text: str, kind: str = "schema") -> Any:
    """Return the plain content of a YAML text.

    Parameters
    ----------
    text
        The text.
    kind
        What it holds, for errors: for example "suite 'mine.yaml'".

    Raises
    ------
    SchemaError
        It is not YAML, or has an alias; says where.
    """
    try:
        loader = _Loader(text)
        try:
            return loader.get_single_data()
        finally:
            loader.dispose()
    except _AliasFound as error:
        alias, line = error.args
        raise SchemaError(
            f"the {kind} is wrong in line {line}: it has the alias '*{alias}', expected no aliases",
            remedy="Write out what it stands for, and put quotes around a pattern that begins with *.",
        ) from error
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f" (line {mark.line + 1}, column {mark.column + 1})" if mark is not None else ""
        raise SchemaError(
            f"the {kind} is not valid YAML: {error.problem}{where}", remedy="Correct that line"
        ) from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        first = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise SchemaError(f"the {kind} is not valid YAML: {first}", remedy="Correct the file") from error


def read_named(name: str | Path, kind: str, shipped: Mapping[str, str], folder: Traversable) -> tuple[str, str]:
    """Return the text of a YAML file that comes with the package or that a user wrote, and what to call it.

    Parameters
    ----------
    name
        Name of one that comes with the package, or path of a file.
    kind
        What it is, for errors: for example "suite".
    shipped
        Names and files of those that come with the package.
    folder
        Where these are.

    Raises
    ------
    InputError
        There is no such name or file, or it cannot be read, is no text, or has more than 1,000,000 bytes.
    """
    given = str(name)
    if given in shipped:
        return (folder / shipped[given]).read_text("utf-8"), given
    path = Path(name)
    if not path.exists():
        if path.suffix.lower() in (".yaml", ".yml"):
            raise InputError(f"there is no {kind} '{path}'", remedy="Check the path.")
        raise InputError(unknown_name(kind, given, shipped), remedy="Pass one of these or a YAML file.")
    try:
        with open(path, "rb") as file:
            data = file.read(_MOST_BYTES + 1)  # what a device or a growing file holds has no size beforehand
        if len(data) > _MOST_BYTES:
            raise InputError(f"the {kind} '{path}' has more than {_MOST_BYTES:,} bytes", remedy=f"Pass a {kind} file.")
        return data.decode("utf-8"), str(path)
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise InputError(f"cannot read the {kind} '{path}': {reason}", remedy="Check the path.") from error
