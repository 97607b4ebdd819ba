"""Benchmarks for airspeed velocity; see the README for how to run them."""
