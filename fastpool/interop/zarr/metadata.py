"""What OME-Zarr says of a pyramid: axes, and where the cells of each level lie."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import fastpool

# By the format of the Zarr group: the version of OME-Zarr that goes with it.
VERSIONS = {2: "0.4", 3: "0.5"}
_TYPES = {"t": "time", "c": "channel", "z": "space", "y": "space", "x": "space"}
_ORDER = ["time", "channel", "space"]


def check_axes(names: Sequence[str], dimensions: int) -> tuple[str, ...]:
    """The axes by name, as OME-Zarr allows them."""
    names = tuple(names)
    unknown = [name for name in names if name not in _TYPES]
    if unknown or len(names) != dimensions or len(set(names)) != dimensions:
        raise ValueError(
            f"write_pyramid: names {names} of {dimensions} axes must be as many different ones "
            f"of {', '.join(_TYPES)}"
        )
    types = [_TYPES[name] for name in names]
    if types != sorted(types, key=_ORDER.index) or types.count("space") not in (2, 3):
        raise ValueError(
            f"write_pyramid: names {names}: OME-Zarr wants time, channel and two or three axes of "
            "space, in this order"
        )
    return names


def check_spacing(spacing: Sequence[float] | None, dimensions: int) -> tuple[float, ...]:
    """The distance of neighbouring cells, for each axis."""
    found = (1.0,) * dimensions if spacing is None else tuple(map(float, spacing))
    if len(found) != dimensions or not all(0 < entry < math.inf for entry in found):
        raise ValueError(
            f"write_pyramid: spacing {found} must have {dimensions} positive numbers, one an axis"
        )
    return found


def multiscales(
    title: str,
    names: tuple[str, ...],
    spacing: tuple[float, ...],
    unit: str | None,
    steps: Sequence[tuple[int, ...]],
    method: str,
) -> dict[str, Any]:
    """The entry of "multiscales" for levels that are named by their numbers.

    The cell of a level lies in the middle of its block, half a cell of level 0 further for a block
    of two; the one of "stride" where the first cell of its block lay.
    """
    axes: list[dict[str, str]] = []
    for name in names:
        axis = {"name": name, "type": _TYPES[name]}
        if unit is not None and axis["type"] == "space":
            axis["unit"] = unit
        axes.append(axis)
    datasets, reach = [], (1,) * len(names)
    for level, step in enumerate([(1,) * len(names), *steps]):
        reach = tuple(cells * factor for cells, factor in zip(reach, step, strict=True))
        scale = [cells * side for cells, side in zip(reach, spacing, strict=True)]
        transformations: list[dict[str, Any]] = [{"type": "scale", "scale": scale}]
        if level and method != "stride":
            middle = [(cells - 1) / 2 * side for cells, side in zip(reach, spacing, strict=True)]
            transformations.append({"type": "translation", "translation": middle})
        datasets.append({"path": str(level), "coordinateTransformations": transformations})
    return {
        "name": title,
        "axes": axes,
        "datasets": datasets,
        "type": method,
        "metadata": {"method": "fastpool.pyramid", "version": fastpool.__version__},
    }


def attributes(zarr_format: int, entry: dict[str, Any]) -> dict[str, Any]:
    """The attributes of the group that say so."""
    version = VERSIONS[zarr_format]
    if version == "0.4":  # the version stands with each multiscale
        return {"multiscales": [{"version": version, **entry}]}
    return {"ome": {"version": version, "multiscales": [entry]}}
