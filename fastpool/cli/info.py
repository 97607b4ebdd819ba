"""``python -m fastpool info``: what a bug report should say."""

from __future__ import annotations

import platform

import numpy as np

import fastpool

from ..dispatch import defaults, table


def run() -> int:
    """Print the versions, the backends, and what each usable backend says of itself."""
    rows = {
        "fastpool": fastpool.__version__,
        "Python": f"{platform.python_version()} on {platform.system()} {platform.machine()}",
        "NumPy": np.__version__,
    }
    statuses = fastpool.available_backends()
    for status in statuses:
        rows[f"backend {status.name}"] = "usable" if status.available else status.reason
    try:
        rows["default backend"] = defaults.current_default()
    except ValueError as error:  # the environment variable names no backend
        rows["default backend"] = str(error)
    for status in statuses:
        if status.available:
            rows |= table.load(status.name).describe()
    width = max(map(len, rows))
    for name, value in rows.items():
        print(f"{name:<{width}}  {value}")
    return 0
