"""Compilation: what is compiled and how, run and kept; nothing here knows about pooling."""
