"""The docstrings of the functions, as templates that `fastpool.api.documents` fills in."""

POOL = """{Extreme} over windows of the {axes} of a JAX array, or of those before the channels.

    Parameters
    ----------
    x : array_like, shape (..., {shape}), or (..., {shape}, C) with ``layout="{last}"``
        The input, of any dtype that `fastpool.{pool}` takes.
    kernel_size, stride, padding, dilation, ceil_mode, layout
        As in `fastpool.{pool}`: Python values, known when the function is traced.

    Returns
    -------
    jax.Array, shape (..., {outputs}) or (..., {outputs}, C), dtype of `x`
        The bits of `fastpool.{pool}`.

    Raises
    ------
    ValueError, TypeError, BackendUnavailable
        As in `fastpool.{pool}`, when the function is traced.

    Notes
    -----
    The gradient goes to the first {extreme} of each window, or to the first NaN where there is one,
    with the bits of `fastpool.{backward}`. What is kept for it are the window indices.

    Under ``jax.vmap``, the mapped axis is one more leading axis: one call does all.

    The backend is the one that `fastpool.use_backend` and the like name when the function is
    traced. XLA runs it in threads of its own.
"""

AVERAGE = """Average over windows of the {axes} of a JAX array, or of those before the channels.

    Parameters
    ----------
    x : array_like, shape (..., {shape}), or (..., {shape}, C) with ``layout="{last}"``
        The input, of any dtype that `fastpool.{pool}` takes.
    kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override, dilation, layout
        As in `fastpool.{pool}`: Python values, known when the function is traced.

    Returns
    -------
    jax.Array, shape (..., {outputs}) or (..., {outputs}, C)
        The bits of `fastpool.{pool}`. Floats keep their dtype; integers and bools give JAX's own
        floats, as in `jax.numpy.mean`: float32, or float64 where 64 bits are enabled.

    Raises
    ------
    ValueError, TypeError, BackendUnavailable
        As in `fastpool.{pool}`, when the function is traced.

    Notes
    -----
    The gradient has the bits of `fastpool.{backward}`, and nothing is kept for it.

    Under ``jax.vmap``, the mapped axis is one more leading axis: one call does all.

    The backend is the one that `fastpool.use_backend` and the like name when the function is
    traced. XLA runs it in threads of its own.
"""

EXAMPLES = {
    "avg_pool2d": """
    Examples
    --------
    >>> import jax
    >>> import jax.numpy as jnp
    >>> from fastpool.interop.jax import avg_pool2d
    >>> x = jnp.array([[1.0, 5.0, 2.0, 0.0], [3.0, 4.0, 9.0, 9.0]])
    >>> avg_pool2d(x, 2)
    Array([[3.25, 5.  ]], dtype=float32)
    >>> jax.grad(lambda x: avg_pool2d(x, 2, 1).sum())(x)
    Array([[0.25, 0.5 , 0.5 , 0.25],
           [0.25, 0.5 , 0.5 , 0.25]], dtype=float32)
    """,
    "max_pool2d": """
    Examples
    --------
    >>> import jax
    >>> import jax.numpy as jnp
    >>> from fastpool.interop.jax import max_pool2d
    >>> x = jnp.array([[1.0, 5.0, 5.0, 0.0], [5.0, 4.0, 9.0, 9.0]])
    >>> max_pool2d(x, 2)
    Array([[5., 9.]], dtype=float32)
    >>> jax.grad(lambda x: max_pool2d(x, 2).sum())(x)
    Array([[0., 1., 0., 0.],
           [0., 0., 1., 0.]], dtype=float32)
    """,
    "min_pool2d": """
    Examples
    --------
    >>> import jax
    >>> import jax.numpy as jnp
    >>> from fastpool.interop.jax import min_pool2d
    >>> x = jnp.array([[9.0, 5.0, 5.0, 7.0], [5.0, 6.0, 1.0, 1.0]])
    >>> min_pool2d(x, 2)
    Array([[5., 1.]], dtype=float32)
    >>> jax.grad(lambda x: min_pool2d(x, 2).sum())(x)
    Array([[0., 1., 0., 0.],
           [0., 0., 1., 0.]], dtype=float32)
    """,
}
