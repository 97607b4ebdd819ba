"""The arrows of the house, read from its imports; and the size of its files."""

import ast
from pathlib import Path

import pytest

import fastpool

PACKAGE = Path(fastpool.__file__).parent
FILES = sorted(PACKAGE.rglob("*.py"))
LONGEST = 350  # lines of a file

# What each part may import, besides itself. "" is fastpool's own public names.
ARROWS = {
    "rules": set(),
    "process": set(),
    "backends": {"rules", "process"},
    "dispatch": {"backends", "rules", "process"},
    "api": {"dispatch", "backends", "rules", "process"},
    "filters": {"api", "dispatch", "backends", "rules"},
    "compat": {"api", "filters", "rules"},
    "interop": {"", "filters", "api", "dispatch", "backends", "rules", "process"},
    "cli": {"", "interop", "api", "dispatch", "backends", "rules", "process"},
}
# Those above the backends know what a backend is, and no more: the table finds them by name.
PROTOCOL = "fastpool.backends.protocol"
NUMBA = ("backends/numba/", "interop/jitted/")


def name_of(path):
    return path.relative_to(PACKAGE).as_posix()


def imports(path):
    """The full names of all modules that a file imports, wherever in it."""
    package = ["fastpool", *path.relative_to(PACKAGE).parts[:-1]]
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            module = [*base, *(node.module.split(".") if node.module else [])]
            for alias in node.names:
                below = PACKAGE.parent.joinpath(*module, alias.name)
                is_module = below.is_dir() or below.with_suffix(".py").is_file()
                yield ".".join([*module, alias.name] if is_module else module)


def wrong_imports(path):
    """The imports of a file that no arrow allows."""
    part, *inside = path.relative_to(PACKAGE).parts
    for module in imports(path):
        top, *names = module.split(".")
        if top in ("numba", "llvmlite"):
            if not name_of(path).startswith(NUMBA):
                yield module
        elif top == "fastpool":
            target = names[0] if names else ""
            if target == part:
                other = names[1:2] != inside[:1] and names[1:2] != ["protocol"]
                if part == "backends" and other:
                    yield module
            elif target not in ARROWS[part]:
                yield module
            elif target == "backends":
                yield from {module} - {PROTOCOL, "fastpool.backends"}


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_arrows(path):
    if path.parent != PACKAGE:
        assert list(wrong_imports(path)) == []


def test_every_part_has_its_arrows():
    parts = {path.name for path in PACKAGE.iterdir() if path.is_dir() and any(path.glob("*.py"))}
    assert parts == set(ARROWS)


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("rules/new.py", "from ..backends import numpy"),
        ("rules/deep/new.py", "from ...dispatch import table"),
        ("backends/numpy/new.py", "from ...dispatch.table import load"),
        ("backends/numpy/new.py", "from ..numba import plan"),
        ("dispatch/new.py", "from ..api.execute import execute"),
        ("filters/new.py", "from ..backends.numba import plan"),
        ("api/new.py", "from ..filters.peaks import peaks"),
        ("interop/dask/new.py", "from ...backends.numba import plan"),
        ("interop/new.py", "from ..cli import check"),
        ("api/new.py", "def f():\n    import numba"),
        ("cli/bench/new.py", "import fastpool.backends.numba.compile"),
    ],
)
def test_a_wrong_arrow_is_seen(name, line, monkeypatch, tmp_path):
    """In subfolders and inside functions too."""
    monkeypatch.setitem(globals(), "PACKAGE", tmp_path / "fastpool")
    for part in PACKAGE_FOLDERS:
        (tmp_path / "fastpool" / part).mkdir(parents=True)
    path = tmp_path / "fastpool" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(line)
    assert list(wrong_imports(path))


PACKAGE_FOLDERS = [name_of(path) for path in PACKAGE.rglob("*") if path.is_dir()]


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_no_file_is_long(path):
    assert len(path.read_text().splitlines()) <= LONGEST
