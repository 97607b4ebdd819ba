"""``python -m fastpool``: info, check, demo."""

from __future__ import annotations

import argparse
import platform
import sys

import numpy as np

import fastpool

from . import check, demo, dispatch


def main(arguments: list[str] | None = None) -> int:
    """Run a command; the exit status is 0 if all is well."""
    parser = argparse.ArgumentParser(prog="python -m fastpool", description=fastpool.__doc__)
    commands = parser.add_subparsers(dest="command", required=True, metavar="command")
    commands.add_parser("info", help="versions, backends, threads, vectors, cache, defaults")
    checking = commands.add_parser(
        "check", help="compare the backends on this machine, byte by byte, on random cases"
    )
    checking.add_argument("--cases", type=_count, default=500, help="how many (default 500)")
    checking.add_argument("--seed", type=int, default=0, help="of the random cases (default 0)")
    training = commands.add_parser(
        "demo", help="train a network on handwritten digits with each backend, and draw it"
    )
    training.add_argument("--output", default="fastpool-demo.png", help="the picture's path")
    training.add_argument("--epochs", type=_count, default=demo.EPOCHS, help="how long to train")
    options = parser.parse_args(arguments)
    if options.command == "info":
        return info()
    if options.command == "check":
        return check.run(options.cases, options.seed)
    return demo.run(options.output, options.epochs)


def info() -> int:
    """Print what a bug report should say."""
    rows = {
        "fastpool": fastpool.__version__,
        "Python": f"{platform.python_version()} on {platform.system()} {platform.machine()}",
        "NumPy": np.__version__,
    }
    statuses = fastpool.backends()
    for status in statuses:
        rows[f"backend {status.name}"] = "usable" if status.available else status.reason
    try:
        rows["default backend"] = dispatch.current_default()
    except ValueError as error:
        rows["default backend"] = str(error)
    if statuses[1].available:
        from .backends.numba import jit

        rows |= jit.describe()
    width = max(map(len, rows))
    for name, value in rows.items():
        print(f"{name:<{width}}  {value}")
    return 0


def _count(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return number


if __name__ == "__main__":
    sys.exit(main())
