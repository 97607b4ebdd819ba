"""The table of public functions: one row a member of the family and number of axes."""

from __future__ import annotations

from .call import Function
from .operation import AVERAGE, MAXIMUM, SUM

DIMENSIONS = (1, 2, 3)


def _rows() -> list[Function]:
    rows = []
    for n in DIMENSIONS:
        pool = f"{MAXIMUM.name}pool{n}d"
        rows += [
            Function(pool, "forward", MAXIMUM, n, ("x",)),
            Function(f"{pool}_backward", "backward", MAXIMUM, n, ("grad_output", "indices")),
            Function(f"maxunpool{n}d", "unpool", MAXIMUM, n, ("x", "indices")),
            Function(f"avgpool{n}d", "forward", AVERAGE, n, ("x",)),
            Function(f"avgpool{n}d_backward", "backward", AVERAGE, n, ("grad_output",)),
            Function(f"sumpool{n}d", "forward", SUM, n, ("x",)),
        ]
    return rows


FUNCTIONS = {function.name: function for function in _rows()}
