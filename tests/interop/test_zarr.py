"""Pyramids in Zarr groups: bits, metadata, memory, runs that were killed, and what is refused."""

import json
from collections import Counter

import numpy as np
import pytest
from bits import assert_same
from process import run

import fastpool

zarr = pytest.importorskip("zarr", "3")
da = pytest.importorskip("dask.array")

from fastpool.interop.zarr import write_pyramid  # noqa: E402

RNG = np.random.default_rng(0)
VOLUME = RNG.integers(0, 255, (37, 50, 41)).astype(np.uint8)
CHUNKS = (8, 16, 16)
LEVELS = fastpool.pyramid(VOLUME, levels=3)  # until one chunk holds all


def assert_levels(found, expected):
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        assert_same(one[...], other)


@pytest.mark.parametrize("zarr_format", [2, 3])
@pytest.mark.parametrize("workers", [1, 3])
@pytest.mark.parametrize("memory", [1, 20_000, 10**8])
def test_levels_are_those_of_pyramid(zarr_format, workers, memory):
    group = zarr.create_group({}, zarr_format=zarr_format)
    levels = write_pyramid(VOLUME, group, chunks=CHUNKS, workers=workers, memory=memory)
    assert_levels(levels, LEVELS)
    assert sorted(group) == ["0", "1", "2", "3"]
    assert [level.chunks for level in levels] == [CHUNKS, CHUNKS, (8, 13, 11), (5, 7, 6)]
    assert dict(group.attrs) == {}


@pytest.mark.parametrize(
    "options",
    [
        {"method": "mode", "levels": 3},
        {"method": "median", "boundary": "trim", "levels": 2},
        {"factors": [(1, 2, 2), (2, 2, 2)]},
        {"factors": 3, "axes": (1, 2), "levels": 4},
        {"nodata": 7, "min_count": 5, "levels": 3},
        {"method": "any", "nodata": 7, "levels": 2},
        {"dtype": "float32", "levels": 2},
        {"levels": 0},
    ],
    ids=str,
)
def test_arguments_of_pyramid(options):
    levels = write_pyramid(VOLUME, zarr.create_group({}), chunks=CHUNKS, memory=1, **options)
    assert_levels(levels, fastpool.pyramid(VOLUME, **options))


def test_what_x_may_be(tmp_path):
    expected = fastpool.pyramid(VOLUME, levels=1)
    np.save(tmp_path / "x.npy", VOLUME)
    other = zarr.create_array({}, shape=VOLUME.shape, chunks=(5, 50, 9), dtype="u1")
    other[...] = VOLUME
    for x in (
        [[list(row) for row in plane] for plane in VOLUME],
        np.load(tmp_path / "x.npy", mmap_mode="r"),
        da.from_array(VOLUME, chunks=(10, 7, 41)),
        other,
    ):
        levels = write_pyramid(x, zarr.create_group({}), levels=1, memory=1)
        assert_levels(levels, expected)
        if hasattr(x, "chunksize"):
            assert levels[0].chunks == x.chunksize
        if x is other:
            assert levels[0].chunks == other.chunks


def test_an_array_in_its_group_stays():
    group = zarr.create_group({})
    x = group.create_array("0", shape=VOLUME.shape, chunks=CHUNKS, dtype="u1")
    x[...] = VOLUME
    x.attrs["mine"] = 1
    levels = write_pyramid(x, group, levels=2)
    assert levels[0] is x
    assert x.attrs["mine"] == 1
    assert_levels(levels, LEVELS[:3])


def test_shards_are_written_once():
    x = zarr.create_array({}, shape=(64, 64), chunks=(4, 4), shards=(16, 16), dtype="u2")
    x[...] = RNG.integers(0, 999, x.shape)
    levels = write_pyramid(x, zarr.create_group({}), levels=2, workers=2, memory=1)
    assert [level.shards for level in levels] == [(16, 16)] * 3
    assert_levels(levels, fastpool.pyramid(x[...], levels=2))


class Counting(zarr.storage.MemoryStore):
    """A store that counts how often each of its keys is written."""

    def __init__(self):
        super().__init__()
        self.counts = Counter()

    async def set(self, key, value, *rest, **more):
        self.counts[key] += 1
        await super().set(key, value, *rest, **more)


@pytest.mark.parametrize("memory", [1, 50_000, 10**8])
def test_no_chunk_is_written_twice(memory):
    """So workers never meet in one, and what is written is whole."""
    store = Counting()
    write_pyramid(VOLUME + 1, zarr.create_group(store), chunks=CHUNKS, memory=memory, workers=3)
    chunks = {key: count for key, count in store.counts.items() if "/c/" in key}
    assert sum(key.startswith("0/c/") for key in chunks) == 5 * 4 * 3
    assert set(chunks.values()) == {1}


class Spied:
    """An array of which nobody may read much at a time."""

    def __init__(self, array):
        self.array, self.shape, self.dtype = array, array.shape, array.dtype
        self.read = np.zeros(array.shape, int)
        self.most = 0

    def __getitem__(self, region):
        part = self.array[region]
        self.read[region] += 1
        self.most = max(self.most, part.nbytes)
        return part


@pytest.mark.parametrize("memory", [10_000, 40_000])
def test_memory_and_cells_read_once(memory):
    x = Spied(VOLUME)
    write_pyramid(x, zarr.create_group({}), chunks=CHUNKS, memory=memory)
    assert x.most <= memory / 2  # the other half is for what is made, and for codecs
    assert (x.read == 1).all()


def test_regions_grow_with_memory():
    few, many = Spied(VOLUME), Spied(VOLUME)
    write_pyramid(few, zarr.create_group({}), chunks=CHUNKS, memory=1)
    write_pyramid(many, zarr.create_group({}), chunks=CHUNKS, memory=10**8)
    assert few.most == 8 * 16 * 16
    assert many.most == VOLUME.nbytes


@pytest.mark.parametrize("zarr_format", [2, 3])
@pytest.mark.parametrize("method", ["mean", "stride"])
def test_metadata_of_ome_zarr(zarr_format, method, tmp_path):
    group = zarr.create_group(tmp_path / "x.zarr", zarr_format=zarr_format)
    group.attrs["mine"] = "kept"
    write_pyramid(
        VOLUME, group, [(1, 2, 2), (2, 3, 2)], method=method, names="zyx", spacing=(4, 1, 0.5),
        unit="micrometer", chunks=CHUNKS,
    )  # fmt: skip
    attributes = dict(group.attrs)
    assert attributes.pop("mine") == "kept"
    if zarr_format == 2:
        (entry,) = attributes["multiscales"]
        assert entry["version"] == "0.4"
        assert (tmp_path / "x.zarr" / "1" / "0" / "0" / "0").is_file()  # folders, as 0.4 wants
    else:
        assert attributes["ome"]["version"] == "0.5"
        (entry,) = attributes["ome"]["multiscales"]
        assert group["1"].metadata.dimension_names == ("z", "y", "x")
    space = {"type": "space", "unit": "micrometer"}
    assert entry["axes"] == [{"name": name, **space} for name in "zyx"]
    found = [data["coordinateTransformations"] for data in entry["datasets"]]
    scales = [[4, 1, 0.5], [4, 2, 1], [8, 6, 2]]
    assert [each[0] for each in found] == [{"type": "scale", "scale": scale} for scale in scales]
    # A block's middle: half a cell of level 0 beyond its first cell, for a factor of 2.
    middles = [[0, 0.5, 0.25], [2, 2.5, 0.75]] if method == "mean" else []
    assert [each[1] for each in found if len(each) > 1] == [
        {"type": "translation", "translation": middle} for middle in middles
    ]
    assert [data["path"] for data in entry["datasets"]] == ["0", "1", "2"]
    assert entry["name"] == "image"
    json.dumps(attributes, allow_nan=False)


@pytest.mark.parametrize("version", ["v04", "v05"])
def test_other_readers_take_the_metadata(version, tmp_path):
    models = pytest.importorskip(f"ome_zarr_models.{version}")
    group = zarr.create_group(tmp_path / "x.zarr", zarr_format=2 if version == "v04" else 3)
    x = RNG.integers(0, 99, (2, 3, 8, 20, 20)).astype(np.uint16)
    write_pyramid(x, group, 2, 2, axes=(-2, -1), names="tczyx", unit="nanometer")
    image = models.Image.from_zarr(group)
    text = str(image.attributes)
    assert "nanometer" in text


def test_names_that_an_array_has():
    x = zarr.create_array({}, shape=(8, 8), chunks=(4, 4), dtype="u1", dimension_names=("y", "x"))
    group = zarr.create_group({})
    write_pyramid(x, group)
    assert [axis["name"] for axis in group.attrs["ome"]["multiscales"][0]["axes"]] == ["y", "x"]


KILLED = """
import os, signal, sys
import numpy as np, zarr
from fastpool.interop.zarr import write_pyramid

seen = []
def progress(done, total):
    seen.append(done)
    if len(seen) == STOP:
        os.kill(os.getpid(), signal.SIGKILL)

x = np.random.default_rng(0).integers(0, 255, (37, 50, 41)).astype(np.uint8)
write_pyramid(x, PATH, chunks=(8, 16, 16), names="zyx", workers=WORKERS, memory=1,
              progress=progress)
"""


def killed(path, stop, workers=1):
    code = KILLED.replace("STOP", str(stop)).replace("PATH", repr(str(path)))
    with pytest.raises(AssertionError, match="status -9"):
        run(code.replace("WORKERS", str(workers)))


@pytest.mark.parametrize(("stop", "workers"), [(1, 1), (30, 1), (70, 2)])
def test_a_run_that_was_killed_goes_on(stop, workers, tmp_path):
    path = tmp_path / "x.zarr"
    killed(path, stop, workers)
    group = zarr.open_group(path, mode="r")
    assert "ome" not in group.attrs  # nobody takes it for finished
    assert "unfinished" in group.attrs["fastpool"]
    seen = []
    levels = write_pyramid(
        VOLUME, path, chunks=CHUNKS, names="zyx", memory=1,
        progress=lambda done, total: seen.append((done, total)),
    )  # fmt: skip
    assert_levels(levels, LEVELS)
    regions = 5 * 4 * 3 + 3 * 2 * 2 + 2 + 1
    assert regions - stop - workers <= len(seen) <= regions - stop + workers
    assert seen[-1][0] == seen[-1][1] == sum(level.size for level in levels)
    group = zarr.open_group(path, mode="r")
    assert sorted(group) == ["0", "1", "2", "3"]
    assert list(group.attrs) == ["ome"]


def interrupted(group, stop, **options):
    """A run that ends after some regions."""
    count = 0

    def progress(done, total):
        nonlocal count
        count += 1
        if count == stop:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_pyramid(VOLUME, group, chunks=CHUNKS, memory=1, progress=progress, **options)


def test_a_torn_region_is_made_again():
    """What a run wrote of a region, and had not marked, counts for nothing."""
    group = zarr.create_group({})
    interrupted(group, 10)
    group["0"][8:] = 99  # beyond the ten that are marked, which stay as they are
    levels = write_pyramid(VOLUME, group, chunks=CHUNKS, memory=1)
    assert_levels(levels, LEVELS)


def test_another_budget_goes_on_too():
    group = zarr.create_group({})
    interrupted(group, 65)
    levels = write_pyramid(VOLUME, group, chunks=CHUNKS, memory=200_000)
    assert_levels(levels, LEVELS)
    assert sorted(group) == ["0", "1", "2", "3"]


def test_a_level_that_somebody_deleted_is_made_again():
    group = zarr.create_group({})
    interrupted(group, 65)
    del group["0"]
    levels = write_pyramid(VOLUME, group, chunks=CHUNKS, memory=1)
    assert_levels(levels, LEVELS)


def test_an_unfinished_pyramid_with_other_arguments_is_left_alone():
    group = zarr.create_group({})
    interrupted(group, 3)
    with pytest.raises(ValueError, match=r"other arguments: method; go on with its own"):
        write_pyramid(VOLUME, group, chunks=CHUNKS, method="max")
    assert_levels(write_pyramid(VOLUME, group, chunks=CHUNKS), LEVELS)


@pytest.mark.parametrize("workers", [1, 3])
def test_an_error_ends_all_workers(workers):
    class Broken(Spied):
        def __getitem__(self, region):
            if region[0].start >= 16:
                raise OSError("the disk is gone")
            return super().__getitem__(region)

    group = zarr.create_group({})
    with pytest.raises(OSError, match="the disk is gone"):
        write_pyramid(Broken(VOLUME), group, chunks=CHUNKS, workers=workers, memory=1)
    assert "fastpool" in group.attrs
    levels = write_pyramid(VOLUME, group, chunks=CHUNKS)
    assert_levels(levels, LEVELS)


def test_levels_are_not_overwritten():
    group = zarr.create_group({})
    write_pyramid(VOLUME, group, levels=1)
    before = group["1"][...]
    with pytest.raises(FileExistsError, match='an array "0" already'):
        write_pyramid(VOLUME[::-1], group, levels=1)
    with pytest.raises(FileExistsError, match='an array "1" already'):
        write_pyramid(group["0"], group, levels=1, method="max")
    assert_same(group["1"][...], before)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"chunks": (8, 8)}, r"write_pyramid: chunks \(8, 8\) must have an entry"),
        ({"names": "yx"}, "must be as many different ones"),
        ({"names": "zzx"}, "must be as many different ones"),
        ({"names": "zyk"}, "must be as many different ones"),
        ({"names": "yxc"}, "in this order"),
        ({"spacing": (1, 1)}, "write_pyramid: spacing"),
        ({"spacing": (1, 1, 0)}, "write_pyramid: spacing"),
        ({"workers": 0}, "write_pyramid: workers"),
        ({"memory": 0}, "write_pyramid: workers 1 and memory 0"),
        ({"method": "foo"}, "write_pyramid: method must be one of"),
        ({"factors": 0}, "write_pyramid: factors must be at least 1"),
    ],
    ids=str,
)
def test_wrong_arguments(options, message):
    group = zarr.create_group({})
    with pytest.raises(ValueError, match=message):
        write_pyramid(VOLUME, group, **options)
    assert sorted(group) == []
    assert dict(group.attrs) == {}


@pytest.mark.parametrize("hidden", [False, True])
def test_masked_arrays_are_refused(hidden):
    x, group = np.ma.masked_equal(VOLUME, 7), zarr.create_group({})
    blocks = da.from_array(VOLUME, CHUNKS).map_blocks(np.ma.masked_equal, 7)
    assert isinstance(blocks._meta, np.ma.MaskedArray)
    if hidden:  # Dask does not know what the blocks are, until they are there
        blocks._meta = np.empty((0, 0, 0), np.uint8)
    for each in [blocks] if hidden else [x, list(x), blocks]:
        with pytest.raises(TypeError, match="write_pyramid: x is a masked array"):
            write_pyramid(each, group, chunks=CHUNKS)
    assert hidden or not dict(group.attrs)
