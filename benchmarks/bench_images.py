"""Images, volumes and labels made smaller, filtered and searched."""

from . import common

METHODS = ["mean", "max", "median", "mode", "mean of valid cells"]
FILTERS = ["maximum_filter", "minimum_filter", "uniform_filter"]
LIBRARIES = [
    *("copy", "NumPy backend", "OpenCV", "Pillow", "SciPy"),
    *("scikit-image", "tinybrain", "slices", "reshape"),
]


class Downsample:
    """downsample by 2 along two axes, into a preallocated result."""

    params = (common.SIDES, METHODS, ["uint8", "float32"], common.BACKENDS)
    param_names = ("size", "method", "dtype", "backend")
    repeat = (5, 50, 1.0)

    def setup(self, size, method, dtype, backend):
        missing = "NaN" if method == "mean of valid cells" else ""
        if missing and dtype != "float32":
            raise NotImplementedError("integers have no NaN")
        if method == "mode" and dtype != "uint8":
            raise NotImplementedError("labels are integers")
        method = "mean" if missing else method
        self.call = common.warm_image(
            backend, "downsample", (size, size), 2, dtype, method, missing
        )

    def time_downsample(self, size, method, dtype, backend):
        """One call, on data that are where the call before left them."""
        self.call()


class Pyramid:
    """All levels of a volume."""

    params = (common.VOLUME_SIDES, common.BACKENDS)
    param_names = ("size", "backend")
    repeat = (5, 50, 1.0)

    def setup(self, size, backend):
        self.call = common.warm_image(backend, "pyramid", (size,) * 3, 2, "uint8", "mean")

    def time_pyramid(self, size, backend):
        """One call, which allocates the levels."""
        self.call()


class Filters:
    """Filters of small and large windows, into a preallocated result."""

    params = (common.SIDES, FILTERS, ["uint8", "float32"], [3, 25], common.BACKENDS)
    param_names = ("size", "function", "dtype", "window", "backend")
    repeat = (5, 50, 1.0)

    def setup(self, size, function, dtype, window, backend):
        self.call = common.warm_image(backend, function, (size, size), window, dtype)

    def time_filter(self, size, function, dtype, window, backend):
        """One call, on data that are where the call before left them."""
        self.call()


class Peaks:
    """Peaks of a smooth image with noise."""

    params = (common.SIDES, [1, 5], common.BACKENDS)
    param_names = ("size", "distance", "backend")
    repeat = (5, 50, 1.0)

    def setup(self, size, distance, backend):
        self.call = common.warm_image(backend, "peaks", (size, size), distance, "float32")

    def time_peaks(self, size, distance, backend):
        """One call."""
        self.call()


class RatioOfImages:
    """What `bench --images` measures against the limit, the NumPy backend and other libraries."""

    params = (common.SIDES, list(common.IMAGES), LIBRARIES)
    param_names = ("size", "image", "name")
    unit = "times"

    def setup(self, size, image, name):
        self.calls = common.warm_image_contenders(size, image, name)

    def track_image_ratio(self, size, image, name):
        """Time of fastpool over that of the other."""
        return common.ratio(common.LARGE, self.calls)
