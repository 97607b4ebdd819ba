"""What computes: one package a backend, each as `protocol` says; `fastpool.dispatch` loads them."""
