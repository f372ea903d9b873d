"""Options of reading scans, shared by the verbs that read some, and how a reading is told."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import click

if TYPE_CHECKING:
    from synthkit.io.scan_reading import Reading
    from synthkit.io.scan_set import ScanSet

Command = TypeVar("Command", bound=Callable[..., Any])

SCANS: dict[str, str] = dict.fromkeys(("labels", "masks", "split", "slices", "force_burned_in", "only"), "scans")
"""Names of the parameters of `ScanOptions`, for `synthkit.cli.kinds.refuse_options`."""

_OPTIONS = (
    click.option(
        "--labels",
        metavar="WHERE",
        help="Scans: classes from a CSV of files and labels, from folders, from a DICOM tag "
        "(tag:BodyPartExamined), or none. Folders are tried when left out.",
    ),
    click.option("--masks", metavar="FOLDER", help="Scans: a folder with a mask for each scan."),
    click.option("--split", metavar="NAME", help="Scans: the part to read, train, val or test.  [default: train]"),
    click.option(
        "--slices",
        type=click.Choice(["auto", "each", "volume"]),
        default="auto",
        show_default=True,
        help="Scans: whether each slice of a series is a scan of its own.",
    ),
    click.option("--force-burned-in", is_flag=True, help="Scans: use pictures that say text is burned into them."),
    click.option(
        "--only", metavar="CLASS", multiple=True, help="Scans: only those of this class. May be given several times."
    ),
)


@dataclass(frozen=True)
class ScanOptions:
    """How scans are read, as on the command line."""

    labels: str | None
    masks: str | None
    split: str | None
    slices: str
    force_burned_in: bool
    only: tuple[str, ...]

    @property
    def slices_wanted(self) -> bool | Literal["auto"]:
        """What `synthkit.read_scans` takes as `slices`."""
        by: dict[str, bool | Literal["auto"]] = {"auto": "auto", "each": True, "volume": False}
        return by[self.slices]

    def read(
        self, path: Path, *, size: int | tuple[int, ...] | None = None, quiet: bool = False, needed: bool = False
    ) -> ScanSet:
        """Read scans, and say on standard error what was read and left out.

        Parameters
        ----------
        path
            A file or folder.
        size
            Samples along each axis; mixed sizes are brought to the commonest one without it.
        quiet
            Say only what was left out.
        needed
            Whether classes are needed.

        Raises
        ------
        InputError
            Nothing can be used, an unknown class, or no classes where they are needed.
        """
        import numpy as np

        from synthkit.errors import InputError, unknown_name
        from synthkit.io.scans import read_scans

        reading = read_scans(
            path,
            labels=self.labels,
            masks=self.masks,
            size=size,
            slices=self.slices_wanted,
            split=self.split,
            force_burned_in=self.force_burned_in,
        )
        tell(reading, quiet=quiet)
        scans = reading.scans
        if (needed or self.only) and scans.labels is None:
            raise InputError(
                f"the scans in '{path}' have no classes",
                remedy="Put them into a folder for each class, or give --labels.",
            )
        if self.only and scans.labels is not None:
            known = {name: place for place, name in enumerate(scans.classes)}
            for name in self.only:
                if name not in known:
                    raise InputError(
                        f"--only names an {unknown_name('class', name, known)}", remedy="Choose one that there is."
                    )
            scans = scans.take(np.isin(scans.labels, [known[name] for name in self.only]))
        return scans


def scan_options(command: Command) -> Command:
    """Add the options of reading scans; the command gets them as one `ScanOptions` named ``reading``."""
    names = [field.name for field in dataclasses.fields(ScanOptions)]

    def gathered(*args: Any, **options: Any) -> Any:
        reading = ScanOptions(**{name: options.pop(name) for name in names})
        return command(*args, reading=reading, **options)

    gathered.__doc__, gathered.__name__ = command.__doc__, command.__name__
    # options that the command declared before this decorator was applied
    gathered.__click_params__ = list(getattr(command, "__click_params__", []))  # type: ignore[attr-defined]
    for option in reversed(_OPTIONS):
        gathered = option(gathered)
    return gathered  # type: ignore[return-value]


def tell(reading: Reading, *, quiet: bool = False) -> None:
    """Say on standard error what was read; what was left out and warnings are said even when quiet."""
    report = reading.report
    if not quiet or report.left_out or report.warnings:
        click.echo(report.describe(), err=True)


def asked_size(size: str | tuple[int, ...]) -> tuple[int, ...] | int | None:
    """Return the size to read scans with; None where it follows from the scans."""
    if isinstance(size, str):
        return None
    return size[0] if len(size) == 1 else size


def told_report(report: Mapping[str, Any]) -> dict[str, object]:
    """Return the report of a fit, ready to print."""
    from synthkit.scans.showing import summary

    return summary(report)
