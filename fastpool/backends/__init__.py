"""One module a backend, with the same functions; `fastpool.dispatch` loads them."""


class BackendUnavailable(ImportError):
    """The backend that was asked for by name cannot be used here."""


class NotReady(Exception):
    """A backend would have to compile first, which this call does not wait for."""
