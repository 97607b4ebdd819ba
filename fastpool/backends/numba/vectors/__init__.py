"""Vectors as Numba types, and what is done with them, in portable LLVM IR."""
