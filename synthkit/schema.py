"""What a table is made of: one frozen record per column, and the readable YAML file they are kept in.

A schema is the agreement between all other parts: the encoder models what it says, the decoder restores what it says,
privacy takes its bounds from it. `Schema.infer` proposes one from data, a person edits it, `Schema.load` reads it back.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

from synthkit.errors import SchemaError, unknown_name

if TYPE_CHECKING:
    import pandas as pd

    from synthkit.schema_constraints import Constraint

ColumnType = Literal[
    "continuous", "integer", "categorical", "ordinal", "boolean", "datetime", "identifier", "constant", "text"
]
Role = Literal["target", "sensitive", "quasi-identifier", "person-key"]
Label = str | int | float | bool

COLUMN_TYPES: tuple[str, ...] = get_args(ColumnType)
ROLES: tuple[str, ...] = get_args(Role)
DOMAINS: tuple[str, ...] = ("inferred", "declared")
FORMAT_VERSION = 2
CONSTRAINTS_VERSION = 3
"""Format of schemas with constraints; those without are written as before, and read by older versions."""
MAX_LISTED_CATEGORIES = 1000
"""A categorical column with more categories than this keeps `categories=None`: the list is no longer readable."""


@dataclass(frozen=True, kw_only=True)
class Column:
    """One column of a table.

    Parameters
    ----------
    name : str
        The column's name.
    type : ColumnType
        How the column is modelled. `text` columns are left out of a model; `constant` ones (all-null columns too) are
        restored without being modelled.
    dtype : str
        The pandas dtype as read (`str(series.dtype)`); for columns of Python objects other than text also "date"
        (`datetime.date`), "decimal" (`decimal.Decimal`) and "number" (`int` and `float`).
    nullable : bool
        Whether cells may be missing.
    decimals : int, optional
        Continuous: the most decimals seen; None where values use the full precision of a float.
    minimum, maximum : float or int or str, optional
        Range of the values, sentinels left out; ISO text for date and time.
    categories : tuple, optional
        The values of a boolean, ordinal or categorical column, in order where they have one (ordinal columns, dtype
        "category"), else the most frequent first. None for categorical columns with more than 1,000 of them. The value
        of a constant column.
    ordered : bool
        The `ordered` flag of dtype "category".
    sentinels : tuple of float
        Numbers that stand for something else, such as -999 for "not measured".
    granularity : str, optional
        Date and time: "D", "h", "min", "s", "ms", "us" or "ns", the coarsest grid that all values sit on.
    timezone : str, optional
        Date and time: name of the zone, None for values without one.
    text_format : str, optional
        Date and time that came as text: the format to write it back in (see `synthkit.schema_dates`).
    pattern : str, optional
        Text identifier: the template for new values (see `synthkit.schema_text.generate_identifiers`).
    roles : tuple of Role
        "target", "sensitive", "quasi-identifier", "person-key".
    reason : str
        One sentence: why inference chose this type.

    Raises
    ------
    SchemaError
        Unknown type or role, or fields that contradict each other.
    """

    name: str
    type: ColumnType
    dtype: str
    nullable: bool = False
    decimals: int | None = None
    minimum: float | int | str | None = None
    maximum: float | int | str | None = None
    categories: tuple[Label, ...] | None = None
    ordered: bool = False
    sentinels: tuple[float, ...] = ()
    granularity: str | None = None
    timezone: str | None = None
    text_format: str | None = None
    pattern: str | None = None
    roles: tuple[Role, ...] = ()
    reason: str = ""

    def __post_init__(self) -> None:
        from synthkit.schema_rules import check_column

        for name in ("sentinels", "roles", "categories"):
            value = getattr(self, name)
            if isinstance(value, list):
                object.__setattr__(self, name, tuple(value))
        check_column(self)

    @property
    def is_numeric(self) -> bool:
        """Whether values are numbers on a line (type continuous or integer)."""
        return self.type in ("continuous", "integer")

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON-safe dictionary of the fields that differ from their default."""
        out: dict[str, Any] = {}
        for entry in dataclasses.fields(self):
            value = getattr(self, entry.name)
            if (
                entry.default is not dataclasses.MISSING
                and value == entry.default
                and type(value) is type(entry.default)
            ):
                continue
            out[entry.name] = list(value) if isinstance(value, tuple) else value
        return out

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> Column:
        """Inverse of `to_dict`; unknown, missing or ill-typed fields raise SchemaError."""
        from synthkit.schema_rules import clean_fields

        return cls(**clean_fields(fields))


COLUMN_FIELDS: tuple[str, ...] = tuple(entry.name for entry in dataclasses.fields(Column))


@dataclass(frozen=True)
class Schema:
    """The columns of a table, in order.

    Parameters
    ----------
    columns : tuple of Column
        At least one; names are distinct and at most one column has the role "target".
    domain : {"inferred", "declared"}
        Where bounds and categories come from: from the data, or from public knowledge. A person changes the first into
        the second; fitting under a privacy budget asks for it.
    records : int, optional
        The public number of records (rows, or persons), as far as a privacy budget needs one. Never counted from the
        data.
    constraints : tuple of Constraint
        What every row has to satisfy beyond the description of the columns; see `synthkit.schema_constraints`. All
        synthetic rows of a model satisfy them.

    Raises
    ------
    SchemaError
        No column, a duplicate name, more than one target, an unknown domain, a number of records below one, or
        constraints that do not fit the columns or each other.
    """

    columns: tuple[Column, ...]
    format_version: int = FORMAT_VERSION
    domain: str = "inferred"
    records: int | None = None
    constraints: tuple[Constraint, ...] = ()
    _index: dict[str, int] = field(default_factory=dict, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "columns", tuple(self.columns))
        if self.domain not in DOMAINS:
            raise SchemaError(unknown_name("domain", str(self.domain), DOMAINS))
        if self.records is not None and (isinstance(self.records, bool) or self.records < 1):
            raise SchemaError(f"records is {self.records!r}, expected a whole number from 1")
        if not self.columns:
            raise SchemaError("the schema has no columns", remedy="List at least one column under 'columns'")
        for position, column in enumerate(self.columns):
            if column.name in self._index:
                raise SchemaError(
                    f"the schema describes column {column.name!r} twice", remedy="Keep one of the two entries"
                )
            self._index[column.name] = position
        targets = [column.name for column in self.columns if "target" in column.roles]
        if len(targets) > 1:
            raise SchemaError(
                f"the schema has {len(targets)} target columns ({', '.join(map(repr, targets))}), expected at most one",
                remedy="Keep the role 'target' on one column",
            )
        if self.constraints:
            from synthkit.schema_constraint_rules import bind_constraints

            by_name = {column.name: column for column in self.columns}
            object.__setattr__(self, "constraints", bind_constraints(self.constraints, by_name))

    # ------------------------------------------------------------------ looking things up
    @property
    def names(self) -> list[str]:
        """Column names in order."""
        return [column.name for column in self.columns]

    @property
    def target(self) -> str | None:
        """Name of the column with the role "target", if any."""
        return next((column.name for column in self.columns if "target" in column.roles), None)

    def __getitem__(self, name: str) -> Column:
        """The column of that name; SchemaError naming the nearest one when there is none."""
        if name not in self._index:
            raise SchemaError(unknown_name("column", name, self.names))
        return self.columns[self._index[name]]

    def __contains__(self, name: object) -> bool:
        return name in self._index

    def __iter__(self) -> Iterator[Column]:
        return iter(self.columns)

    def __len__(self) -> int:
        return len(self.columns)

    def __repr__(self) -> str:
        from synthkit.schema_showing import schema_text

        return schema_text(self)

    def _repr_html_(self) -> str:
        from synthkit.schema_showing import schema_html

        return schema_html(self)

    # ------------------------------------------------------------------ changing things
    def replace(self, name: str, **changes: Any) -> Schema:
        """A copy in which the fields of one column are changed.

        Raises
        ------
        SchemaError
            Unknown column or field, or a value that does not fit it.
        """
        from synthkit.schema_rules import clean_fields

        changed = Column.from_dict({**self[name].to_dict(), **clean_fields(changes, partial=True)})
        columns = tuple(changed if column.name == name else column for column in self.columns)
        return dataclasses.replace(self, columns=columns)

    def with_roles(
        self,
        *,
        target: str | None = None,
        sensitive: Iterable[str] = (),
        quasi_identifiers: Iterable[str] = (),
        person_key: str | None = None,
    ) -> Schema:
        """A copy with these roles added; a new target or person key takes the place of the old one."""
        wanted: list[tuple[Role, str]] = [("sensitive", name) for name in sensitive]
        wanted += [("quasi-identifier", name) for name in quasi_identifiers]
        single: list[tuple[Role, str]] = []
        if target is not None:
            single.append(("target", target))
        if person_key is not None:
            single.append(("person-key", person_key))
        columns = {column.name: column for column in self.columns}
        for role, _ in single:
            for column in columns.values():
                if role in column.roles:
                    kept = tuple(old for old in column.roles if old != role)
                    columns[column.name] = dataclasses.replace(column, roles=kept)
        for role, name in wanted + single:
            column = columns[self[name].name]
            if role not in column.roles:
                columns[name] = dataclasses.replace(column, roles=(*column.roles, role))
        return dataclasses.replace(self, columns=tuple(columns.values()))

    def with_constraints(self, *constraints: Constraint) -> Schema:
        """A copy with these constraints added to those that it has.

        Raises
        ------
        SchemaError
            One does not fit the columns, or contradicts another.
        """
        return dataclasses.replace(self, constraints=(*self.constraints, *constraints))

    def only(self, names: Iterable[str]) -> Schema:
        """A copy with these columns alone, and the constraints that are about no others."""
        kept = {self[name].name for name in names}
        return dataclasses.replace(
            self,
            columns=tuple(column for column in self.columns if column.name in kept),
            constraints=tuple(one for one in self.constraints if kept.issuperset(one.names)),
        )

    # ------------------------------------------------------------------ data
    @classmethod
    def infer(
        cls,
        frame: pd.DataFrame,
        *,
        target: str | None = None,
        overrides: Mapping[str, Mapping[str, Any]] | None = None,
    ) -> Schema:
        """Propose a schema for a table.

        Parameters
        ----------
        frame : pandas.DataFrame of shape (n_rows, n_columns)
            At least two rows; the index is ignored.
        target : str, optional
            Column that gets the role "target".
        overrides : mapping of column name to mapping of field to value, optional
            Fields to set by hand, e.g. ``{"zip": {"type": "categorical"}}``. A changed type is applied to the data: the
            categories, range and so on are those of the new type.

        Returns
        -------
        Schema

        Raises
        ------
        DataError
            The table cannot be described: fewer than two rows, duplicate names, infinite numbers, a column of mixed
            types, a target with a single value.
        SchemaError
            An unknown column or field in `target` or `overrides`.
        """
        from synthkit.schema_inference import infer_schema

        return infer_schema(frame, target=target, overrides=overrides)

    def check(self, frame: pd.DataFrame, *, new_categories: bool = False) -> None:
        """Check that a table conforms to this schema.

        Parameters
        ----------
        frame : pandas.DataFrame
            Columns may come in any order.
        new_categories : bool
            Accept values that are not among the declared categories.

        Raises
        ------
        SchemaError
            A column is missing, unknown, or of another kind.
        DataError
            Cells that do not fit: missing where not nullable, infinite, not a declared category; the first rows and
            values are named.
        """
        from synthkit.schema_check import check_frame

        check_frame(self, frame, new_categories=new_categories)

    # ------------------------------------------------------------------ in and out
    def to_dict(self) -> dict[str, Any]:
        """Plain JSON-safe dictionary, as kept in model files."""
        version = max(self.format_version, CONSTRAINTS_VERSION) if self.constraints else self.format_version
        content: dict[str, Any] = {"format_version": version, "domain": self.domain}
        if self.records is not None:
            content["records"] = self.records
        content["columns"] = [column.to_dict() for column in self.columns]
        if self.constraints:
            content["constraints"] = [constraint.to_dict() for constraint in self.constraints]
        return content

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Schema:
        """Inverse of `to_dict`.

        Raises
        ------
        SchemaError
            Unknown keys, types or roles, or a newer format.
        """
        from synthkit.schema_rules import check_document

        columns = tuple(Column.from_dict(fields) for fields in check_document(content))
        constraints: tuple[Constraint, ...] = ()
        if content.get("constraints"):
            from synthkit.schema_constraint_rules import read_constraints

            constraints = read_constraints(content["constraints"])
        domain = content.get("domain", "inferred")
        return cls(columns, domain=domain, records=content.get("records"), constraints=constraints)

    def to_yaml(self) -> str:
        """The schema as YAML text meant to be read and edited by people."""
        from synthkit.schema_yaml import dump_schema

        return dump_schema(self)

    @classmethod
    def from_yaml(cls, text: str, *, source: str = "") -> Schema:
        """Read what `to_yaml` wrote, or what a person made of it.

        Parameters
        ----------
        text : str
            The YAML.
        source : str
            Name of the file, for messages.

        Raises
        ------
        SchemaError
            The text is not YAML, or not a schema.
        """
        from synthkit.schema_constraint_rules import MisplacedError
        from synthkit.schema_yaml import line_of, parse_yaml

        content = parse_yaml(text)
        try:
            return cls.from_dict(content)
        except MisplacedError as error:
            where = f"line {line_of(text, error.place)}" + (f" of {source!r}" if source else "")
            raise SchemaError(f"{error.what} ({where})", remedy=error.remedy) from error

    def save(self, path: str | Path, *, comment: str = "") -> None:
        """Write the YAML text to a file (whole or not at all), and a comment after it.

        Raises
        ------
        OutputError
            The file cannot be written.
        """
        from synthkit.archive import atomic_path

        with atomic_path(Path(path)) as temporary:
            Path(temporary).write_text(self.to_yaml() + comment, encoding="utf-8")

    @classmethod
    def load(cls, path: str | Path) -> Schema:
        """Read a YAML file.

        Raises
        ------
        SchemaError
            The file is missing or is not a schema.
        """
        try:
            text = Path(path).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
            raise SchemaError(
                f"cannot read the schema {str(path)!r}: {reason}",
                remedy="Write one with 'synthkit inspect DATA -o FILE'",
            ) from error
        return cls.from_yaml(text, source=str(path))


def is_finite_number(value: object) -> bool:
    """Whether a value is an int or a finite float (booleans are not numbers here)."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
