"""Windows that together need every function of the Numba backend."""

# kernel, stride, padding, dilation: one for every function that reduces or merges rows.
WINDOWS = {
    "constant taps": (3, 1, 1, 1),
    "two taps": (2, 2, 0, 1),
    "stride 2": (3, 2, 1, 1),
    "stride 2, any taps": ((4, 5), 2, 1, (1, 2)),
    "dilation": (3, 1, 2, 2),
    "constant stride": ((2, 3), 3, 1, 1),
    "doubling": ((1, 8), 1, (0, 4), 1),
    "doubling and stride": ((3, 13), 2, (1, 6), 1),
    "van Herk": ((13, 2), (2, 1), (6, 1), 1),
    "van Herk and dilation": ((9, 5), (1, 2), (8, 4), (2, 3)),
    "taps": ((2, 3), (1, 20), (0, 1), 1),
    "beyond the input": ((2, 400), (1, 9), (1, 399), 1),
}
