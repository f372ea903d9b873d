"""Schemas as YAML: readable, in the table's order, read by a safe loader that leaves yes, no and dates as text."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import yaml

from synthkit.errors import SchemaError

if TYPE_CHECKING:
    from synthkit.schema import Schema

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


class _Loader(yaml.SafeLoader):
    """Safe loader in which only true and false are booleans, dates stay text, and a key may appear once."""

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
    body = yaml.dump(content, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120)
    return HEADER + body


def parse_yaml(text: str, kind: str = "schema") -> Any:
    """Plain content of YAML text; SchemaError with line and column when it is not YAML. `kind` says what it holds."""
    try:
        loader = _Loader(text)
        try:
            return loader.get_single_data()
        finally:
            loader.dispose()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f" (line {mark.line + 1}, column {mark.column + 1})" if mark is not None else ""
        raise SchemaError(
            f"the {kind} is not valid YAML: {error.problem}{where}", remedy="Correct that line"
        ) from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        first = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise SchemaError(f"the {kind} is not valid YAML: {first}", remedy="Correct the file") from error
