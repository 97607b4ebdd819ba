"""The argument parser of ``python -m fastpool``, and the call of each command."""

from __future__ import annotations

import argparse
import sys

import fastpool

from . import bench, check, demo, info, shrink
from .bench import measure


def main(arguments: list[str] | None = None) -> int:
    """Run a command; the exit status is 0 if all is well."""
    given = sys.argv[1:] if arguments is None else arguments
    options = _parser().parse_args(shrink.joined(given))
    if options.command == "info":
        return info.run()
    if options.command == "shrink":
        return shrink.run(options)
    if options.command == "check":
        return check.run(options.cases, options.seed)
    if options.command == "bench":
        chosen = {bench.FAMILY: options.family, bench.IMAGES: options.images}
        return bench.run(
            options.cases,
            options.rounds,
            options.threads,
            options.plot,
            options.part or next((part for part in chosen if chosen[part] is not None), None),
            options.sample,
            options.seed,
            options.results,
            options.family or options.images or (),
        )
    return demo.run(options.output, options.epochs)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m fastpool", description=fastpool.__doc__)
    commands = parser.add_subparsers(dest="command", required=True, metavar="command")
    commands.add_parser("info", help="versions, backends, threads, vectors, cache, defaults")
    checking = commands.add_parser(
        "check", help="compare the backends on this machine, byte by byte, on random cases"
    )
    checking.add_argument("--cases", type=_count, default=500, help="how many (default 500)")
    checking.add_argument("--seed", type=int, default=0, help="of the random cases (default 0)")
    shrink.add_arguments(commands)
    training = commands.add_parser(
        "demo", help="pool a photograph, train a network that reads digits, and draw both"
    )
    training.add_argument("--output", default="fastpool-demo.png", help="the picture's path")
    training.add_argument("--epochs", type=_count, default=demo.EPOCHS, help="how long to train")
    measuring = commands.add_parser(
        "bench", help="measure fastpool beside other libraries, and print and draw the ratios"
    )
    every = (*measure.CASES, *bench.PARTS)
    listed = f"of {' '.join(every)} (default: all)"
    measuring.add_argument(
        "--cases", nargs="+", choices=every, default=every, metavar="X", help=listed
    )
    rounds = measure.ROUNDS
    measuring.add_argument("--rounds", type=_count, default=rounds, help=f"(default {rounds})")
    measuring.add_argument("--threads", type=_count, help="(default: the CPUs there are)")
    measuring.add_argument("--plot", metavar="FILE", help="draw it too")
    instead = measuring.add_mutually_exclusive_group()
    instead.add_argument(
        "--sweep",
        action="store_const",
        dest="part",
        const=bench.SWEEP,
        help="instead: windows, widths and sizes at random, beside torch and a copy",
    )
    instead.add_argument(
        "--sizes",
        action="store_const",
        dest="part",
        const=bench.SIZES,
        help="instead: the share of a copy's speed over the size of the input",
    )
    for name, parts in {
        bench.FAMILY: list(bench.family.PARTS),
        bench.IMAGES: list(bench.images.PARTS),
    }.items():
        instead.add_argument(
            f"--{name}",
            nargs="*",
            choices=parts,
            metavar="PART",
            help=f"instead: of {' '.join(parts)} (default: all), beside their peers and a copy",
        )
    number = bench.sweep.SAMPLE
    measuring.add_argument(
        "--sample", type=_count, default=number, help=f"cells of the sweep (default {number})"
    )
    measuring.add_argument("--seed", type=int, default=0, help="of the sweep (default 0)")
    measuring.add_argument(
        "--results",
        metavar="FILE",
        help="where the sweep keeps its cells: those that are there are not measured again",
    )
    return parser


def _count(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return number
