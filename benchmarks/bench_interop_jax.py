"""fastpool on JAX arrays, beside JAX's own pooling: forward passes and gradients, compiled."""

from functools import lru_cache

import numpy as np

import fastpool

from . import common

try:
    import jax

    from fastpool.interop.jax import avg_pool2d, max_pool2d
except ImportError as error:
    jax, MISSING = None, str(error)

CASES = [common.OVERLAPPING, common.STEM, common.LARGE]


MEMBERS = ["max", "avg"]


def _poolings(case, member, layout):
    """The pooling of a case by fastpool, and by JAX."""
    _, kernel, stride, padding = common.CASES[case]
    spatial = slice(2, 4) if layout == "NCHW" else slice(1, 3)
    window, strides, pads = [1] * 4, [1] * 4, [(0, 0)] * 4
    window[spatial], strides[spatial] = [kernel] * 2, [stride] * 2
    pads[spatial] = [(padding, padding)] * 2
    windows = window, strides, pads
    if member == "avg":
        return {
            "fastpool": lambda x: avg_pool2d(x, kernel, stride, padding, layout=layout),
            "JAX": lambda x: jax.lax.reduce_window(x, 0.0, jax.lax.add, *windows) / kernel**2,
        }
    return {
        "fastpool": lambda x: max_pool2d(x, kernel, stride, padding, layout=layout),
        "JAX": lambda x: jax.lax.reduce_window(x, -np.inf, jax.lax.max, *windows),
    }


def _gradient(pool):
    return jax.grad(lambda x, weights: (pool(x) * weights).sum())


@lru_cache(maxsize=1)
def _calls(case, member, layout, gradient):
    """Warm calls of both, which have been seen to agree."""
    if jax is None:
        raise NotImplementedError(MISSING)
    operands = [common.random_array(common.input_shape(case, layout))]
    poolings = _poolings(case, member, layout)
    if gradient:
        # Integers, whose sums are the same in any order.
        shape = jax.eval_shape(poolings["JAX"], *operands).shape
        operands.append(np.random.default_rng(1).integers(-99, 99, shape).astype(np.float32))
    device = jax.devices("cpu")[0]
    operands = [jax.device_put(operand, device) for operand in operands]
    calls, results = {}, []
    for name, pool in poolings.items():
        function = jax.jit(_gradient(pool) if gradient else pool)

        def call(function=function):
            return function(*operands).block_until_ready()

        try:
            with fastpool.use_backend("numba"):
                results.append(np.asarray(call()))
        except fastpool.BackendUnavailable as error:
            raise NotImplementedError(str(error)) from error
        calls[name] = call
    # The sums of quotients are rounded, in an order of JAX's own.
    same = np.allclose(*results, 1e-5, 1e-5) if member == "avg" else np.array_equal(*results)
    if not same:
        raise AssertionError("fastpool and JAX disagree")
    return calls


class Pool:
    """The values alone, which is what is computed where no gradient is wanted."""

    params = (CASES, MEMBERS, common.LAYOUTS)
    param_names = ("case", "member", "layout")
    unit = "times"
    gradient = False

    def setup(self, case, member, layout):
        self.calls = _calls(case, member, layout, self.gradient)

    def time_fastpool(self, case, member, layout):
        """fastpool's, on the memory of JAX's arrays."""
        self.calls["fastpool"]()

    def time_jax(self, case, member, layout):
        """JAX's own."""
        self.calls["JAX"]()

    def track_ratio_to_jax(self, case, member, layout):
        """Time of fastpool's over that of JAX's own."""
        return common.ratio(case, self.calls)


class Gradient(Pool):
    """The gradient of a weighted sum of the output, with the forward pass that it needs."""

    gradient = True
