"""What a window is reduced to: one record for each member of the family.

Backends, their choice of an algorithm, and the functions ask the record, never a name.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Operation:
    """How the cells of a window become one value.

    Attributes
    ----------
    name : str
        Its name in the functions: "max" in ``maxpool2d``.
    picks_cell : bool
        Whether the value is one of the window's cells, which then has an index.
    idempotent : bool
        Whether a cell may be seen twice. Then windows can be put together from parts that overlap
        (doubling), or from the ends of blocks (van Herk).
    sign : int
        For an operation that picks a cell: 1 if it picks the largest, -1 if it picks the least. A
        NaN beats every number either way.
    counts : bool
        For an operation that picks a cell: whether that is one of the most frequent value.
    ranks : bool
        For an operation that picks a cell: whether that is the first one of the middle value, of an
        even number the lower one. Zeros are equal, and a NaN beats every number.
    truth : bool
        Whether it asks which cells are not 0, and the result is a bool: True if some are
        (`sign` 1), or if all are (`sign` -1).
    """

    name: str
    picks_cell: bool
    idempotent: bool
    sign: int
    counts: bool = False
    ranks: bool = False
    truth: bool = False


MAXIMUM = Operation("max", picks_cell=True, idempotent=True, sign=1)
MINIMUM = Operation("min", picks_cell=True, idempotent=True, sign=-1)
MODE = Operation("mode", picks_cell=True, idempotent=False, sign=0, counts=True)
MEDIAN = Operation("median", picks_cell=True, idempotent=False, sign=0, ranks=True)
ANY = Operation("any", picks_cell=False, idempotent=True, sign=1, truth=True)
ALL = Operation("all", picks_cell=False, idempotent=True, sign=-1, truth=True)
SUM = Operation("sum", picks_cell=False, idempotent=False, sign=0)
NORM = Operation("lp", picks_cell=False, idempotent=False, sign=0)
AVERAGE = Operation("avg", picks_cell=False, idempotent=False, sign=0)
