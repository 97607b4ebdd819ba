"""The table of a launch: what a kernel must know of a call, as one array of integers.

::

    DEPTH        HEIGHT       WIDTH        INPUT    OUTPUT   INDICES
    | axis       | axis       | axis       | memory | memory | memory | CHANNELS, WINDOW | OWN ...

An axis is seven numbers, at ``table[HEIGHT + STRIDE]`` and so on; the memory of an array is seven,
in cells, at ``table[INPUT + ROW]``. A geometry of fewer axes has axes of one cell in front. What
follows `OWN` belongs to the kernel, and `make_table` checks that it is there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from ...rules.axis import SINGLE, Axis
from ...rules.geometry import Geometry
from .memory import Memory

# Of an axis: cells, windows, taps of a window, and the numbers that say where these lie.
SIZE, OUTPUTS, TAPS, STRIDE, DILATION, PAD, SPAN = range(7)
DEPTH, HEIGHT, WIDTH = 0, 7, 14
# Of the memory of an array: see `Memory`.
SPLIT, OUTER, INNER, SLICE, ROW, COLUMN, CHANNEL = range(7)
INPUT, OUTPUT, INDICES = 21, 28, 35
CHANNELS, WINDOW, OWN = 42, 43, 44


class Layout:
    """The names of a kernel's own numbers, in their order from `OWN` on."""

    def __init__(self, names: str) -> None:
        self.names = tuple(names.split())

    @property
    def places(self) -> range:
        """Where in the table they stand."""
        return range(OWN, OWN + len(self.names))

    def numbers(self, own: Mapping[int, int]) -> list[int]:
        """A kernel's own numbers in order.

        Raises
        ------
        ValueError
            One is missing, or is not of this layout.
        """
        wrong = set(own) ^ set(self.places)
        if wrong:
            names = [self.names[place - OWN] if place in self.places else place for place in wrong]
            raise ValueError(f"the table lacks, or has no place for, {names}")
        return [own[place] for place in self.places]


FORWARD = Layout(
    """
    ITEM_SIZE CODE_SIZE INDEX_SIZE INFINITY SLICE_STEP ROW_STEP COLUMN_STEP ROW_BITS STRETCH SLOTS
    PITCH PHASES RING_STEP BATCH STAGE_STEP OUTPUT_STEP INDICES_STEP LINE_INDEX_SIZE GROUP
    LAST_PLANE DENSE_STRIDE DENSE_CELLS AHEAD BLOCK_ROWS BLOCK_REACH BLOCK_LENGTH BLOCK_LANES
    LANE_STRIDE PIXELS TOGETHER LONGEST ZONE TOUCHED END WRITTEN_PAST DIVISOR
    POOL_ROWS REDUCE MERGE COMBINE COPY_ROW EMIT STAGE_ROWS SPREAD_VALUES SPREAD_INDICES
    MEND_ROW FILL_TABLES
    RING CODES PREFIX PREFIX_CODES FIRSTS COLUMNS STAGE DENSE DENSE_CODES LINE LINE_INDICES NUMBERS
    """
)
(
    ITEM_SIZE,  # bytes of a cell
    CODE_SIZE,  # bytes of a code, 0 for none
    INDEX_SIZE,  # bytes of an index, 0 for none
    INFINITY,  # the bits of infinity of a 16-bit float, else 0
    SLICE_STEP,  # what one tap back adds to a code
    ROW_STEP,  # what one tap down adds to a code
    COLUMN_STEP,  # what one tap right adds to a code
    ROW_BITS,  # of the tap column in a code that is taken apart to become a flat index, else 0
    STRETCH,  # windows of a row that are done together
    SLOTS,  # rows of the ring
    PITCH,  # cells from one row of the ring to the next
    PHASES,  # rows of windows until rows of the input are shared again
    RING_STEP,  # rows of the ring from one window to the next
    BATCH,  # rows of windows that are done together
    STAGE_STEP,  # bytes from one staged row to the next
    OUTPUT_STEP,  # from one row that is written to the next; 0 for lines of the scratch
    INDICES_STEP,
    LINE_INDEX_SIZE,  # bytes of an index in those
    GROUP,  # planes that are done together
    LAST_PLANE,  # where the last group begins; it may overlap the one before
    DENSE_STRIDE,  # of the windows of a row, before they are picked
    DENSE_CELLS,  # cells of a stretch of windows at that stride
    AHEAD,  # cells from what is read to what is fetched meanwhile
    BLOCK_ROWS,  # of windows in a block
    BLOCK_REACH,  # cells that a block reads along a row
    BLOCK_LENGTH,  # cells of a row of blocks
    BLOCK_LANES,
    LANE_STRIDE,  # cells of the input from one lane to the next
    PIXELS,  # whether a block holds the channels of one window
    TOGETHER,  # planes in a run, at most
    LONGEST,  # groups of a plane in a run, at most
    ZONE,  # cells of a row of windows whose first taps may lie outside; of sums, zeros on a side
    TOUCHED,  # whether the rows of a group are read once before, in order
    END,  # cells of the input's memory, where rows of windows may run over; else 0
    WRITTEN_PAST,  # whether windows are written past the caches
    DIVISOR,  # the bits of the float64 that sums are multiplied with, or divided by
    # The functions for one row: their addresses, 0 for what is not needed.
    POOL_ROWS,
    REDUCE,
    MERGE,
    COMBINE,
    COPY_ROW,
    EMIT,
    STAGE_ROWS,
    SPREAD_VALUES,
    SPREAD_INDICES,
    MEND_ROW,
    FILL_TABLES,
    # Places in the scratch.
    RING,
    CODES,  # of the ring
    PREFIX,  # extremes over the beginning of a block, or of what was seen of a volume
    PREFIX_CODES,
    FIRSTS,  # codes of the first taps inside
    COLUMNS,  # of the windows
    STAGE,  # rows of the input
    DENSE,  # values of a row at stride 1
    DENSE_CODES,
    LINE,  # rows of the output
    LINE_INDICES,
    NUMBERS,  # of a run, see below
) = FORWARD.places
OF_BLOCKS = range(BLOCK_ROWS, POOL_ROWS)
FUNCTIONS = range(POOL_ROWS, RING)
# Of a run: rows of blocks that differ in their addresses alone.
(
    RUN_ROWS,
    LINE_STEP,  # bytes from one row of cells in a block to the next, and from one slice
    PLANE_STEP,
    ABOVE,  # the rows and slices of a block that lie inside
    BELOW,
    NEAREST,
    FURTHEST,
    LEFT,  # where the first window begins: the cell of its row, and the position in its plane
    BASE,
    INSIDE,  # the last cell of a row at which a block lies inside
    TOUCHED_BYTES,  # of each slice of a block, read once before it is pooled
    VALUES_STEP,  # bytes from one row of windows in a block to the next
    PLACES_STEP,
    CODES_AT,  # the addresses of codes of first taps, and of columns
    COLUMNS_AT,
    # What is added from one row of blocks to the next: bytes, cells of the row, of the plane and
    # of the row of windows, bytes.
    NEXT_X,
    NEXT_LEFT,
    NEXT_BASE,
    NEXT_PLACE,
    NEXT_OUTPUT,
    NEXT_PLACES,
) = range(21)
RUN_NUMBERS = 21

# Of the kernels that sum. Some numbers stand behind the table: where the taps of each window of an
# axis begin, and how many there are; and what sums are divided by, which is a product of a number
# for each axis.
SUMS = Layout(
    """
    REACH_DEPTH REACH_HEIGHT REACH_WIDTH DIVISOR_DEPTH DIVISOR_HEIGHT DIVISOR_WIDTH EACH_COLUMN
    STRETCH_WINDOWS BAND FRAME_LOW FRAME_CELLS CELL_BYTES RESULT_BYTES TOTAL_BYTES LANE_PLANES
    LAST_GROUP HELD_ROWS ROUNDED_NUMBER
    ADD_TAPS FRAME_ROW JOIN_LINES TREE_DOWN TREE_ALONG FILL_DIVISORS FINISH_ROW SPREAD_ROW
    BRING_IN BRING_OUT WRITE_PAST RUN_ALONG TAKE_ROW
    TOTALS DIVISORS RESULTS FRAMES PARTS PLANES_IN PLANES_OUT PLANES_PAST ZEROS
    """
)
(
    REACH_DEPTH,  # where the first taps of windows begin, and behind them their counts
    REACH_HEIGHT,
    REACH_WIDTH,
    DIVISOR_DEPTH,
    DIVISOR_HEIGHT,
    DIVISOR_WIDTH,
    EACH_COLUMN,  # 1 if each column has a divisor of its own, 0 if there is one for all
    STRETCH_WINDOWS,  # windows of a row that are summed at a time
    BAND,  # rows of windows that are summed together
    FRAME_LOW,  # where a row of cells begins that has zeros around
    FRAME_CELLS,
    CELL_BYTES,
    RESULT_BYTES,
    TOTAL_BYTES,
    LANE_PLANES,  # planes side by side in the lanes of a vector
    LAST_GROUP,  # where the last group of planes begins; it may overlap the one before
    HELD_ROWS,  # rows that are written past the caches at a time; 0 if they are written at once
    ROUNDED_NUMBER,  # what sums of integers are multiplied with, or divided by: a float64's bits
    # The functions for some rows: their addresses, 0 for what is not needed.
    ADD_TAPS,
    FRAME_ROW,
    JOIN_LINES,
    TREE_DOWN,
    TREE_ALONG,
    FILL_DIVISORS,
    FINISH_ROW,
    SPREAD_ROW,
    BRING_IN,  # of a group of planes
    BRING_OUT,
    WRITE_PAST,
    RUN_ALONG,
    TAKE_ROW,
    # Places in the scratch.
    TOTALS,
    DIVISORS,
    RESULTS,
    FRAMES,
    PARTS,
    PLANES_IN,  # groups of planes, a vector for each cell
    PLANES_OUT,
    PLANES_PAST,  # brought out, where they are written past the caches
    ZEROS,
) = SUMS.places

# Of the kernel that searches each window by itself, or counts its values.
PICKING = Layout(
    """
    PICK_REACH_DEPTH PICK_REACH_HEIGHT PICK_REACH_WIDTH PICK_BYTES PICK_INDEX PICK_INFINITY
    SLOTS_OF_COUNTS SCRATCH_CLEARED PICK_PLANES PICK_LAST_GROUP
    PICK_ROW PICK_IN PICK_OUT PICK_PLACES_OUT
    PICKED_FROM PICKED PICKED_PLACES
    """
)
(
    PICK_REACH_DEPTH,  # where windows begin, and behind them their taps, as those of sums
    PICK_REACH_HEIGHT,
    PICK_REACH_WIDTH,
    PICK_BYTES,  # of a cell
    PICK_INDEX,  # bytes of an index, 0 for none
    PICK_INFINITY,  # the bits of infinity of a 16-bit float, else 0
    SLOTS_OF_COUNTS,  # of the table that counts values: a power of two
    SCRATCH_CLEARED,  # bytes of the scratch that are zeros at first
    PICK_PLANES,  # planes side by side in the lanes of a vector
    PICK_LAST_GROUP,  # where the last group of planes begins; it may overlap the one before
    # The addresses of functions: for a row, and to bring planes in, values out, and indices out.
    PICK_ROW,
    PICK_IN,
    PICK_OUT,
    PICK_PLACES_OUT,
    # Places in the scratch: of groups of planes, a vector for each cell.
    PICKED_FROM,
    PICKED,
    PICKED_PLACES,
) = PICKING.places

# Of the kernels that scatter any index: whether it can reach no further than its window, and
# whether values are added.
SCATTER = Layout("TIED ADD")
TIED, ADD = SCATTER.places

# Of the kernel that gathers: windows of a row that are gathered at a time, and pairs of rows of
# cells that are gathered before they are written past the caches; 0 if they are written at once.
GATHER = Layout("WINDOWS PAIRS")
WINDOWS, PAIRS = GATHER.places

# Of the kernel in which cells pull: see `kernels.pull`.
PULL = Layout(
    """
    ITEM_BYTES SUM_BYTES INDEX_BYTES HELD BUFFER_UNITS SHIFT_BYTES PITCH_UNITS UNITS LEAD TAP_STEP
    PHASES_ALONG PIECE BATCHED BYTES_ALONE PAST AHEAD_VALUES AHEAD_INDICES GRADIENT_DIVISOR
    TRANSLATE_ROWS COPY_ROWS SUM_ROWS
    """
)
(
    ITEM_BYTES,  # of a cell
    SUM_BYTES,  # of a sum
    INDEX_BYTES,
    HELD,  # rows of windows in the scratch at most
    BUFFER_UNITS,  # of them all, with zeros around
    SHIFT_BYTES,  # of what says where windows begin
    PITCH_UNITS,  # from one such row to the next
    UNITS,  # of a row that are written
    LEAD,  # units before the first row
    TAP_STEP,  # from one row of taps to the next
    PHASES_ALONG,  # vectors of cells to one of windows
    PIECE,  # cells of a row that are summed before they are written
    BATCHED,  # whether rows of cells are one
    BYTES_ALONE,  # whether indices are translated as bytes
    PAST,  # whether vectors are written past the caches
    AHEAD_VALUES,  # bytes of the next block that are fetched with each vector of windows
    AHEAD_INDICES,
    GRADIENT_DIVISOR,  # of an average: the bits of the float64 that gradients are divided by
    # The functions for some rows: their addresses, 0 for what is not needed.
    TRANSLATE_ROWS,
    COPY_ROWS,
    SUM_ROWS,
) = PULL.places

# Of the kernel that scatters in streams: see `kernels.streams`.
STREAMS = Layout("LINE_CELLS BANDS PLANES ROWS TURNS COUNT")
(
    LINE_CELLS,  # cells of a line of outputs
    BANDS,  # of a plane, each filled by a stream of its own
    PLANES,  # that a stream fills
    ROWS,  # of outputs that a stream sees in a step
    TURNS,  # streams that take turns
    COUNT,  # planes in all
) = STREAMS.places


class Behind:
    """Numbers that stand behind a table of some layout."""

    def __init__(self, layout: Layout) -> None:
        self._next = OWN + len(layout.names)
        self.arrays: list[np.ndarray] = []

    def add(self, *arrays: np.ndarray) -> int:
        """Where in the table arrays of int64 stand, one behind the other."""
        place = self._next
        self.arrays += arrays
        self._next += sum(array.size for array in arrays)
        return place


def three_axes(geometry: Geometry) -> tuple[Axis, Axis, Axis]:
    """Depth, height and width, those that the geometry lacks being of one cell."""
    depth, height, width = (SINGLE,) * (3 - len(geometry.axes)) + geometry.axes
    return depth, height, width


def make_table(
    geometry: Geometry,
    window: bool,
    memories: tuple[Memory, ...],
    layout: Layout,
    own: Mapping[int, int],
    behind: Sequence[np.ndarray] = (),
) -> np.ndarray:
    """The table of a geometry, the memory of input, output and indices, and a kernel's part.

    `behind` are numbers that stand behind it.
    """
    numbers: list[int] = []
    for axis in three_axes(geometry):
        numbers += (
            axis.size, axis.output, axis.kernel, axis.stride, axis.dilation, axis.pad_low,
            axis.span,
        )  # fmt: skip
    for memory in memories:
        numbers += memory
    numbers += (geometry.channels, int(window), *layout.numbers(own))
    return np.concatenate([np.array(numbers, np.int64), *behind])
