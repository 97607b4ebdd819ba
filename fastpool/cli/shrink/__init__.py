"""``python -m fastpool shrink``: an array in a file, shrunk into another one, in bounded memory."""

from __future__ import annotations

import argparse
import os
import re
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from ...process.progress import Bar
from ...rules.arrays import data_type
from ...rules.levels import plan_levels
from . import files
from .files import File, Work, Write

_FAILED, _INTERRUPTED = 2, 130


def add_arguments(commands: Any) -> None:
    """Add the command to those of the parser."""
    command = commands.add_parser(
        "shrink",
        help="shrink the array of a .npy, TIFF or Zarr file into another one, in bounded memory",
        description="Shrink the array of a file into another one, region by region, as "
        "fastpool.downsample does. What the files are, their names say: .npy, .tif or .tiff, and "
        "Zarr where a folder's name ends with .zarr, as in volume.zarr/0.",
    )
    command.add_argument("input", metavar="IN")
    command.add_argument("output", metavar="OUT", help="must not exist")
    command.add_argument("--factors", nargs="+", type=int, required=True, metavar="N",
                         help="one for all axes, or one each")  # fmt: skip
    command.add_argument("--method", default="mean", help="mean, sum, min, max, median, mode, "
                         "stride, any or all (default mean)")  # fmt: skip
    command.add_argument("--axes", nargs="+", metavar="AXIS",
                         help="which the factors are for: numbers, or letters that a TIFF "
                         "names its axes by (default: all)")  # fmt: skip
    command.add_argument("--boundary", default="partial",
                         help="partial, trim, exact or pad (default partial)")  # fmt: skip
    command.add_argument("--nodata", type=_number, metavar="V", help="cells of V are missing")
    command.add_argument("--skipna", action="store_true", help="NaNs are missing")
    command.add_argument("--min-count", type=int, default=1, metavar="N",
                         help="cells that a block must not miss (default 1)")  # fmt: skip
    command.add_argument("--dtype", help="of means and sums (default: the array's own for means)")
    command.add_argument("--levels", type=int, metavar="N",
                         help="into Zarr alone: a group with the array itself and N levels, with "
                         "the metadata of OME-Zarr if the axes are known")  # fmt: skip
    command.add_argument("--memory", type=_bytes, default="256MB", metavar="SIZE",
                         help="for the regions in work (default 256MB)")  # fmt: skip


def joined(arguments: Sequence[str]) -> list[str]:
    """Negative numbers joined to their option: argparse takes -1e9 and -inf for options."""
    found: list[str] = []
    for each in arguments:
        if found and found[-1] == "--nodata" and re.match(r"-(\.?\d|inf|nan)", each, re.IGNORECASE):
            found[-1] += f"={each}"
        else:
            found.append(each)
    return found


def run(options: argparse.Namespace) -> int:
    """Shrink a file; the exit status is 0 if all is well."""
    bar = Bar("shrink")
    try:
        with _terminated():
            _run(options, bar)
    except KeyboardInterrupt:
        message, status = "interrupted; nothing is left of OUT", _INTERRUPTED
    except files.ERRORS as error:
        text = " ".join(str(error).split()).removeprefix("shrink: ")
        message, status = text or type(error).__name__, _FAILED
    else:
        bar.close()
        return 0
    bar.close()
    print(f"python -m fastpool shrink: {message}", file=sys.stderr)
    return status


def _run(options: argparse.Namespace, bar: Bar) -> None:
    target = Path(options.output)
    if os.path.lexists(target):
        raise FileExistsError(f"{target} exists already, and is not overwritten")
    if not target.absolute().parent.is_dir():
        raise FileNotFoundError(f"there is no folder {target.parent}")
    if Path(options.input).resolve() in target.resolve().parents:
        raise ValueError(f"{target} would lie within {options.input}, which is read")
    write = files.writer(target)
    with closing(files.reader(Path(options.input))) as source:
        _shrink(options, bar, source, target, write)


def _shrink(
    options: argparse.Namespace, bar: Bar, source: File, target: Path, write: Write
) -> None:
    axes = None if options.axes is None else [_axis(axis, source.axes) for axis in options.axes]
    factors = options.factors[0] if len(options.factors) == 1 else options.factors
    if options.levels is not None:
        write = files.writer_of_levels(target, options.levels)
    result = None if options.dtype is None else data_type("shrink", "dtype", options.dtype)
    (level,) = plan_levels(
        "shrink", source.shape, source.dtype, factors, 1, options.method, axes=axes,
        boundary=options.boundary, skipna=options.skipna, nodata=options.nodata,
        min_count=options.min_count, result=result,
    )  # fmt: skip
    work = Work(source, level, options.memory, bar)
    for note in source.notes():
        print(f"python -m fastpool shrink: {note}", file=sys.stderr)
    files.write_whole(target, lambda path: write(path, work))


def _axis(text: str, names: str) -> int:
    if re.fullmatch(r"-?\d+", text):
        return int(text)
    if names.count(text.upper()) != 1:
        raise ValueError(f"there is no axis {text}; axes are {names or 'known by number alone'}")
    return names.index(text.upper())


def _number(text: str) -> int | float:
    """An integer stays one, however large."""
    return int(text) if re.fullmatch(r"[+-]?\d+", text) else float(text)


def _bytes(text: str) -> int:
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([kMGT]?)(i?)B?", text)
    if match is None or not float(match[1]):
        raise argparse.ArgumentTypeError(f"{text} is no size such as 500MB or 1GiB")
    power = " kMGT".index(match[2] or " ")
    return int(float(match[1]) * (1024 if match[3] else 1000) ** power)


@contextmanager
def _terminated() -> Iterator[None]:
    """Let SIGTERM end the block as Ctrl-C does, which tidies up."""

    def interrupt(number: int, frame: Any) -> None:
        raise KeyboardInterrupt

    try:
        before = signal.signal(signal.SIGTERM, interrupt)
    except ValueError:  # in a thread that is not the main one
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
