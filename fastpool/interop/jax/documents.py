"""The docstrings of the functions, as templates that `fastpool.api.documents` fills in."""

_INPUT = """\
x : array_like, shape (..., {shape}), or (..., {shape}, C) with ``layout="{last}"``
        The input, of any dtype that `fastpool.{array_pool}` takes."""

_ERRORS = """\
Raises
    ------
    ValueError, TypeError, BackendUnavailable
        As in `fastpool.{array_pool}`, when the function is traced."""

_TRACED = """\
Under ``jax.vmap``, the mapped axis is one more leading axis: one call does all.

    The backend is the one that `fastpool.use_backend` and the like name when the function is
    traced. XLA runs it in threads of its own.
"""


def _template(first: str, arguments: str, returns: str, notes: str, pool: str = "{pool}") -> str:
    """A template: a first sentence, names of arguments, what is returned, and of gradients."""
    template = f"""{first}

    Parameters
    ----------
    {_INPUT}
    {arguments}
        As in `fastpool.{{array_pool}}`: Python values, known when the function is traced.

    Returns
    -------
    {returns}

    {_ERRORS}

    Notes
    -----
    {notes}

    {_TRACED}"""
    return template.replace("{array_pool}", pool)


_WINDOWS = "windows of the {axes} of a JAX array, or of those before the channels."
_SHARES = "so many windows that share the {axes} of a JAX array, or those before the channels."
_ARRAY = "jax.Array, shape (..., {outputs}) or (..., {outputs}, C)"
_LINEAR = (
    "The gradient has the bits of `fastpool.{array_pool}_backward`, and nothing is kept for it."
)
_PICKED = """\
The gradient goes to the first {extreme} of each window, or to the first NaN where there is one,
    with the bits of `fastpool.{array_pool}_backward`. Window indices are kept for it."""
_SIZES = "kernel_size, stride, padding"
_SAME = f"""{_ARRAY}, dtype of `x`
        The bits of `fastpool.{{array_pool}}`."""
_FLOATS = f"""{_ARRAY}
        The bits of `fastpool.{{array_pool}}`. Floats keep their dtype; integers and bools give
        JAX's own floats, as in `jax.numpy.mean`: float32, or float64 where 64 bits are enabled."""
_WHOLE = f"""{_ARRAY}
        The bits of `fastpool.{{array_pool}}`. Floats keep their dtype; integers and bools give
        JAX's own integers, signed or not: of 32 bits, or of 64 where enabled. They wrap."""

POOL = _template(
    f"{{Extreme}} over {_WINDOWS}", f"{_SIZES}, dilation, ceil_mode, layout", _SAME, _PICKED
)
MODE = _template(
    f"Most frequent value over {_WINDOWS}",
    f"{_SIZES}, dilation, ceil_mode, layout",
    _SAME,
    "Labels are integers or bools, which have no gradient.",
)
AVERAGE = _template(
    f"Average over {_WINDOWS}",
    f"{_SIZES}, ceil_mode, count_include_pad, divisor_override, dilation, layout",
    _FLOATS,
    _LINEAR,
)
SUM = _template(
    f"Sum over {_WINDOWS}",
    f"{_SIZES}, ceil_mode, dilation, layout",
    _WHOLE,
    """The gradient has the bits of `fastpool.avgpool{n}d_backward` with a divisor of 1, and
    nothing is kept for it.""",
)
NORM = _template(
    f"Lp norm over {_WINDOWS}",
    "norm_type, kernel_size, stride, ceil_mode, padding, dilation, layout",
    _FLOATS,
    """The gradient has the bits of `fastpool.{array_pool}_backward`; the input is kept for it.
    Higher derivatives are computed in the dtype of `x`, and are 0 where norms are 0.""",
)
ADAPTIVE = _template(f"Maximum over {_SHARES}", "output_size, layout", _SAME, _PICKED, "{adaptive}")
ADAPTIVE_AVERAGE = _template(
    f"Average over {_SHARES}", "output_size, layout", _FLOATS, _LINEAR, "{adaptive}"
)

EXAMPLES = {
    "adaptive_avg_pool2d": """
    Examples
    --------
    >>> import jax
    >>> import jax.numpy as jnp
    >>> from fastpool.interop.jax import adaptive_avg_pool2d
    >>> x = jnp.array([[1.0, 5.0, 2.0], [3.0, 7.0, 9.0]])
    >>> adaptive_avg_pool2d(x, (1, 2))
    Array([[4.  , 5.75]], dtype=float32)
    >>> jax.grad(lambda x: adaptive_avg_pool2d(x, (1, 2)).sum())(x)
    Array([[0.25, 0.5 , 0.25],
           [0.25, 0.5 , 0.25]], dtype=float32)
    """,
    "lp_pool1d": """
    Examples
    --------
    >>> import jax
    >>> import jax.numpy as jnp
    >>> from fastpool.interop.jax import lp_pool1d
    >>> x = jnp.array([3.0, -4.0, 0.0, 0.0])
    >>> lp_pool1d(x, 2, 2)
    Array([5., 0.], dtype=float32)
    >>> jax.grad(lambda x: lp_pool1d(x, 2, 2).sum())(x)
    Array([ 0.6, -0.8,  0. ,  0. ], dtype=float32)
    """,
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
