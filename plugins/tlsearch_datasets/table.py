"""table: photos that a CSV file lists, one a line: where it lies, what it shows and, if wanted, what it belongs to."""

import csv
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path

from tlsearch import DataError, Dataset, DatasetSpec, ImageFile, Params, hookimpl

GROUP = "group"  # a column that may be missing under this name; under another one it was asked for
SEPARATORS = (",", ";", "\t")
MOST_BYTES = 256 * 2**20  # a million lines need a third of it
SHOWN = 20  # faults in a message


class TableOptions(Params):
    """Keys of `[data]` for this source."""

    path: str
    root: str | None = None
    path_column: str = "path"
    label_column: str = "label"
    group_column: str = GROUP


@dataclass(frozen=True, slots=True, kw_only=True)
class _Line:
    """One picture as the table has it; `number` is where its line begins in the file, from 1."""

    number: int
    path: str
    label: str
    group: str | None


@dataclass(slots=True, kw_only=True)
class _Table:
    """A table that is read; faults are reported together.

    Args:
        file: As it was named.
        root: Of the pictures, without links.
        faults: Numbers of lines, and what is wrong there.
    """

    file: Path
    root: Path
    faults: list[tuple[int, str]] = field(default_factory=list)

    def fault(self, line: int, why: str) -> None:
        self.faults.append((line, why))

    def refuse_faults(self, hint: str | None = None) -> None:
        """Raise DataError where there are any, in the order of their lines, with a way out where there is one."""
        if self.faults:
            told = [f"{self.file}:{line}: {why}" for line, why in sorted(self.faults, key=lambda fault: fault[0])]
            more = len(told) - SHOWN
            shown = [*told[:SHOWN], *([f"{self.file}: {more} more such lines"] if more > 0 else [])]
            raise DataError("\n".join(shown), hint=hint)


def load(options: TableOptions, cache_dir: Path) -> Dataset:
    """Read the list and find its files; reads no picture.

    Raises:
        DataError: Where the table cannot be read, lacks a column, or has lines that name no usable picture: all of
            them, with their numbers.
    """
    del cache_dir  # the photos are where they are
    file = Path(options.path).expanduser()
    text = _text(file)
    table = _Table(file=file, root=_root(options, file))
    lines = list(_lines(text, options, table))
    incomplete = len(table.faults)
    found = _found(lines, table)
    elsewhere = f"pictures are searched in {table.root}; data.root names another"
    table.refuse_faults(elsewhere if len(table.faults) > incomplete else None)
    if not lines:
        raise DataError(f"{file} lists no picture", hint="below the header there is one line a picture")
    classes = tuple(sorted({line.label for line in found.values()}))
    images = tuple(
        ImageFile(path=path, label=classes.index(line.label), group=line.group) for path, line in found.items()
    )
    return Dataset(root=table.root, classes=classes, images=images)


def _text(file: Path) -> str:
    if not file.exists():
        raise DataError(f"data.path: {file} does not exist", hint="it is relative to where the command runs")
    if not file.is_file():
        raise DataError(f"data.path: {file} is not a file", hint='a folder of photos is read by source = "folder"')
    if (size := file.stat().st_size) > MOST_BYTES:
        raise DataError(f"data.path: {file} has {size / 2**20:.0f} MiB, more than the {MOST_BYTES // 2**20} of a table")
    try:
        content = file.read_bytes()
    except OSError as error:
        raise DataError(f"data.path: {file} cannot be read: {error.strerror}") from error
    try:
        return content.decode("utf-8-sig")  # spreadsheets put a mark before the first column
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise DataError(
            f"{file}:{line}: not UTF-8 (byte {content[error.start]:#04x})", hint="save it as CSV in UTF-8"
        ) from error


def _root(options: TableOptions, file: Path) -> Path:
    """The folder that paths are relative to: the one that was named, else the table's own."""
    if options.root is None:
        return file.absolute().parent.resolve()
    root = Path(options.root).expanduser()
    if not root.is_dir():
        raise DataError(f"data.root: {root} is not a folder", hint="it is relative to where the command runs")
    return root.resolve()


def _lines(text: str, options: TableOptions, table: _Table) -> Iterator[_Line]:
    """The pictures' lines; a faulty line is noted and left out, and so are empty ones."""
    wanted = [options.path_column, options.label_column]
    rows = _rows(text, _separator(text, wanted), table)
    _, header = next(rows, (1, []))
    table.refuse_faults("a quote that opens a cell must be closed after it")
    names = [name.strip() for name in header]
    grouped = options.group_column in names or options.group_column != GROUP
    wanted += [options.group_column] if grouped else []
    for name in wanted:
        if names.count(name) != 1:
            has = ", ".join(repr(one) for one in names) or "no column"
            table.fault(1, f"{names.count(name)} columns are called {name!r}, and one must be; it has {has}")
    table.refuse_faults("name them with data.path_column and data.label_column")
    columns = [names.index(name) for name in wanted]
    for number, row in rows:
        if len(row) != len(names):
            table.fault(
                number, f"has {len(row)} {'cell' if len(row) == 1 else 'cells'}, and the header has {len(names)}"
            )
            continue
        path, label, *groups = (row[column] for column in columns)
        for name, cell in zip(wanted[:2], (path, label), strict=True):
            if not cell.strip():
                table.fault(number, f"has no {name}")
        if path.strip() and label.strip():
            group = "".join(groups).strip() or None
            yield _Line(number=number, path=path, label=label.strip(), group=group)


def _separator(text: str, wanted: Sequence[str]) -> str:
    """What stands between cells: with it the header has the wanted columns, or else the most of any."""

    def fits(separator: str) -> tuple[int, int]:
        names = [name.strip() for name in _header(text, separator)]
        return sum(name in names for name in wanted), len(names)

    return max(SEPARATORS, key=fits)


def _header(text: str, separator: str) -> list[str]:
    """The first row; its line cut at every separator where a quote in it is never closed, which `_rows` tells."""
    try:
        return next(csv.reader(StringIO(text, newline=""), delimiter=separator), [])
    except csv.Error:
        return text.splitlines()[0].split(separator)


def _rows(text: str, separator: str, table: _Table) -> Iterator[tuple[int, list[str]]]:
    """Rows with the lines on which they begin; a quoted cell may go over several."""
    reader = csv.reader(StringIO(text, newline=""), delimiter=separator, strict=True)
    while True:
        begins = reader.line_num + 1
        try:
            row = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            table.fault(begins, f"not CSV: {error}")
            return
        if any(row):
            yield begins, row


def _found(lines: Sequence[_Line], table: _Table) -> dict[Path, _Line]:
    """The file of each line; a picture that is listed twice alike counts once."""
    found: dict[Path, _Line] = {}
    for line in lines:
        path = Path(os.path.normpath(table.root / line.path))
        if (why := _unusable(line.path, path, table.root)) is not None:
            table.fault(line.number, f"{line.path!r} {why}")
            continue
        first = found.setdefault(path, line)
        if first.label != line.label:
            table.fault(line.number, f"{line.path!r} is {line.label!r}, and {first.label!r} in line {first.number}")
        elif first.group != line.group:
            table.fault(line.number, f"{line.path!r} is in another group than in line {first.number}")
    return found


def _unusable(name: str, path: Path, root: Path) -> str | None:
    """Why a line names no picture of this data; nothing is opened."""
    if "\0" in name:
        return "is no name of a file"
    if not path.is_relative_to(root):
        return "lies outside of the folder"
    try:
        target = path.resolve(strict=True)
    except (OSError, RuntimeError) as error:  # RuntimeError: a link that leads to itself, before Python 3.13
        return "does not exist" if isinstance(error, FileNotFoundError) else "cannot be reached"
    if not target.is_relative_to(root):
        return "is a link out of the folder"
    if not target.is_file():
        return "is not a file"
    return None if os.access(target, os.R_OK) else "may not be read"


@hookimpl
def tlsearch_datasets() -> Sequence[DatasetSpec]:
    """One's own photos, listed in a table."""
    return [DatasetSpec(name="table", options=TableOptions, load=load)]
