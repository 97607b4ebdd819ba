"""``python -m fastpool bench --images``: that contenders agree, and what it prints; no times."""

import sys
from dataclasses import replace

import numpy as np
import pytest

from fastpool.cli.bench import image_libraries, images, measure, peers
from fastpool.cli.bench.image_problems import Image, by_fastpool
from fastpool.cli.main import main

pytestmark = [pytest.mark.numba, pytest.mark.whole]  # it is what is measured


def shrunk(image):
    """The same of a few cells; a pyramid needs some for all its levels."""
    limit = 64 if image.function == "pyramid" else 28
    return replace(image, shape=tuple(min(size, limit) for size in image.shape))


SMALL = {part: [shrunk(image) for image in cases] for part, cases in images.PARTS.items()}
EVERY = [image for cases in SMALL.values() for image in cases]
# By what is computed, who computes it beside fastpool and the copy.
BLOCKS = {"OpenCV", "scikit-image", "tinybrain", "reshape"}
DONE = {
    "max": BLOCKS | {"slices"},
    "min": BLOCKS | {"slices"},
    "mean": BLOCKS,
    "mode": {"tinybrain"},
    "median": {"reshape"},
    "pyramid": {"reshape", "tinybrain"},
    "maximum_filter": {"OpenCV", "SciPy"},
    "minimum_filter": {"OpenCV", "SciPy"},
    "uniform_filter": {"OpenCV", "SciPy"},
    "peaks": {"scikit-image"},
}


def others(image):
    """Who computes the same."""
    if image.missing:
        return {"reshape"}
    kind = image.method if image.function == "downsample" else image.function
    pillow = {"Pillow"} if kind == "mean" and image.dtype != "uint16" else set()
    floats = {"slices"} if kind == "mean" and image.floats else set()
    return DONE[kind] | pillow | floats


@pytest.fixture
def small(monkeypatch):
    """Few cells, and one call a round."""
    monkeypatch.setattr(measure, "TURN", 0)
    for part, cases in SMALL.items():
        monkeypatch.setitem(images.PARTS, part, cases)


@pytest.fixture
def alone(monkeypatch):
    """An environment without any of the other libraries."""
    for modules in peers.PEERS.values():
        for module in modules:
            monkeypatch.setitem(sys.modules, module, None)


@pytest.mark.parametrize("name", image_libraries.LIBRARIES)
def test_libraries_compute_what_the_numpy_backend_does(name):
    if name in peers.PEERS:
        try:
            peers.peer_version(name)
        except NotImplementedError as reason:
            pytest.skip(str(reason))
    for image in EVERY:
        if name not in others(image):
            with pytest.raises(NotImplementedError, match=f"^{name}: "):
                image_libraries.LIBRARIES[name](image, 1)
            continue
        contender = image_libraries.LIBRARIES[name](image, 1)
        contender.call()
        assert measure.same(contender.outputs, image.expected, contender.tolerance), image
        exact = image.method != "mean" and image.function != "uniform_filter"
        assert (contender.tolerance == 0) >= exact, "what is picked is equal"


@pytest.mark.parametrize("image", EVERY, ids=str)
def test_data_are_what_they_say(image):
    x = image.x
    assert x.shape == image.shape
    assert x.dtype == image.dtype
    assert len(np.unique(x)) > 20 if image.method != "mode" else len(np.unique(x)) > 5
    missing = {"NaN": np.isnan(x), "nodata": x == -9999, "": np.isnan(x)}[image.missing]
    assert missing.any() == bool(image.missing)
    read = x.nbytes
    assert read <= image.traffic < 2.5 * read
    if image.missing:
        (found,) = replace(image, shape=(100, 100)).expected
        assert (np.isnan(found) | (found == -9999)).any(), "some blocks have no valid cell"


def test_labels_tie_in_some_blocks():
    """So that others' rules for ties show."""
    image = Image("downsample", (90, 90), 2, "uint8", "mode")
    first, *rest = image_libraries.taps(image)
    assert any((view != first).any() for view in rest)
    others = np.where(first == 0, 1, 0).astype(np.uint8)
    frequent = image_libraries._as_frequent(image, others)
    assert not np.array_equal(frequent, image.expected[0]), "a label that is not there is wrong"


def test_command(small, capsys):
    assert main(["bench", "--images", "--rounds", "1", "--threads", "1"]) == 0
    text = capsys.readouterr().out
    for part, cases in SMALL.items():
        assert text.count(f"\n{part}: measured in ") == 1
        for image in cases:
            lines = [line.split(" | ")[0].rstrip() for line in text.splitlines()]
            assert lines.count(f"| {image}") == 1
    for name in image_libraries.LIBRARIES:
        assert (f" {name} |" in text) == (f"\nwithout {name}: " not in text)
    assert " limit |" in text
    assert " NumPy backend |" in text
    assert all(line.endswith(" |") for line in text.splitlines() if line.startswith("|"))


def test_chosen_parts_without_other_libraries(small, alone, capsys):
    assert main(["bench", "--images", "missing", "labels", "--rounds", "1"]) == 0
    text = capsys.readouterr().out
    for name in {*peers.PEERS} & {*image_libraries.LIBRARIES}:
        assert f"\nwithout {name}: " in text
        assert f" {name} |" not in text
    assert "| mode (28, 28) k2 uint8 " in text
    assert "| mean (28, 28) k2 float32 NaN " in text
    assert "| max " not in text


def test_fails_where_somebody_disagrees(small, monkeypatch, capsys):
    right = image_libraries.LIBRARIES["reshape"]

    def wrong(*arguments):
        contender = right(*arguments)
        return contender._replace(outputs=tuple(each + 1 for each in contender.outputs))

    monkeypatch.setitem(images.CONTENDERS, "reshape", wrong)
    assert main(["bench", "--images", "medians", "--rounds", "1"]) == 1
    assert "reshape and the NumPy backend disagree: median (28, 28) k2" in capsys.readouterr().err


def test_a_nan_is_no_number():
    nan, one = np.array([np.nan]), np.ones(1)
    for tolerance in (0, 0.1):
        assert measure.same([nan], [nan], tolerance)
        assert not measure.same([nan], [one], tolerance)
        assert not measure.same([one], [nan], tolerance)


@pytest.mark.parametrize("arguments", [["corners"], ["peaks", "--sizes"], ["--family"]])
def test_bad_arguments(arguments, capsys):
    with pytest.raises(SystemExit):
        main(["bench", "--images", *arguments])
    assert "--images" in capsys.readouterr().err


def test_no_picture(tmp_path, capsys):
    path = tmp_path / "images.png"
    assert main(["bench", "--images", "peaks", "--plot", str(path)]) == 2
    assert "no picture" in capsys.readouterr().err
    assert not path.exists()


def test_the_numba_backend_is_measured(small, monkeypatch):
    asked = []

    def recorded(image, backend):
        asked.append(backend)
        return by_fastpool(image, backend)

    monkeypatch.setattr(images, "by_fastpool", recorded)
    times = images.measure_image(SMALL["missing"][0], 1, 1)
    assert asked == ["numba", "numpy"]
    assert {"fastpool", "NumPy backend", "copy", "reshape"} == {*times}
