"""Windows that together need every function of the Numba backend."""

# kernel, stride, padding, dilation: one for every function that reduces or merges rows.
WINDOWS = {
    "shared rows": (3, 1, 1, 1),
    "tiles": (2, 2, 0, 1),
    "shared rows, stride 2": (3, 2, 1, 1),
    "stride 2, taps apart": ((4, 5), 2, 1, (1, 2)),
    "dilation": (3, 1, 2, 2),
    "stride 3": ((2, 3), 3, 1, 1),
    "ring": ((8, 3), (4, 3), (4, 1), 1),
    "doubling": ((1, 8), 1, (0, 4), 1),
    "doubling and stride": ((3, 13), 2, (1, 6), 1),
    "van Herk": ((13, 2), (2, 1), (6, 1), 1),
    "van Herk and dilation": ((9, 5), (1, 2), (8, 4), (2, 3)),
    "taps": ((2, 3), (1, 20), (0, 1), 1),
    "beyond the input": ((2, 400), (1, 9), (1, 399), 1),
}
