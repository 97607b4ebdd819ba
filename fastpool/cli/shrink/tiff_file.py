"""TIFF, as tifffile reads and writes it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import tifffile

from ...api.regions import Region
from ...rules.levels import Level
from .files import Work, reading

_SIDE = 256  # of the tiles that are written
# Compressions that lose nothing, and are kept where tifffile can write them.
_LOSSLESS = {"NONE", "ADOBE_DEFLATE", "DEFLATE", "LZW", "ZSTD", "LZMA", "PACKBITS"}
_PICKS = ("mode", "stride")  # methods that give colours of a palette


class Tiff:
    """The first series of images in such a file."""

    def __init__(self, path: Path) -> None:
        try:
            self._file = tifffile.TiffFile(path)
            self._series = self._file.series[0]
        except (OSError, MemoryError):
            raise
        except Exception as error:  # whatever a damaged file leads to
            raise ValueError(f"{path} is no TIFF that can be read: {error}") from None
        series = self._series
        self.page = series.keyframe
        self.shape, self.dtype, self.axes = series.shape, series.dtype, series.axes
        self.chunks = None
        self._path, self._offset = path, series.dataoffset
        self._array: Any = None
        if self._offset is None:
            # In tiles, strips or pages, perhaps compressed.
            import zarr

            self._array = zarr.open(series.aszarr(level=0), mode="r")
            self.chunks = self._array.chunks
        self.kept: dict[str, Any] = {}

    def __getitem__(self, region: Region) -> Any:
        with reading(self._path):
            if self._array is not None:
                return self._array[region]
            dtype = self.dtype.newbyteorder(self._file.byteorder)
            # A mapping of its own for each region: what was read before is no longer in memory.
            mapped = np.memmap(self._path, dtype, "r", self._offset, self.shape)
            return mapped[region].view(np.ndarray)

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def notes(self) -> Iterator[str]:
        """What tifffile knows of the file, and no other TIFF will say."""
        file, page = self._file, self.page
        if len(file.series) > 1:
            yield f"only the first of {len(file.series)} series is read"
        lost = [kind for kind in ("imagej", "ome", "geotiff", "lsm", "stk") if
                getattr(file, f"{kind}_metadata", None)]  # fmt: skip
        if lost:
            yield f"not kept: metadata of {', '.join(lost)}"
        if not _is_kept(page.compression):
            yield f"not kept: compression {_name(page.compression)}"
        names = [tag.name for tag in page.tags if tag.name not in _KNOWN]
        if names:
            yield f"not kept: tags {', '.join(names)}"


_KNOWN = {
    "NewSubfileType", "SubfileType", "ImageWidth", "ImageLength", "BitsPerSample", "Compression",
    "PhotometricInterpretation", "ImageDescription", "StripOffsets", "SamplesPerPixel",
    "RowsPerStrip", "StripByteCounts", "XResolution", "YResolution", "ResolutionUnit", "Software",
    "SampleFormat", "TileWidth", "TileLength", "TileOffsets", "TileByteCounts", "ExtraSamples",
    "PlanarConfiguration", "Predictor", "ColorMap", "FillOrder", "Orientation", "SubIFDs",
    "IJMetadata", "IJMetadataByteCounts", "YCbCrSubSampling", "JPEGTables", "YCbCrPositioning",
    "ReferenceBlackWhite", "ImageDepth", "TileDepth",
}  # fmt: skip

read = Tiff


def write(path: Path, work: Work) -> None:
    """Write a TIFF in tiles, with the colours, resolution and axes of one that is read."""
    shape = work.level.shape
    if len(shape) < 2 or 0 in shape:
        raise ValueError(f"a TIFF holds images of two axes and more, not of shape {shape}")
    source = work.source if isinstance(work.source, Tiff) else None
    axes = work.source.axes
    samples = source is not None and axes.endswith("S")
    rows = len(shape) - 2 - samples
    chunk = [1] * rows + [_SIDE, *shape[rows + 1 :]]
    arguments: dict[str, Any] = {"photometric": "minisblack", "metadata": None}
    if source is not None:
        arguments |= _like(source, work.level)
    if samples and "planarconfig" not in arguments:
        arguments["planarconfig"] = "contig"
    if axes:
        arguments["metadata"] = {"axes": axes}
    cells = work.level.result.itemsize * int(np.prod(shape, dtype=object))
    with tifffile.TiffWriter(path, bigtiff=cells > 2**32 - 2**25, ome=False) as file:
        file.write(
            _tiles(work, work.grid(chunk), rows),
            shape=shape,
            dtype=work.level.result.newbyteorder("="),
            tile=(_SIDE, _SIDE),
            **arguments,
        )


def _tiles(work: Work, grid: Any, rows: int) -> Iterator[np.ndarray]:
    """The tiles of all images in order, each whole image of a region after the other."""
    for _, cells in work.regions(grid):
        for image in cells.reshape(-1, *cells.shape[rows:]):
            for top in range(0, image.shape[0], _SIDE):
                for left in range(0, image.shape[1], _SIDE):
                    yield _filled(image[top : top + _SIDE, left : left + _SIDE])


def _filled(part: np.ndarray) -> np.ndarray:
    """A tile, with zeros where the image ends."""
    tile = np.zeros((_SIDE, _SIDE, *part.shape[2:]), part.dtype)
    tile[: part.shape[0], : part.shape[1]] = part
    return tile


def _name(tag: Any) -> str:
    """The name of a compression or a colour space; tifffile has none for unknown numbers."""
    return str(getattr(tag, "name", tag))


def _is_kept(compression: Any) -> bool:
    """Whether a compression loses nothing, and can be written: some are not without imagecodecs."""
    if _name(compression) not in _LOSSLESS:
        return False
    try:
        return tifffile.TIFF.COMPRESSORS[compression] is not NotImplemented
    except KeyError:
        return False


def _like(source: Tiff, level: Level) -> dict[str, Any]:
    """What of a TIFF holds for the one that is made of it."""
    page, axes = source.page, source.axes
    found: dict[str, Any] = {}
    photometric = _name(page.photometric)
    if photometric == "PALETTE":
        if level.method not in _PICKS:
            raise ValueError(
                f"colours of a palette have no {level.method}; --method mode or stride picks one"
            )
        found["colormap"] = page.colormap
    if axes.endswith("S"):
        found["photometric"] = "rgb" if source.shape[-1] in (3, 4) else "minisblack"
        if page.extrasamples and source.shape[-1] != 3:
            found["extrasamples"] = page.extrasamples
    elif photometric in ("MINISWHITE", "MINISBLACK", "PALETTE"):
        found["photometric"] = photometric.lower()
    if _name(page.compression) != "NONE" and _is_kept(page.compression):
        found["compression"] = page.compression
    if "XResolution" in page.tags and "YX" in axes:
        y = axes.index("Y")
        found["resolution"] = tuple(
            page.resolution[number] / level.factors[y + 1 - number] for number in (0, 1)
        )
        found["resolutionunit"] = page.resolutionunit
    return found
