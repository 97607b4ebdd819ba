"""Max pooling inside JAX: fastpool's against `jax.lax.reduce_window`."""

import numpy as np

from . import common

try:
    import jax
    import jax.numpy as jnp

    from fastpool.interop.jax import max_pool2d
except ImportError as error:
    jax, MISSING = None, str(error)

CASES = [common.OVERLAPPING, common.STEM, common.LARGE]


def _calls(case, layout, gradient):
    """Warm, jitted calls of both, which have been seen to agree."""
    if jax is None:
        raise NotImplementedError(MISSING)
    _, kernel_size, stride, padding = common.CASES[case]
    x = jnp.asarray(common.random_array(common.input_shape(case, layout)))

    def own(x):
        return max_pool2d(x, kernel_size, stride, padding, layout=layout)

    def of_jax(x):
        def along_axes(spatial, other):
            pair = (spatial, spatial)
            return (other, other, *pair) if layout == "NCHW" else (other, *pair, other)

        window = along_axes(kernel_size, 1), along_axes(stride, 1)
        pads = along_axes((padding, padding), (0, 0))
        return jax.lax.reduce_window(x, -jnp.inf, jax.lax.max, *window, pads)

    functions = {"fastpool": own, "JAX": of_jax}
    if gradient:
        shape = jax.eval_shape(own, x).shape
        weights = jnp.asarray(common.random_array(shape))
        functions = {
            name: jax.grad(lambda x, pool=pool: (pool(x) * weights).sum())
            for name, pool in functions.items()
        }
    results, calls = [], {}
    for name, function in functions.items():
        jitted = jax.jit(function)
        results.append(np.asarray(jitted(x)))
        calls[name] = lambda jitted=jitted: jitted(x).block_until_ready()
    if gradient:  # added in another order
        np.testing.assert_allclose(*results, rtol=1e-5, atol=1e-5)
    elif not np.array_equal(*results):
        raise AssertionError("the two compute something else")
    return calls


class Pool:
    """The forward pass alone, in a function that `jax.jit` compiles."""

    params = (CASES, common.LAYOUTS)
    param_names = ("case", "layout")
    unit = "times"
    gradient = False

    def setup(self, case, layout):
        self.calls = _calls(case, layout, self.gradient)

    def time_fastpool(self, case, layout):
        """fastpool's."""
        self.calls["fastpool"]()

    def time_jax(self, case, layout):
        """JAX's own."""
        self.calls["JAX"]()

    def track_ratio_to_jax(self, case, layout):
        """Time of fastpool's over that of JAX's own."""
        return common.ratio(case, self.calls)


class Gradient(Pool):
    """The gradient of a weighted sum of the output, forward pass included."""

    gradient = True
