"""Arrays of other libraries: whose an array is, and what answers a call in NumPy's place.

A call of NumPy arrays alone never comes here. Only libraries that are imported are asked, since an
array of any other cannot exist; none is imported for a question. An adapter is imported for the
first array of its library.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np


class Guest(NamedTuple):
    """A library whose arrays are taken as they are, and given back.

    Attributes
    ----------
    kind : str
        What messages call one of its arrays.
    library : str
        The module that has its types.
    types : tuple of str
        Their names there, with dots.
    adapter : str
        The package of `fastpool.interop` that answers. It has a module ``door``, whose function
        ``answer(function, inputs, arguments, backend)`` takes what `execute` takes, and returns
        arrays of the library; ``downsample(x, given, backend)`` takes what `downsampled` takes.
    beside_numpy : bool
        Whether it takes NumPy arrays beside its own.
    """

    kind: str
    library: str
    types: tuple[str, ...]
    adapter: str
    beside_numpy: bool

    def owns(self, kind: type) -> bool:
        """Whether arrays of a type are its own."""
        for name in self.types:
            # A module of the same name may be anything. `isinstance` would ask the object.
            own: Any = sys.modules.get(self.library)
            for part in name.split("."):
                own = getattr(own, part, None)
            if isinstance(own, type) and issubclass(kind, own):
                return True
        return False

    def load(self) -> Any:
        """The door of its adapter, which imports it."""
        return getattr(sys.modules[_ADAPTERS], self.adapter).door


# In the order of the questions: a DataArray may hold one of the others.
GUESTS = (
    Guest("an xarray DataArray", "xarray", ("DataArray",), "xarray", True),
    Guest("a PyTorch tensor", "torch", ("Tensor",), "torch", False),
    Guest("a JAX array", "jax", ("Array", "core.Tracer"), "jax", True),
    Guest("a Dask array", "dask.array", ("Array",), "dask", True),
)
# The package of all adapters, which `fastpool` imports, and which imports one that is named.
_ADAPTERS = f"{__name__.partition('.')[0]}.interop"
# Of these no question is asked.
_HOSTS = (np.ndarray, np.generic, list, tuple, int, float)


def guest_of(value: object) -> Guest | None:
    """Whose array a value is; None for NumPy's, and for all that NumPy makes arrays of."""
    kind = type(value)
    if issubclass(kind, _HOSTS):
        return None
    for guest in GUESTS:
        if guest.owns(kind):
            return guest
    return None


def host_of(
    function: str, names: Iterable[str], values: Iterable[Any], out: Any = None
) -> Guest | None:
    """Who answers a call with these arrays; None if it is NumPy's.

    Raises
    ------
    TypeError
        They are arrays of kinds that do not go together, or there is an `out`, which no guest
        takes.
    """
    guest, first = None, ""
    for name, value in zip(names, values, strict=True):
        found = guest_of(value)
        if found is not None and guest is not None and found is not guest:
            raise _mixed(function, first, guest.kind, name, found.kind)
        if found is not None and guest is None:
            guest, first = found, name
    if guest is None:
        return None
    if not guest.beside_numpy:
        for name, value in zip(names, values, strict=True):
            if guest_of(value) is None:
                raise _mixed(function, first, guest.kind, name, shown(value))
    if out is not None:
        raise TypeError(
            f"{function}: out is {shown(out)}, and {first} {guest.kind}, whose results are new "
            "arrays; leave out away"
        )
    return guest


def shown(value: object) -> str:
    """What messages call the kind of a value."""
    guest = guest_of(value)
    if guest is not None:
        return guest.kind
    return "a NumPy array" if isinstance(value, np.ndarray) else f"a {type(value).__name__}"


def _mixed(function: str, first: str, one: str, second: str, other: str) -> TypeError:
    return TypeError(
        f"{function}: {first} is {one}, and {second} {other}; arrays must be of one kind"
    )
