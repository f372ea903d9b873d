"""What reading scans gives: the scans, and a report of what was found, used, left out and why."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from synthkit.io.scan_set import ScanSet
from synthkit.phrases import counted

_MOST_SHOWN = 20


@dataclass(frozen=True)
class LeftOut:
    """A file, or files of one series, that are not used.

    Attributes
    ----------
    file
        Relative to the folder that was read; the first of them.
    reason
        Why, in a few words.
    n_files
        Number of files.
    """

    file: str
    reason: str
    n_files: int = 1

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON-safe form."""
        return dict(vars(self))


@dataclass(frozen=True)
class FoundSeries:
    """A series, a volume or all pictures of one size, as they were found.

    Attributes
    ----------
    name
        Its first file, or the folder.
    modality
        DICOM's name of it.
    size
        Samples along each axis as they lie in the files.
    spacing
        In mm, along the same axes; None where unknown.
    n_files
        Files that it is made of.
    n_scans
        Scans that it became; 0 where it is left out.
    notes
        What was done to it, such as slices that were interpolated.
    """

    name: str
    modality: str
    size: tuple[int, ...]
    spacing: tuple[float, ...] | None = None
    n_files: int = 1
    n_scans: int = 1
    notes: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON-safe form."""
        return {name: list(value) if isinstance(value, tuple) else value for name, value in vars(self).items()}

    def describe(self) -> str:
        """Return one line."""
        said = f"{self.name}: {self.modality}, {' x '.join(map(str, self.size))}"
        if self.spacing is not None:
            said += f", {' x '.join(f'{one:.3g}' for one in self.spacing)} mm"
        said += f", {counted(self.n_files, 'file')} -> {counted(self.n_scans, 'scan')}"
        return "; ".join((said, *self.notes))


@dataclass(frozen=True)
class ReadingReport:
    """What was found where scans were read.

    Attributes
    ----------
    source
        What was read.
    n_files
        Number of files looked at.
    found
        Series, volumes or pictures, in the order in which they were used.
    left_out
        What is not used, and why.
    warnings
        What a user should know about the scans that are used.
    notes
        What was chosen: the rule of resampling, where labels come from.
    """

    source: str
    n_files: int = 0
    found: tuple[FoundSeries, ...] = ()
    left_out: tuple[LeftOut, ...] = ()
    warnings: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON-safe form."""
        return {
            "source": self.source,
            "files": self.n_files,
            "found": [one.to_dict() for one in self.found],
            "left_out": [one.to_dict() for one in self.left_out],
            "warnings": list(self.warnings),
            "notes": list(self.notes),
        }

    @property
    def n_left_out(self) -> int:
        """Number of files that are not used."""
        return sum(one.n_files for one in self.left_out)

    def describe(self, most: int = _MOST_SHOWN) -> str:
        """Return the report as lines of text.

        Parameters
        ----------
        most
            Of each list, how many lines are shown.
        """
        scans = sum(one.n_scans for one in self.found)
        lines = [f"{self.source}: {counted(self.n_files, 'file')}, {counted(scans, 'scan')}"]
        lines += _cut([f"  {one.describe()}" for one in self.found], most, "series")
        lines += [f"note: {one}" for one in self.notes]
        lines += [f"warning: {one}" for one in self.warnings]
        if self.left_out:
            lines.append(f"left out: {counted(self.n_left_out, 'file')}")
            why = [
                f"  {one.file}" + (f" and {one.n_files - 1:,} more" if one.n_files > 1 else "") + f": {one.reason}"
                for one in self.left_out
            ]
            lines += _cut(why, most, "files")
        return "\n".join(lines)


@dataclass(frozen=True)
class Reading:
    """Scans and the report of how they were read."""

    scans: ScanSet
    report: ReadingReport


@dataclass
class Notebook:
    """The report while it is being written."""

    source: str
    n_files: int = 0
    found: list[FoundSeries] = field(default_factory=list)
    left_out: list[LeftOut] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def leave(self, file: str, reason: str, n_files: int = 1) -> None:
        """Note that files are not used."""
        self.left_out.append(LeftOut(file, reason, n_files))

    def warn(self, text: str) -> None:
        """Note what a user should know, once."""
        if text not in self.warnings:
            self.warnings.append(text)

    def note(self, text: str) -> None:
        """Note a choice, once."""
        if text not in self.notes:
            self.notes.append(text)

    def report(self) -> ReadingReport:
        """Return what has been noted."""
        return ReadingReport(
            self.source, self.n_files, tuple(self.found), tuple(self.left_out), tuple(self.warnings), tuple(self.notes)
        )

    def reasons(self, most: int = 3) -> str:
        """Return the commonest reasons for which files were left out, in a few words."""
        counts: Counter[str] = Counter()
        for one in self.left_out:
            counts[one.reason] += one.n_files
        said = [f"{counted(n, 'file')}: {reason}" for reason, n in counts.most_common(most)]
        more = len(counts) - most
        return "; ".join(said) + (f"; and {more} more reasons" if more > 0 else "")


def _cut(lines: list[str], most: int, what: str) -> list[str]:
    return lines if len(lines) <= most else [*lines[:most], f"  and {len(lines) - most:,} more {what}"]
