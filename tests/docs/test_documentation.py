"""Examples of docstrings and documents give what they show, and documents name what is there."""

import doctest
import importlib
import logging
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

import fastpool

HERE = Path(__file__).parent
ROOT = next((above for above in HERE.parents if (above / "pyproject.toml").is_file()), HERE)
README = ROOT / "README.md"
PACKAGE = Path(fastpool.__file__).parent
DOCUMENTS = [README, *sorted((ROOT / "docs").glob("*.md"))]
PAGES = [*DOCUMENTS, ROOT / "CHANGELOG.md", ROOT / "CONTRIBUTING.md"]
NAMES = {"np": np, "fastpool": fastpool}
PUBLIC = [name for name in fastpool.__all__ if callable(getattr(fastpool, name))]
# One example serves a function of 1, 2 and 3 axes, and records have none.
WITHOUT_EXAMPLES = {
    "BackendStatus",
    "BackendUnavailable",
    "PoolResult",
    "adaptive_avgpool1d",
    "adaptive_avgpool2d_backward",
    "adaptive_avgpool3d",
    "adaptive_avgpool3d_backward",
    "adaptive_maxpool2d",
    "adaptive_maxpool2d_backward",
    "adaptive_maxpool3d",
    "adaptive_maxpool3d_backward",
    "avgpool1d_backward",
    "avgpool3d",
    "avgpool3d_backward",
    "lppool2d",
    "lppool2d_backward",
    "lppool3d",
    "lppool3d_backward",
    "maxpool1d_backward",
    "maxpool3d_backward",
    "maxunpool1d",
    "maxunpool3d",
    "minpool1d_backward",
    "minpool3d_backward",
    "modepool1d",
    "modepool3d",
    "set_default_backend",
    "sumpool1d",
    "sumpool3d",
}
GUESTS = {"torch", "jax", "dask", "xarray", "numba", "zarr"}
OLDEST = {"zarr": "3"}

needs_documents = pytest.mark.skipif(len(DOCUMENTS) == 1, reason="documents are not installed")


class Part(NamedTuple):
    """Examples that share their names: a section with guests, or all others of a document."""

    title: str
    text: str
    guests: list[str]


def parts_of(path: Path) -> list[Part]:
    """What of a document is tested in one go; only what has examples."""
    if not path.is_file():
        return []
    # A comment in a block of shell would look like a heading.
    text = re.sub(
        r"^```(\w*)\n.*?^```$",
        lambda block: block[0] if block[1] == "python" else "",
        path.read_text(),
        flags=re.MULTILINE | re.DOTALL,
    )
    host, parts = "", []
    for section in re.split(r"^(?=##+ )", text, flags=re.MULTILINE):
        title = section.partition("\n")[0].strip("# ")
        imported = re.findall(r"^>>> (?:import|from) (\w+)", section, re.MULTILINE)
        guests = sorted(GUESTS.intersection(imported))
        if guests:
            parts.append(Part(f"{path.stem}: {title}", section, guests))
        else:
            host += section
    parts.append(Part(path.stem, host, []))
    return [part for part in parts if ">>> " in part.text]


PARTS = [part for path in DOCUMENTS for part in parts_of(path)]


@pytest.fixture(autouse=True)
def defaults_restored() -> Iterator[None]:
    """What examples set holds for them alone."""
    level = logging.getLogger("fastpool").level
    yield
    fastpool.set_default_backend(None)
    logging.getLogger("fastpool").setLevel(level)


def run(test: doctest.DocTest) -> None:
    """The examples of a test, of which there are some, give what they show."""
    assert test.examples
    runner = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE)
    assert runner.run(test).failed == 0


def marks(name, text):
    """A parameter, marked if its examples need Numba, and if they compile for long."""
    needed = re.search(r"import numba|numba True|fastpool\.warmup\(", text)
    long = "jitted" in name or "fastpool.warmup(" in text
    return pytest.param(name, marks=[pytest.mark.numba] * bool(needed) + [pytest.mark.whole] * long)


@pytest.mark.parametrize("name", [marks(name, getattr(fastpool, name).__doc__) for name in PUBLIC])
def test_public_functions(name):
    """Functions are made by functions: a search by modules might miss some."""
    function = getattr(fastpool, name)
    assert function.__doc__
    assert function.__name__ == name
    (test,) = doctest.DocTestFinder(recurse=False).find(function, name, globs=dict(NAMES))
    if ">>> " in function.__doc__:
        run(test)
    else:
        assert name in WITHOUT_EXAMPLES


@needs_documents
class TestDocuments:
    @pytest.mark.parametrize("title", [marks(part.title, part.text) for part in PARTS])
    def test_examples(self, title):
        (part,) = (part for part in PARTS if part.title == title)
        for guest in part.guests:
            module = "dask.array" if guest == "dask" else guest
            pytest.importorskip(module, OLDEST.get(guest))
        if "numba" in part.guests:  # Numba does this by itself where fastpool is installed
            importlib.import_module("fastpool.interop.jitted")
        run(doctest.DocTestParser().get_doctest(part.text, dict(NAMES), title, None, 0))

    def test_no_example_is_left_out(self):
        """Every line of Python in a document runs in some part."""
        for path in DOCUMENTS:
            for block in re.findall(r"^```python\n(.*?)^```", path.read_text(), re.M | re.DOTALL):
                assert block.startswith(">>> "), f"{path.name}: {block}"
                # Without an empty line at the end, the fence would be a part of what is expected.
                assert block.endswith("\n\n"), f"{path.name}: {block}"
                assert any(block in part.text for part in PARTS), f"{path.name}: {block}"

    @pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
    def test_links(self, path):
        targets = re.findall(r"\]\(([^)\s]+)\)", path.read_text())
        for target in targets:
            if not re.match(r"https?://|#", target):
                assert (path.parent / target.partition("#")[0]).exists(), target


@needs_documents
class TestReadme:
    def test_is_short(self):
        assert len(README.read_text().splitlines()) <= 150

    def test_every_document_is_found(self):
        """From the README itself, or by the index beside the documents, which has them all."""
        index = ROOT / "docs" / "README.md"
        for path in DOCUMENTS[1:]:
            assert path == index or f"({path.name})" in index.read_text(), path.name

    def test_quick_start_is_two_commands(self):
        """.ci/run takes the second one from here."""
        section = README.read_text().split("## Quick start")[1].split("\n## ")[0]
        blocks = re.findall(r"```(\w*)\n(.*?)\n```", section, re.DOTALL)
        assert [language for language, _ in blocks] == ["sh", "sh"]
        demo, test = (command for _, command in blocks)
        assert all("\n" not in command and "venv" in command for command in (demo, test))
        assert "fastpool demo" in demo
        assert "pytest" in test


@needs_documents
class TestArchitecture:
    def test_tree_names_what_is_there(self):
        """The folders and files of the tree are those of the package, each with what it is for."""
        block = re.search(r"^fastpool/\n(.*?)^```", self.text(), re.MULTILINE | re.DOTALL)
        assert block
        named, above = [], [PACKAGE.name]
        for line in block[1].splitlines():
            indent, name, purpose = re.fullmatch(r"( +)(\S+) {2,}(\S.*)", line).groups()
            assert purpose, line
            above[len(indent) // 2 :] = [name.rstrip("/")]
            named.append("/".join(above[1:]) + "/" * name.endswith("/"))
        assert len(named) == len(set(named))
        assert set(named) == set(self.there())

    @staticmethod
    def text() -> str:
        return (ROOT / "docs" / "architecture.md").read_text()

    @staticmethod
    def there() -> Iterator[str]:
        """What the tree must name; a folder stands for its __init__.py."""
        yield "__init__.py"
        for path in PACKAGE.rglob("*.py"):
            name = path.relative_to(PACKAGE)
            if path.name != "__init__.py":
                yield name.as_posix()
            elif len(name.parts) > 1:
                yield f"{name.parent.as_posix()}/"
