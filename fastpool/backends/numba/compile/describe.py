"""What a bug report should say of Numba, its threads, and the processor of its kernels."""

from __future__ import annotations

from typing import Any

import numba
from llvmlite import binding
from numba.core.registry import cpu_target

from ....process.cache_folders import folders
from ..vectors.registers import vector_bits
from .launch import FEWEST_CELLS, thread_count, threading_layer


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
    bits = vector_bits()
    return f"{which}, vectors of {bits} bits" if bits else which
