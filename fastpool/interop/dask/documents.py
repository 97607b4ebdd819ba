"""The docstrings of the functions, as templates that `fastpool.api.documents` fills in."""

POOL = """`fastpool.{pool}` of a Dask array.

    Parameters
    ----------
    x : dask.array.Array or array_like
        The input, of known chunk sizes.
    kernel_size, stride, padding, dilation, ceil_mode, return_indices, index_format, layout, backend
        As in `fastpool.{pool}`. The default backend is looked up here, not in the tasks.

    Returns
    -------
    output : dask.array.Array
        Each chunk of `x` becomes one of the windows that start in it, if there are any. Nothing is
        computed yet.
    PoolResult(output, indices)
        With ``return_indices=True``: two arrays whose chunks are pooled once for both. Flat
        indices count the cells of the whole plane.

    Raises
    ------
    ValueError, TypeError
        As in `fastpool.{pool}`, and where the sizes of chunks are not known. For a block that is
        a masked array, when it is computed.
"""

EXAMPLES = {
    "maxpool2d": """
    Examples
    --------
    >>> import dask.array as da
    >>> import fastpool.interop.dask
    >>> x = da.arange(36, chunks=36).reshape(6, 6).rechunk((4, 3))
    >>> fastpool.interop.dask.maxpool2d(x, 3, 1).chunks
    ((4,), (3, 1))
    >>> fastpool.interop.dask.maxpool2d(x, 3, 1).compute()
    array([[14, 15, 16, 17],
           [20, 21, 22, 23],
           [26, 27, 28, 29],
           [32, 33, 34, 35]])
""",
    "minpool2d": """
    Examples
    --------
    >>> import dask.array as da
    >>> import fastpool.interop.dask
    >>> x = da.arange(36, chunks=36).reshape(6, 6).rechunk((4, 3))
    >>> fastpool.interop.dask.minpool2d(x, 3, 3).compute()
    array([[ 0,  3],
           [18, 21]])
""",
    "adaptive_avgpool2d": """
    Examples
    --------
    >>> import dask.array as da
    >>> import fastpool.interop.dask
    >>> x = da.arange(36, chunks=36).reshape(6, 6).rechunk((4, 3))
    >>> fastpool.interop.dask.adaptive_avgpool2d(x, (2, 4)).compute()
    array([[ 6.5,  7.5,  9.5, 10.5],
           [24.5, 25.5, 27.5, 28.5]])
""",
    "avgpool2d": """
    Examples
    --------
    >>> import dask.array as da
    >>> import fastpool.interop.dask
    >>> x = da.arange(36, chunks=36).reshape(6, 6).rechunk((4, 3))
    >>> fastpool.interop.dask.avgpool2d(x, 3).compute()
    array([[ 7., 10.],
           [25., 28.]])
""",
}

_AVERAGE = """`fastpool.{pool}` of a Dask array.

    Parameters
    ----------
    x : dask.array.Array or array_like
        The input, of known chunk sizes.
    %s
        As in `fastpool.{pool}`. The default backend is looked up here, not in the tasks.

    Returns
    -------
    dask.array.Array
        Each chunk of `x` becomes one of the windows that start in it, if there are any. Nothing is
        computed yet.

    Raises
    ------
    ValueError, TypeError
        As in `fastpool.{pool}`, and where the sizes of chunks are not known. For a block that is
        a masked array, when it is computed.
"""

AVERAGE = (
    _AVERAGE
    % """\
kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override, dilation, layout, \
dtype, backend"""
)
SUM = _AVERAGE % "kernel_size, stride, padding, ceil_mode, dilation, layout, dtype, backend"

NORM = _AVERAGE % "norm_type, kernel_size, stride, ceil_mode, padding, dilation, layout, backend"

_CHUNKS = """\
chunks : optional
        Those of the result, as `dask.array.zeros` takes them for `input_shape`: ``x.chunks``, say.
        By default they end where the windows of a chunk of `grad_output` start."""

_BACKWARD_ERRORS = """\
ValueError, TypeError
        As in `fastpool.%s`, and where the sizes of chunks are not known. For a block that
        is a masked array, when it is computed."""

NORM_BACKWARD = f"""`fastpool.{{backward}}` of Dask arrays.

    Parameters
    ----------
    grad_output, x : dask.array.Array or array_like
        As in `fastpool.{{backward}}`, chunked in any way.
    norm_type, kernel_size, stride, ceil_mode, padding, dilation, layout, backend
        As in `fastpool.{{backward}}`.
    {_CHUNKS.replace("`input_shape`", "the shape of `x`")}

    Returns
    -------
    grad_input : dask.array.Array, shape of `x`
        A chunk visits all windows that reach it, with all of their cells.

    Raises
    ------
    {_BACKWARD_ERRORS % "{backward}"}
"""

_ADAPTIVE_NOTES = """
    Notes
    -----
    A task holds all cells of its windows: all of a plane's, if that is one window.
"""

ADAPTIVE = (
    """`fastpool.{adaptive}` of a Dask array.

    Parameters
    ----------
    x : dask.array.Array or array_like
        The input, of known chunk sizes.
    output_size, return_indices, layout, backend
        As in `fastpool.{adaptive}`. The default backend is looked up here, not in the tasks.

    Returns
    -------
    output : dask.array.Array
        Each chunk of `x` becomes one of the windows that start in it, if there are any. Nothing is
        computed yet.
    PoolResult(output, indices)
        With ``return_indices=True``: two arrays whose chunks are pooled once for both. Indices
        count the cells of the whole plane.

    Raises
    ------
    ValueError, TypeError
        As in `fastpool.{adaptive}`, and where the sizes of chunks are not known. For a block that
        is a masked array, when it is computed.
"""
    + _ADAPTIVE_NOTES
)

ADAPTIVE_AVERAGE = (_AVERAGE % "output_size, layout, dtype, backend").replace(
    "{pool}", "{adaptive}"
) + _ADAPTIVE_NOTES

ADAPTIVE_BACKWARD = f"""`fastpool.{{adaptive}}_backward` of Dask arrays.

    Parameters
    ----------
    grad_output, indices : dask.array.Array or array_like
        As in `fastpool.{{adaptive}}_backward`, chunked in any way.
    input_shape, output_size, layout, backend
        As in `fastpool.{{adaptive}}_backward`.
    {_CHUNKS}

    Returns
    -------
    grad_input : dask.array.Array, shape `input_shape`
        A chunk visits all windows that reach it, in the order of the outputs.

    Raises
    ------
    IndexError
        When it is computed: an index names no cell of its own window.
    {_BACKWARD_ERRORS % "{adaptive}_backward"}
"""

ADAPTIVE_AVERAGE_BACKWARD = f"""`fastpool.{{adaptive}}_backward` of a Dask array.

    Parameters
    ----------
    grad_output : dask.array.Array or array_like
        As in `fastpool.{{adaptive}}_backward`, chunked in any way.
    input_shape, output_size, layout, backend
        As in `fastpool.{{adaptive}}_backward`.
    {_CHUNKS}

    Returns
    -------
    grad_input : dask.array.Array, shape `input_shape`
        A chunk visits all windows that reach it, in the order of the outputs.

    Raises
    ------
    {_BACKWARD_ERRORS % "{adaptive}_backward"}
"""

AVERAGE_BACKWARD = """`fastpool.{backward}` of a Dask array.

    Parameters
    ----------
    grad_output : dask.array.Array or array_like
        As in `fastpool.{backward}`, chunked in any way.
    input_shape, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override, \
dilation, layout, backend
        As in `fastpool.{backward}`.
    chunks : optional
        Those of the result, as `dask.array.zeros` takes them for `input_shape`: ``x.chunks``, say.
        By default they end where the windows of a chunk of `grad_output` start.

    Returns
    -------
    grad_input : dask.array.Array, shape `input_shape`
        A chunk visits all windows that reach it.

    Raises
    ------
    ValueError, TypeError
        As in `fastpool.{backward}`, and where the sizes of chunks are not known. For a block that
        is a masked array, when it is computed.
"""

BACKWARD = """`fastpool.{backward}` of Dask arrays.

    Parameters
    ----------
    grad_output, indices : dask.array.Array or array_like
        As in `fastpool.{backward}`, chunked in any way.
    input_shape, kernel_size, stride, padding, dilation, ceil_mode, index_format, layout, backend
        As in `fastpool.{backward}`.
    chunks : optional
        Those of the result, as `dask.array.zeros` takes them for `input_shape`: ``x.chunks``, say.
        By default they end where the windows of a chunk of `grad_output` start.

    Returns
    -------
    grad_input : dask.array.Array, shape `input_shape`
        A chunk visits all windows that reach it, in the order of the outputs.

    Raises
    ------
    IndexError
        When it is computed: an index is none of the taps of its own window.
    ValueError, TypeError
        As in `fastpool.{backward}`, and where the sizes of chunks are not known. For a block that
        is a masked array, when it is computed.
"""

UNPOOL = """`fastpool.{unpool}` of Dask arrays.

    Parameters
    ----------
    x, indices : dask.array.Array or array_like
        As in `fastpool.{unpool}`, chunked in any way.
    kernel_size, stride, padding, output_size, dilation, index_format, layout, backend
        As in `fastpool.{unpool}`.
    chunks : optional
        Those of the result, as in `{backward}`.

    Returns
    -------
    output : dask.array.Array
        Where two indices are equal, the later output position in row-major order wins.

    Raises
    ------
    IndexError
        When it is computed: an index lies outside the plane, the window or the input.
    ValueError, TypeError
        As in `fastpool.{unpool}`, and where the sizes of chunks are not known. For a block that
        is a masked array, when it is computed.

    Notes
    -----
    Flat indices may name any cell of the plane. So all of a plane's are looked at before the first
    chunk is made, and their chunks are held until then. Window indices spare that.
"""
