"""The search for a window that holds no input cell, exact and fast for hostile numbers."""

from __future__ import annotations


def first_empty_window(
    size: int, output: int, kernel: int, stride: int, dilation: int, pad_low: int
) -> int | None:
    """The first window none of whose taps lies inside the input, or None.

    A window that starts inside holds a cell, one that starts behind holds none. Of those
    that start in front of the input, the first tap at or behind cell 0 lies at
    ``start % dilation``, which must be a cell, and one of the kernel's taps.
    """
    if (kernel - 1) * dilation < pad_low:
        return 0
    found = None
    if dilation > size:
        before = min(output, -(-pad_low // stride))
        found = _first_in_residues(-pad_low, stride, dilation, size, before)
    if found is None and (output - 1) * stride >= size + pad_low:
        found = -(-(size + pad_low) // stride)
    return found


def _first_in_residues(offset: int, step: int, modulus: int, low: int, count: int) -> int | None:
    """The least o below `count` with ``(offset + o * step) % modulus >= low``, or None.

    Euclid's algorithm on (step, modulus): logarithmic where a loop over the windows of a
    hostile geometry would not end.
    """
    width = modulus - 1 - low
    start = (offset - low) % modulus
    if start <= width:
        return 0 if count > 0 else None
    # From here the question is: least o with 0 <= (start + o * step) % modulus <= width.
    least = _least_multiple(step % modulus, modulus, modulus - start, modulus - start + width)
    return least if least is not None and least < count else None


def _least_multiple(step: int, modulus: int, low: int, high: int) -> int | None:
    """The least o >= 0 with ``low <= o * step % modulus <= high``; 0 < low <= high < modulus."""
    if step == 0:
        return None
    if 2 * step > modulus:
        return _least_multiple(modulus - step, modulus, modulus - high, modulus - low)
    at = -(-low // step)
    if at * step <= high:
        return at
    turns = _least_multiple(-modulus % step, step, low % step, high % step)
    return None if turns is None else -(-(low + modulus * turns) // step)
