"""What the project says of itself in several places is the same in all."""

import re
from pathlib import Path

import pytest

import fastpool

HERE = Path(__file__).parent
ROOT = next((above for above in HERE.parents if (above / "pyproject.toml").is_file()), HERE)
CITATION = ROOT / "CITATION.cff"

pytestmark = pytest.mark.skipif(not CITATION.is_file(), reason="documents are not installed")


def value(path, key, separator):
    """A value of a line ``key separator value``, without a library for the format."""
    (found,) = re.findall(rf'^{key} ?{separator} ?"?(.*?)"?$', path.read_text(), re.MULTILINE)
    return found


def cited(key):
    return value(CITATION, key, ":")


def packed(key):
    return value(ROOT / "pyproject.toml", key, "=")


def test_citation():
    assert cited("cff-version") == "1.2.0"
    assert cited("version") == fastpool.__version__
    assert cited("license") == packed("license")
    name, _, subject = cited("title").partition(": ")
    assert name == packed("name")
    assert packed("description").lower().startswith(subject.lower())


def test_changelog():
    """The latest version that it tells of is this one."""
    versions = re.findall(r"^## \[(\d[^]]*)\]", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert versions[0] == fastpool.__version__
