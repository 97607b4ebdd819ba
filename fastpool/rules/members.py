"""The table of public functions: one row a member of the family and number of axes."""

from __future__ import annotations

from .call import Function
from .operation import AVERAGE, MAXIMUM, MINIMUM, MODE, NORM, SUM

DIMENSIONS = (1, 2, 3)


def _rows() -> list[Function]:
    rows = []
    for n in DIMENSIONS:
        for operation in (MAXIMUM, MINIMUM):
            pool = f"{operation.name}pool{n}d"
            rows += [
                Function(pool, "forward", operation, n, ("x",)),
                Function(f"{pool}_backward", "backward", operation, n, ("grad_output", "indices")),
            ]
        # An index says where its value belongs, whatever picked it: one unpooling serves both.
        rows.append(Function(f"maxunpool{n}d", "unpool", MAXIMUM, n, ("x", "indices")))
        rows += [
            Function(f"modepool{n}d", "forward", MODE, n, ("x",)),
            Function(f"avgpool{n}d", "forward", AVERAGE, n, ("x",)),
            Function(f"avgpool{n}d_backward", "backward", AVERAGE, n, ("grad_output",)),
            Function(f"sumpool{n}d", "forward", SUM, n, ("x",)),
            Function(f"lppool{n}d", "forward", NORM, n, ("x",)),
            Function(f"lppool{n}d_backward", "backward", NORM, n, ("grad_output", "x")),
        ]
        for operation in (MAXIMUM, AVERAGE):
            pool = f"adaptive_{operation.name}pool{n}d"
            gradients = ("grad_output", "indices") if operation.picks_cell else ("grad_output",)
            rows += [
                Function(pool, "forward", operation, n, ("x",), adaptive=True),
                Function(f"{pool}_backward", "backward", operation, n, gradients, adaptive=True),
            ]
    return rows


FUNCTIONS = {function.name: function for function in _rows()}
