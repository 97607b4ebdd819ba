"""fastpool beside a copy, its NumPy backend and other libraries: ratios of times.

They hold across machines and commits, where times do not. Each is fastpool's time over that of
the other, both measured interleaved: as everywhere in asv, less is better.
"""

from . import common

TASKS = ["values", "flat", "window", "channels-last", "backward"]
PEERS = [
    "torch: flat",
    "torch: channels-last",
    "torch: backward",
    "ONNX Runtime: values",
    "ONNX Runtime: flat",
    "OpenVINO: values",
    "JAX: values",
    "JAX: backward",
    "scikit-image: values",
    "SciPy: values",
    "OpenCV: values",
    "slices: values",
]


class Peer:
    """Other libraries, each as fast as it can be called: see `fastpool.cli.bench.peers`."""

    params = (list(common.CASES), PEERS)
    param_names = ("case", "peer")
    repeat = (5, 50, 1.0)

    def setup(self, case, peer):
        self.number = common.calls_per_sample(case)
        name, _, task = peer.partition(": ")
        (self.call,) = common.warm_contenders(case, task, name).values()

    def time_peer(self, case, peer):
        """One call, on the data of fastpool's own benchmarks."""
        self.call()


class RatioToPeer:
    """fastpool against the same libraries on the same data."""

    params = (list(common.CASES), PEERS)
    param_names = ("case", "peer")
    unit = "times"

    def setup(self, case, peer):
        name, _, task = peer.partition(": ")
        self.calls = common.warm_contenders(case, task, "fastpool", name)

    def track_ratio_to_peer(self, case, peer):
        """Time of fastpool over that of the library."""
        return common.ratio(case, self.calls)


class RatioToCopy:
    """fastpool against the limit, where memory sets one: what fits a cache has others."""

    params = ([common.OVERLAPPING, common.STEM, common.LARGE, common.HUGE], TASKS)
    param_names = ("case", "task")
    unit = "times"

    def setup(self, case, task):
        self.calls = common.warm_contenders(case, task, "fastpool", "copy")

    def track_ratio_to_copy(self, case, task):
        """Time of fastpool over that of a parallel copy that moves as many bytes."""
        return common.ratio(case, self.calls)


class RatioToNumpy:
    """The Numba backend against the NumPy backend."""

    params = (list(common.CASES), TASKS)
    param_names = ("case", "task")
    unit = "times"

    def setup(self, case, task):
        self.calls = common.warm_contenders(case, task, "fastpool", "NumPy backend")

    def track_ratio_to_numpy(self, case, task):
        """Time of fastpool over that of its own other backend."""
        return common.ratio(case, self.calls)


class RatioOfFamily:
    """The other members against the limit, the NumPy backend and other libraries."""

    params = (
        [common.TINY, common.OVERLAPPING, common.STEM, common.LARGE],
        ["avg", "sum", "min", "lp"],
        ["copy", "NumPy backend", "torch", "ONNX Runtime", "OpenCV", "SciPy", "reshape"],
    )
    param_names = ("case", "member", "name")
    unit = "times"

    def setup(self, case, member, name):
        self.calls = common.warm_contenders(case, "values", "fastpool", name, member=member)

    def track_ratio_of_member(self, case, member, name):
        """Time of fastpool over that of the other."""
        return common.ratio(case, self.calls)
