"""``python -m fastpool shrink``: bits, memory, what is refused, and what an early end leaves."""

import builtins
import os
import pathlib
import pickle
import sys

import numpy as np
import pytest
from bits import assert_same
from process import run

import fastpool
from fastpool.api import regions
from fastpool.cli import shrink
from fastpool.cli.main import main
from fastpool.cli.shrink import files

RNG = np.random.default_rng(0)
IMAGE = RNG.integers(0, 255, (101, 73)).astype(np.uint8)
VOLUME = RNG.integers(0, 999, (17, 40, 33)).astype(np.uint16)


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """A folder of its own, with an image in it."""
    monkeypatch.chdir(tmp_path)
    np.save("image.npy", IMAGE)
    return tmp_path


def shrunk(*arguments):
    """What is written beside the exit status 0."""
    assert main(["shrink", *map(str, arguments)]) == 0


def refused(capsys, *arguments, status=2):
    """The one line of an error, which leaves nothing behind."""
    before = sorted(os.listdir())
    assert main(["shrink", *map(str, arguments)]) == status
    captured = capsys.readouterr()
    assert captured.out == ""
    line, end = captured.err.split("\n")
    assert end == ""
    assert sorted(os.listdir()) == before
    prefix = "python -m fastpool shrink: "
    assert line.startswith(prefix)
    return line.removeprefix(prefix)


@pytest.mark.parametrize("memory", ["1kB", "20kB", "1GB"])
@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("dtype", ["u1", ">f4", "f8"])
def test_npy(memory, order, dtype, capsys):
    x = np.asarray(VOLUME.astype(dtype), order=order)
    np.save("in.npy", x)
    shrunk("in.npy", "out.npy", "--factors", 2, 1, 3, "--memory", memory)
    found = np.load("out.npy")
    expected = fastpool.downsample(x, (2, 1, 3))
    assert_same(np.ascontiguousarray(found), np.ascontiguousarray(expected))
    assert found.flags.fnc == (order == "F")
    assert capsys.readouterr() == ("", "")
    assert sorted(os.listdir()) == ["image.npy", "in.npy", "out.npy"]


@pytest.mark.parametrize(
    ("arguments", "options"),
    [
        (["--method", "median"], {"method": "median"}),
        (["--method", "max", "--boundary", "trim"], {"method": "max", "boundary": "trim"}),
        (["--axes", "-1"], {"axes": -1}),
        (["--nodata", "7", "--min-count", "3"], {"nodata": 7, "min_count": 3}),
        (["--dtype", "float32"], {"dtype": np.float32}),
        (["--method", "sum", "--dtype", "uint16"], {"method": "sum", "dtype": np.uint16}),
        (["--method", "any"], {"method": "any"}),
    ],
    ids=str,
)
def test_arguments_of_downsample(arguments, options):
    shrunk("image.npy", "out.npy", "--factors", 2, "--memory", "1kB", *arguments)
    assert_same(np.load("out.npy"), fastpool.downsample(IMAGE, 2, **options))


def test_missing_floats():
    x = np.where(RNG.random((30, 30)) < 0.5, np.nan, 1.5)
    np.save("in.npy", x)
    shrunk("in.npy", "out.npy", "--factors", 3, "--skipna", "--min-count", 4)
    assert_same(np.load("out.npy"), fastpool.downsample(x, 3, skipna=True, min_count=4))


def test_a_large_nodata_is_no_float():
    x = np.array([[2**63 - 1, 2**63 - 2, 5, 7]])
    np.save("in.npy", x)
    shrunk("in.npy", "out.npy", "--factors", 1, 2, "--nodata", 2**63 - 1)
    assert np.load("out.npy").tolist() == [[2**63 - 2, 6]]


@pytest.mark.parametrize("nodata", ["-9999", "-1e30", "-3.4028234663852886e+38", "-inf", "NaN"])
def test_nodata_as_files_write_it(nodata):
    x = np.array([[float(nodata), 1, 2, 3]], np.float32)
    np.save("in.npy", x)
    for arguments in (["--nodata", nodata], [f"--nodata={nodata}"]):
        shrunk("in.npy", "out.npy", "--factors", 1, 2, *arguments)
        assert np.load("out.npy").tolist() == [[1, 2.5]]
        os.remove("out.npy")


def test_no_pickle_is_loaded(capsys):
    with open("in.npy", "wb") as file:
        pickle.dump(IMAGE, file)
    text = refused(capsys, "in.npy", "out.npy", "--factors", 2)
    assert "magic string" in text
    assert "unsafe" not in text  # NumPy's advice to load it all the same


@pytest.mark.parametrize("shape", [(0, 5), (4, 0), (1,), ()])
def test_small_arrays(shape):
    x = np.ones(shape)
    np.save("in.npy", x)
    if shape:
        shrunk("in.npy", "out.npy", "--factors", 2)
        assert_same(np.load("out.npy"), fastpool.downsample(x, 2))


class TestRefused:
    def test_a_file_that_exists(self, capsys):
        np.save("out.npy", [1, 2])
        os.mkdir("out.zarr")
        os.symlink("nowhere", "link.npy")
        for name in ("out.npy", "image.npy", "link.npy", "out.zarr"):
            text = refused(capsys, "image.npy", name, "--factors", 2)
            assert text == f"{name} exists already, and is not overwritten"
        assert np.load("out.npy").tolist() == [1, 2]

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (["none.npy", "out.npy", "--factors", "2"], "there is no file none.npy"),
            (["image.npy", "none/out.npy", "--factors", "2"], "there is no folder none"),
            (["image.npy", "out.png", "--factors", "2"], "out.png: the format is not known"),
            (["image.png", "out.npy", "--factors", "2"], "image.png: the format is not known"),
            (["image.npy", "out.npy", "--factors", "0"], "factors must be at least 1, got 0"),
            (["image.npy", "out.npy", "--factors", "2", "2", "2"], "factors must be an integer"),
            (["image.npy", "out.npy", "--factors", "2", "--axes", "5"], "axes has 5"),
            (["image.npy", "out.npy", "--factors", "2", "--axes", "Q"], "there is no axis Q"),
            (["image.npy", "out.npy", "--factors", "2", "--method", "m"], "method must be one of"),
            (["image.npy", "out.npy", "--factors", "2", "--boundary", "b"], "boundary must be"),
            (["image.npy", "out.npy", "--factors", "2", "--boundary", "exact"], "axis 0 of x"),
            (["image.npy", "out.npy", "--factors", "2", "--nodata", "256"], "nodata is 256"),
            (["image.npy", "out.npy", "--factors", "2", "--dtype", "foo"], "dtype must be"),
            (["image.npy", "out.npy", "--factors", "2", "--levels", "2"], "--levels: out.npy"),
            (["text.npy", "out.npy", "--factors", "2"], "text.npy is no array in a file of NumPy"),
            (["objects.npy", "out.npy", "--factors", "2"], "objects.npy is no array"),
            (["cut.npy", "out.npy", "--factors", "2"], "cut.npy is no array"),
            (["archive.npy", "out.npy", "--factors", "2"], "archive.npy is no array"),
            (["torn.npy", "out.npy", "--factors", "2"], "torn.npy is no array"),
        ],
        ids=str,
    )
    def test_wrong_arguments(self, arguments, message, capsys):
        with open("text.npy", "w") as file:
            file.write("this is no array")
        open("image.png", "w").close()
        np.save("objects.npy", np.array([{}, []], object), allow_pickle=True)
        np.savez("archive.npz", IMAGE)
        with open("image.npy", "rb") as file, open("torn.npy", "wb") as torn:
            torn.write(file.read().replace(b"}", b"("))
        os.rename("archive.npz", "archive.npy")
        with open("image.npy", "rb") as file, open("cut.npy", "wb") as cut:
            cut.write(file.read()[:-100])
        assert refused(capsys, *arguments).startswith(message)

    @pytest.mark.parametrize("arguments", [
        ["image.npy", "out.npy"],
        ["image.npy", "--factors", "2"],
        ["image.npy", "out.npy", "--factors", "two"],
        ["image.npy", "out.npy", "--factors", "2", "--memory", "much"],
        ["image.npy", "out.npy", "--factors", "2", "--memory", "0MB"],
    ])  # fmt: skip
    def test_usage(self, arguments, capsys):
        with pytest.raises(SystemExit) as caught:
            main(["shrink", *arguments])
        assert caught.value.code == 2
        assert "usage:" in capsys.readouterr().err

    @pytest.mark.parametrize(("name", "library"), [("out.zarr", "zarr"), ("o.tif", "tifffile")])
    def test_a_library_that_is_missing(self, name, library, capsys, monkeypatch):
        load = builtins.__import__

        def without(module, *rest, **more):
            if module.partition(".")[0] == library:
                raise ModuleNotFoundError(f"No module named {library!r}", name=library)
            return load(module, *rest, **more)

        for module in list(sys.modules):
            if module.startswith(("fastpool.cli.shrink.", "fastpool.interop.zarr")):
                monkeypatch.delitem(sys.modules, module)
        monkeypatch.setattr(builtins, "__import__", without)
        text = refused(capsys, "image.npy", name, "--factors", 2)
        extra = {"zarr": "zarr", "tifffile": "tiff"}[library]
        assert text == f"{name}: {library} is not installed; pip install 'fastpool[{extra}]'"


def test_sizes():
    sizes = {"500": 500, "1kB": 1000, "2MB": 2 * 10**6, "1.5GB": 15 * 10**8, "1GiB": 2**30}
    assert {text: shrink._bytes(text) for text in sizes} == sizes


class TestEarlyEnd:
    """Nothing is left, and a next run begins anew."""

    @pytest.fixture(params=["out.npy", "out.zarr", "out.tif"])
    def output(self, request):
        library = {"out.zarr": "zarr", "out.tif": "tifffile"}.get(request.param)
        if library is not None:
            pytest.importorskip(library)
        return request.param

    @pytest.fixture
    def ending(self, monkeypatch):
        """Let a run end with an error, or do something else, after some regions."""

        def set_up(action):
            count, make = 0, regions.of_region

            def of_region(*arguments):
                nonlocal count
                count += 1
                if count == 3:
                    action()
                return make(*arguments)

            monkeypatch.setattr(files, "of_region", of_region)

        return set_up

    ARGUMENTS = "--factors", 1, 1, "--memory", "100kB"

    @pytest.fixture(autouse=True)
    def large(self):
        np.save("large.npy", np.tile(IMAGE, (40, 30)))  # some regions, of tiles too

    def test_ctrl_c(self, output, ending, capsys):
        def interrupt():
            raise KeyboardInterrupt

        ending(interrupt)
        text = refused(capsys, "large.npy", output, *self.ARGUMENTS, status=130)
        assert text == "interrupted; nothing is left of OUT"
        shrunk("large.npy", output, *self.ARGUMENTS)

    def test_sigterm(self, output, ending, capsys):
        import signal

        before = signal.getsignal(signal.SIGTERM)
        ending(lambda: os.kill(os.getpid(), signal.SIGTERM))
        refused(capsys, "large.npy", output, *self.ARGUMENTS, status=130)
        assert signal.getsignal(signal.SIGTERM) is before

    def test_a_full_disk(self, output, ending, capsys):
        def full():
            raise OSError(28, "No space left on device")

        ending(full)
        text = refused(capsys, "large.npy", output, *self.ARGUMENTS)
        assert text == "[Errno 28] No space left on device"

    def test_a_file_that_comes_to_be_meanwhile(self, ending, capsys):
        def other():
            np.save("out.npy", [1, 2])

        ending(other)
        assert main(["shrink", "large.npy", "out.npy", *map(str, self.ARGUMENTS)]) == 2
        assert "out.npy exists already" in capsys.readouterr().err
        assert np.load("out.npy").tolist() == [1, 2]
        assert sorted(os.listdir()) == ["image.npy", "large.npy", "out.npy"]

    def test_a_run_that_was_killed(self, output, capsys):
        """There is no OUT, and the next run says what lies beside it."""
        code = f"""
        import os, signal
        from fastpool.cli.main import main
        from fastpool.cli.shrink import files

        make, count = files.of_region, []
        def of_region(*arguments):
            count.append(1)
            if len(count) == 3:
                os.kill(os.getpid(), signal.SIGKILL)
            return make(*arguments)
        files.of_region = of_region
        os.chdir({os.getcwd()!r})
        main(["shrink", "large.npy", {output!r}, *{[str(each) for each in self.ARGUMENTS]}])
        """
        with pytest.raises(AssertionError, match="status -9"):
            run(code)
        assert not os.path.lexists(output)
        shrunk("large.npy", output, *self.ARGUMENTS)
        (left,) = (name for name in os.listdir() if name.endswith(".part"))
        assert capsys.readouterr().err == (
            f"python -m fastpool shrink: {left} is of a run that goes on, or was killed\n"
        )


class TestZarr:
    @pytest.fixture(autouse=True)
    def library(self):
        self.zarr = pytest.importorskip("zarr", "3")

    def volume(self, zarr_format=3, **options):
        if zarr_format == 3:
            options["dimension_names"] = "zyx"
        group = self.zarr.open_group("in.zarr", mode="w", zarr_format=zarr_format)
        array = group.create_array("a", shape=VOLUME.shape, chunks=(4, 8, 8), dtype="u2", **options)
        array[...] = VOLUME
        array.attrs["mine"] = [1, 2]
        return array

    @pytest.mark.parametrize("zarr_format", [2, 3])
    @pytest.mark.parametrize("memory", ["1kB", "1GB"])
    def test_arrays(self, zarr_format, memory, capsys):
        self.volume(zarr_format)
        shrunk("in.zarr/a", "out.zarr", "--factors", 2, 2, 1, "--memory", memory)
        found = self.zarr.open_array("out.zarr", mode="r")
        assert_same(found[...], fastpool.downsample(VOLUME, (2, 2, 1)))
        assert found.metadata.zarr_format == zarr_format
        assert found.chunks == (4, 8, 8)
        assert dict(found.attrs) == {"mine": [1, 2]}
        assert "attributes go on as they are, whatever they say: mine" in capsys.readouterr().err

    @pytest.mark.parametrize("options", [[], ["--levels", 1]], ids=str)
    def test_a_damaged_chunk(self, options, capsys):
        self.zarr.create_array("in.zarr", data=IMAGE)
        (chunk,) = (path for path in pathlib.Path("in.zarr/c").rglob("*") if path.is_file())
        cells = bytearray(chunk.read_bytes())
        cells[:20] = bytes(20)
        chunk.write_bytes(cells)
        assert main(["shrink", "in.zarr", "out.zarr", "--factors", "2", *map(str, options)]) == 2
        assert not os.path.exists("out.zarr")
        last = capsys.readouterr().err.splitlines()[-1]
        assert last.startswith("python -m fastpool shrink: in.zarr cannot be read: ")

    def test_out_within_in(self, capsys):
        self.zarr.create_array("in.zarr", data=IMAGE)
        for name in ("in.zarr/out.zarr", "./in.zarr/c/../out.npy"):
            text = refused(capsys, "in.zarr", name, "--factors", 2)
            assert text.endswith("would lie within in.zarr, which is read")

    def test_axes_by_name(self):
        self.volume()
        shrunk("in.zarr/a", "out.npy", "--factors", 2, "--axes", "y", "X")
        assert_same(np.load("out.npy"), fastpool.downsample(VOLUME, (1, 2, 2)))

    def test_levels(self):
        self.volume()
        shrunk("in.zarr/a", "out.zarr", "--factors", 2, "--levels", 2, "--method", "max")
        group = self.zarr.open_group("out.zarr", mode="r")
        levels = fastpool.pyramid(VOLUME, 2, 2, "max")
        for name, level in zip("012", levels, strict=True):
            assert_same(group[name][...], level)
        (entry,) = group.attrs["ome"]["multiscales"]
        assert [axis["name"] for axis in entry["axes"]] == ["z", "y", "x"]
        assert sorted(group) == ["0", "1", "2"]

    def test_levels_without_names(self, capsys):
        shrunk("image.npy", "out.zarr", "--factors", 2, "--levels", 1)
        assert "without metadata of OME-Zarr" in capsys.readouterr().err
        group = self.zarr.open_group("out.zarr", mode="r")
        assert dict(group.attrs) == {}
        assert_same(group["1"][...], fastpool.downsample(IMAGE, 2))

    def test_a_group_is_no_array(self, capsys):
        self.volume()
        text = refused(capsys, "in.zarr", "out.zarr", "--factors", 2)
        assert text == "in.zarr is a Zarr group; name one of its arrays: a"

    def test_a_folder_is_no_array(self, capsys):
        os.mkdir("none.zarr")
        text = refused(capsys, "none.zarr", "out.zarr", "--factors", 2)
        assert text.startswith("none.zarr is no Zarr array")


class TestTiff:
    @pytest.fixture(autouse=True)
    def library(self):
        self.tifffile = pytest.importorskip("tifffile")
        pytest.importorskip("zarr", "3")

    @pytest.mark.parametrize("how", ["strips", "tiles", "deflate", "big-endian", "big"])
    @pytest.mark.parametrize("memory", ["1kB", "1GB"])
    def test_images(self, how, memory, capsys):
        x = np.tile(VOLUME[0], (15, 12))
        options = {
            "strips": {"compression": "zlib", "rowsperstrip": 7},
            "tiles": {"tile": (32, 48)},
            "deflate": {"tile": (64, 64), "compression": "adobe_deflate"},
            "big-endian": {"byteorder": ">"},
            "big": {"bigtiff": True},
        }[how]
        self.tifffile.imwrite("in.tif", x, resolution=(300, 200), **options)
        shrunk("in.tif", "out.tiff", "--factors", 3, 2, "--memory", memory)
        with self.tifffile.TiffFile("out.tiff") as file:
            assert_same(file.asarray(), fastpool.downsample(x, (3, 2)))
            page = file.pages[0]
            assert page.resolution == (150, pytest.approx(200 / 3))
            compressed = how in ("strips", "deflate")
            assert page.compression.name == ("ADOBE_DEFLATE" if compressed else "NONE")
            assert file.series[0].axes == "YX"
        assert capsys.readouterr() == ("", "")

    def test_channels_and_names_of_axes(self):
        x = RNG.integers(0, 255, (300, 301, 3)).astype(np.uint8)
        self.tifffile.imwrite("in.tif", x, photometric="rgb")
        shrunk("in.tif", "out.tif", "--factors", 2, "--axes", "y", "x")
        with self.tifffile.TiffFile("out.tif") as file:
            assert_same(file.asarray(), fastpool.downsample(x, (2, 2, 1)))
            assert file.series[0].axes == "YXS"
            assert file.pages[0].photometric.name == "RGB"

    @pytest.mark.parametrize("kind", ["imagej", "ome"])
    def test_what_is_not_kept_is_said(self, kind, capsys):
        metadata = {"axes": "ZYX", "Info" if kind == "imagej" else "Name": "mine"}
        self.tifffile.imwrite("in.tif", VOLUME, metadata=metadata, **{kind: True})
        shrunk("in.tif", "out.tif", "--factors", 1, 2, 2, "--memory", "1kB")
        assert f"not kept: metadata of {kind}" in capsys.readouterr().err
        with self.tifffile.TiffFile("out.tif") as file:
            assert_same(file.asarray(), fastpool.downsample(VOLUME, (1, 2, 2)))
            assert file.series[0].axes == "ZYX"

    def test_tags_and_series_that_are_not_kept(self, capsys):
        with self.tifffile.TiffWriter("in.tif") as file:
            file.write(IMAGE, extratags=[(65000, "s", 0, "mine", True)], metadata=None)
            file.write(VOLUME[0], metadata=None)
        shrunk("in.tif", "out.tif", "--factors", 2)
        error = capsys.readouterr().err
        assert "only the first of 2 series is read" in error
        assert "not kept: tags 65000" in error

    def test_colours_of_a_palette(self, capsys):
        colours = RNG.integers(0, 2**16, (3, 256)).astype(np.uint16)
        self.tifffile.imwrite("in.tif", IMAGE, photometric="palette", colormap=colours)
        text = refused(capsys, "in.tif", "out.tif", "--factors", 2)
        assert text == "colours of a palette have no mean; --method mode or stride picks one"
        shrunk("in.tif", "out.tif", "--factors", 2, "--method", "mode")
        with self.tifffile.TiffFile("out.tif") as file:
            assert_same(file.asarray(), fastpool.downsample(IMAGE, 2, "mode"))
            assert_same(file.pages[0].colormap, colours)

    def test_a_compression_that_is_read_alone(self, capsys):
        image = pytest.importorskip("PIL.Image")
        image.fromarray(IMAGE).save("in.tif", compression="packbits")
        shrunk("in.tif", "out.tif", "--factors", 2)
        with self.tifffile.TiffFile("out.tif") as file:
            assert_same(file.asarray(), fastpool.downsample(IMAGE, 2))
            kept = file.pages[0].compression.name == "PACKBITS"  # imagecodecs writes it
        assert kept or "not kept: compression PACKBITS" in capsys.readouterr().err

    @pytest.mark.parametrize("compression", ["zlib", None])
    def test_a_file_that_is_cut(self, compression, capsys):
        self.tifffile.imwrite(
            "in.tif", IMAGE, compression=compression, rowsperstrip=9, metadata=None
        )
        os.truncate("in.tif", os.path.getsize("in.tif") - 500)
        text = refused(capsys, "in.tif", "out.npy", "--factors", 2)
        assert text.startswith("in.tif cannot be read: ")

    def test_an_unknown_compression(self, capsys):
        self.tifffile.imwrite("in.tif", IMAGE, compression="zlib")
        with self.tifffile.TiffFile("in.tif", mode="r+b") as file:
            file.pages[0].tags["Compression"].overwrite(12345)
        assert main(["shrink", "in.tif", "out.npy", "--factors", "2"]) == 2
        assert "not kept: compression 12345" in capsys.readouterr().err

    def test_into_ome_zarr(self):
        zarr = pytest.importorskip("zarr", "3")
        self.tifffile.imwrite("in.tif", VOLUME, metadata={"axes": "ZYX"})
        shrunk("in.tif", "out.zarr", "--factors", 2, "--levels", 1)
        group = zarr.open_group("out.zarr", mode="r")
        assert "multiscales" in group.attrs["ome"]
        assert_same(group["1"][...], fastpool.downsample(VOLUME, 2))

    def test_no_tiff(self, capsys):
        with open("in.tif", "w") as file:
            file.write("this is no image")
        text = refused(capsys, "in.tif", "out.tif", "--factors", 2)
        assert text.startswith("in.tif is no TIFF that can be read")
        np.save("line.npy", np.ones(9))
        text = refused(capsys, "line.npy", "out.tif", "--factors", 2)
        assert text == "a TIFF holds images of two axes and more, not of shape (5,)"


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the kB of Linux' ru_maxrss")
@pytest.mark.parametrize("name", ["npy", "zarr", "tif"])
def test_memory(name):
    """An image 16 times as large as its budget takes next to nothing beside the process."""
    if name != "npy":
        pytest.importorskip("zarr", "3")
        pytest.importorskip("tifffile")
    code = """
    import os, resource, sys
    import numpy as np
    from fastpool.cli.main import main

    os.chdir(FOLDER)
    def peak():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    def run(name, out):
        arguments = "--factors", "2", "2", "--memory", "4MB", "--dtype", "float32"
        assert main(["shrink", name, out, *arguments]) == 0
    np.save("small.npy", np.ones((300, 300), np.uint8))
    run("small.npy", "first.NAME")
    large = np.lib.format.open_memmap("large.npy", "w+", np.uint8, (8192, 8192))
    large[::64] = 1
    del large
    before = peak()
    run("large.npy", "second.NAME")
    print(peak() - before)
    """.replace("FOLDER", repr(os.getcwd())).replace("NAME", name)
    grown = float(run(code, FASTPOOL_BACKEND="numpy"))
    assert grown < 16, f"{grown:.1f} MiB"
