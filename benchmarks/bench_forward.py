"""Time of maxpool2d, of minpool2d beside it, and of the family."""

from . import common


class Forward:
    """maxpool2d into preallocated outputs: the kernels, and on the tiny plane the overhead."""

    params = (list(common.CASES), common.LAYOUTS, common.BACKENDS, common.RESULTS)
    param_names = ("case", "layout", "backend", "result")
    repeat = (5, 50, 1.0)

    def setup(self, case, layout, backend, result):
        self.number = common.calls_per_sample(case)
        self.call = common.warm_forward(case, layout, backend, result)

    def time_forward(self, case, layout, backend, result):
        """One call, on data that are where the call before left them."""
        self.call()


class FreshOutputs:
    """maxpool2d that allocates its outputs: what page faults add, and `out` saves."""

    params = ([common.TINY, common.LARGE], common.BACKENDS, common.RESULTS)
    param_names = ("case", "backend", "result")
    repeat = (5, 50, 1.0)

    def setup(self, case, backend, result):
        self.number = common.calls_per_sample(case)
        self.call = common.warm_fresh_forward(case, "NCHW", backend, result)

    def time_forward_fresh_outputs(self, case, backend, result):
        """One call, and the release of its outputs."""
        self.call()


class Dtypes:
    """maxpool2d with flat indices over the dtypes: float32 is what the others compare with."""

    params = (
        [common.TINY, common.STEM],
        ["float32", "float64", "float16", "bfloat16", "int8", "uint8", "int32"],
        common.BACKENDS,
    )
    param_names = ("case", "dtype", "backend")
    repeat = (5, 50, 1.0)

    def setup(self, case, dtype, backend):
        self.number = common.calls_per_sample(case)
        if dtype == "bfloat16":
            try:
                from ml_dtypes import bfloat16 as dtype
            except ImportError as error:
                raise NotImplementedError(str(error)) from error
        self.call = common.warm_forward(case, "NCHW", backend, "flat", dtype)

    def time_forward(self, case, dtype, backend):
        """One call into preallocated outputs."""
        self.call()


class Minimum:
    """minpool2d into preallocated outputs: it should take the times of maxpool2d."""

    params = ([common.TINY, common.STEM, common.LARGE], common.BACKENDS, common.RESULTS)
    param_names = ("case", "backend", "result")
    repeat = (5, 50, 1.0)

    def setup(self, case, backend, result):
        self.number = common.calls_per_sample(case)
        self.call = common.warm_forward(case, "NCHW", backend, result, function="minpool2d")

    def time_minimum(self, case, backend, result):
        """One call, on data that are where the call before left them."""
        self.call()


class Family:
    """The other members into preallocated outputs, with indices where they have some."""

    params = (
        [common.TINY, common.STEM, common.LARGE, common.WIDE],
        common.FAMILY,
        common.LAYOUTS,
        common.BACKENDS,
    )
    param_names = ("case", "function", "layout", "backend")
    repeat = (5, 50, 1.0)

    def setup(self, case, function, layout, backend):
        self.number = common.calls_per_sample(case)
        self.call = common.warm_forward(case, layout, backend, "flat", function=function)

    def time_member(self, case, function, layout, backend):
        """One call, on data that are where the call before left them."""
        self.call()


class Arrangements:
    """maxpool2d of inputs that a backend may have to copy, beside one that it need not."""

    params = ([common.TINY, common.LARGE], common.ARRANGEMENTS, common.BACKENDS)
    param_names = ("case", "arrangement", "backend")
    repeat = (5, 50, 1.0)

    def setup(self, case, arrangement, backend):
        self.number = common.calls_per_sample(case)
        self.call = common.warm_forward(case, "NCHW", backend, "flat", arrangement=arrangement)

    def time_forward(self, case, arrangement, backend):
        """One call into preallocated outputs."""
        self.call()
