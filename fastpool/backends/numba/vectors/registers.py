"""What the vectors of the processor are like that kernels are compiled for, as LLVM uses them."""

from __future__ import annotations

from contextlib import suppress
from functools import cache
from typing import Any

from llvmlite import binding
from numba.core.registry import cpu_target

# By the names of registers in assembly, the bits of a vector that LLVM works with.
_REGISTERS = {"zmm": 512, "ymm": 256, "xmm": 128, ".4s": 128, "z0.s": 128, "%v": 128}
_PROBE = """
define void @probe(POINTER %p, POINTER %q) {
  %v = load <16 x float>, POINTER %p, align 1
  %w = load <16 x float>, POINTER %q, align 1
  %m = fcmp ogt <16 x float> %v, %w
  %s = select <16 x i1> %m, <16 x float> %v, <16 x float> zeroinitializer
  store <16 x float> %s, POINTER %p, align 1
  ret void
}
"""
# As LLVM wrote a pointer before its version 15, and as it does since.
_POINTERS = ("<16 x float>*", "ptr")


def vector_bits() -> int:
    """Those of the widest vector; 0 if they cannot be told."""
    return next((bits for name, bits in _REGISTERS.items() if name in _assembly()), 0)


def masked_bits() -> int:
    """Those of the narrowest cells that are loaded and stored under a mask by one instruction.

    They are 8 where a comparison makes bits in a register for masks. Without, LLVM writes a branch
    for each lane that has fewer bits than the mask of AVX needs, or for any lane.
    """
    if "%k1" in _assembly():
        return 8
    return 32 if "ymm" in _assembly() else 128


@cache
def _assembly() -> str:
    """What LLVM makes of a comparison of 512 bits; nothing if that cannot be told."""
    for pointer in _POINTERS:
        with suppress(Exception):  # Numba keeps its machine to itself, and may keep it elsewhere
            machine: Any = cpu_target.target_context.codegen()._tm
            module = binding.parse_assembly(_PROBE.replace("POINTER", pointer))
            module.triple = machine.triple
            return str(machine.emit_assembly(module))
    return ""
