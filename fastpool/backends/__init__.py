"""One module a backend, with the same functions; `fastpool.dispatch` loads them."""
