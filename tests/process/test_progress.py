"""The bar: drawn on terminals alone, and not too often."""

import io

from fastpool.process import progress
from fastpool.process.progress import Bar


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_nothing_is_written_where_nobody_looks():
    stream = io.StringIO()
    bar = Bar("shrink", stream)
    bar(1, 2)
    bar(2, 2)
    bar.close()
    assert stream.getvalue() == ""


def test_a_terminal_has_a_bar(monkeypatch):
    now = 100.0
    monkeypatch.setattr(progress.time, "monotonic", lambda: now)
    stream = Terminal()
    bar = Bar("shrink", stream)
    for done in range(1, 101):
        now += 0.02
        bar(done, 100)
    bar.close()
    bar.close()
    drawn = stream.getvalue().rstrip().split("\r")[1:]
    assert 18 <= len(drawn) <= 21  # a tenth of a second apart
    assert all(len(text) <= 79 for text in drawn)
    assert drawn[-1].startswith("shrink [" + "#" * 30 + "] 100%  0 s left")
    assert any("]  49%  1 s left" in text for text in drawn)
    assert stream.getvalue().endswith("\n")
    assert stream.getvalue().count("\n") == 1
