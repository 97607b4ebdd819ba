"""What of a pyramid is written: kept in its group until all is, so that a restart goes on.

The group's attributes say with what arguments the pyramid is made, and a group beside the levels
has one cell for each region of each level, a file of its own: it is written after the region.
So a region counts as written only if all its chunks are, whatever became of the process, and
threads and processes that write different regions do not meet.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import zarr

from ...api.regions import Grid

ATTRIBUTE = "fastpool"
MARKS = "unfinished"


def tidy(group: zarr.Group) -> None:
    """Remove what a run left that ended between its last two steps."""
    if ATTRIBUTE not in group.attrs and MARKS in group:
        del group[MARKS]


def forget(group: zarr.Group, name: str) -> None:
    """Nothing of a level is written: somebody has deleted its array."""
    if f"{MARKS}/{name}" in group:
        del group[f"{MARKS}/{name}"]


def begin(group: zarr.Group, arguments: dict[str, Any]) -> bool:
    """Say that a pyramid is being made; whether an earlier run has begun the same.

    Raises
    ------
    ValueError
        A pyramid with other arguments has been begun.
    """
    found = group.attrs.get(ATTRIBUTE)
    if found is None:
        group.attrs[ATTRIBUTE] = {MARKS: arguments}
        return False
    earlier = found.get(MARKS)
    if earlier != arguments:
        differ = sorted(key for key in arguments if (earlier or {}).get(key) != arguments[key])
        raise ValueError(
            f"write_pyramid: an unfinished pyramid lies in this group, made with other arguments: "
            f"{', '.join(differ)}; go on with its own, or delete the group"
        )
    return True


def marks_of(group: zarr.Group, name: str, grid: Grid) -> zarr.Array:
    """The cells that say which regions of a level are written: 1 if so."""
    marks = group.require_group(MARKS)
    sides = list(grid.sides)
    if name in marks:
        known = marks[name]
        if known.attrs.get("sides") == sides:
            return known
        del marks[name]  # cut in another way, with another budget of memory: the level anew
    return marks.create_array(
        name,
        shape=(len(grid),),
        chunks=(1,),
        dtype=np.uint8,
        fill_value=0,
        compressors=None,
        attributes={"sides": sides},
    )


def finish(group: zarr.Group, attributes: dict[str, Any]) -> None:
    """Say that all levels are there, with what readers look for, in one step; then tidy up."""
    kept = {key: value for key, value in dict(group.attrs).items() if key != ATTRIBUTE}
    ome = {**kept.get("ome", {}), **attributes.get("ome", {})}
    group.attrs.put({**kept, **attributes, **({"ome": ome} if ome else {})})
    tidy(group)
