"""Time of maxpool2d_backward, of the gradients of the family, and of maxunpool2d."""

from . import common


class Backward:
    """maxpool2d_backward into a preallocated gradient, indices being checked as always."""

    params = (list(common.CASES), common.LAYOUTS, common.BACKENDS, common.INDEX_FORMATS)
    param_names = ("case", "layout", "backend", "index_format")
    repeat = (5, 50, 1.0)

    def setup(self, case, layout, backend, index_format):
        self.number = common.calls_per_sample(case)
        self.call = common.warm_backward(case, layout, backend, index_format)

    def time_backward(self, case, layout, backend, index_format):
        """One call with normal gradients and the indices of normal data."""
        self.call()


class Family:
    """The gradients of the other members into preallocated ones."""

    params = (
        [common.TINY, common.STEM, common.LARGE, common.WIDE],
        common.GRADIENTS,
        common.BACKENDS,
    )
    param_names = ("case", "function", "backend")
    repeat = (5, 50, 1.0)

    def setup(self, case, function, backend):
        self.number = common.calls_per_sample(case)
        self.call = common.warm_backward(case, "NCHW", backend, "flat", function)

    def time_member(self, case, function, backend):
        """One call with normal gradients."""
        self.call()


class Unpool:
    """maxunpool2d into a preallocated output, mostly where unpooling is used: no overlaps."""

    params = (
        [common.TINY, common.SMALL, common.OVERLAPPING, common.LARGE, common.HUGE],
        common.LAYOUTS,
        common.BACKENDS,
        common.INDEX_FORMATS,
    )
    param_names = ("case", "layout", "backend", "index_format")
    repeat = (5, 50, 1.0)

    def setup(self, case, layout, backend, index_format):
        self.number = common.calls_per_sample(case)
        self.call = common.warm_unpool(case, layout, backend, index_format)

    def time_unpool(self, case, layout, backend, index_format):
        """One call with the output and the indices of normal data."""
        self.call()
