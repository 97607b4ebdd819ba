"""What a bug report should say of Numba, its threads, and the processor of its kernels."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import numba
from llvmlite import binding
from numba.core.registry import cpu_target

from ....process.cache_folders import folders
from .launch import FEWEST_CELLS, thread_count, threading_layer

# By the names of registers in assembly, the bits of a vector that LLVM works with.
_REGISTERS = {"zmm": 512, "ymm": 256, "xmm": 128, ".4s": 128, "z0.s": 128, "%v": 128}
_PROBE = """
define void @probe(POINTER %p) {
  %v = load <16 x float>, POINTER %p, align 1
  %s = fadd <16 x float> %v, %v
  store <16 x float> %s, POINTER %p, align 1
  ret void
}
"""
# As LLVM wrote a pointer before its version 15, and as it does since.
_POINTERS = ("<16 x float>*", "ptr")


def describe() -> dict[str, str]:
    """Numba's version, threads, layer, the processor of the kernels, and where they are kept."""
    config: Any = numba.config
    layer = threading_layer() or "started with the first large call"
    places = ", ".join(map(str, folders())) or "none: kernels are compiled in every process"
    return {
        "Numba": numba.__version__,
        "threads": f"{thread_count(FEWEST_CELLS)} of {config.NUMBA_NUM_THREADS}",
        "threading layer": f"{layer} (setting: {config.THREADING_LAYER})",
        "processor": _processor(),
        "kernel cache": places,
    }


def _processor() -> str:
    """The processor that kernels are compiled for, which the environment may name."""
    _, name, _ = cpu_target.target_context.codegen().magic_tuple()
    host = binding.get_host_cpu_name()
    which = name if name == host else f"{name} (this one is {host})"
    bits = _vector_bits()
    return f"{which}, vectors of {bits} bits" if bits else which


def _vector_bits() -> int:
    """The widest vector in what LLVM makes of an addition of 512 bits; 0 if it cannot be told."""
    for pointer in _POINTERS:
        with suppress(Exception):  # Numba keeps its machine to itself, and may keep it elsewhere
            machine: Any = cpu_target.target_context.codegen()._tm
            module = binding.parse_assembly(_PROBE.replace("POINTER", pointer))
            module.triple = machine.triple
            assembly = machine.emit_assembly(module)
            return next((bits for name, bits in _REGISTERS.items() if name in assembly), 0)
    return 0
