"""What users can see of the choices that were made: the logger ``fastpool``.

It says which backend answers and why, which kernel runs and why (DEBUG), and what was compiled and
how long that took (INFO). Nothing is printed unless the user asks `logging` for it.
"""

from __future__ import annotations

import sys


def debug(message: str, *arguments: object) -> None:
    """Log a choice."""
    _log("debug", message, arguments)


def info(message: str, *arguments: object) -> None:
    """Log what took time."""
    _log("info", message, arguments)


def _log(level: str, message: str, arguments: tuple[object, ...]) -> None:
    # Whoever listens has imported it: a tenth of the time to import fastpool.
    logging = sys.modules.get("logging")
    if logging is not None:
        getattr(logging.getLogger("fastpool"), level)(message, *arguments)
