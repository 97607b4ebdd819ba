"""The functions of one row, as walks call them: what each kind of them takes.

Addresses of cells are passed as integers. `codes` are 0 where nobody wants indices, and `table` and
`scratch` are those of the walk.
"""

from __future__ import annotations

from ..compile.signature import Signature

# Along a row: the extremes of `count` windows from window `first` on, for some rows `step` bytes
# apart, into rows of the ring from `slot` on.
REDUCE = Signature("source ring codes table scratch first count rows step slot", constants="stride")
# Down the rows: the extremes over rows of the ring, written.
MERGE = Signature(
    "ring codes output places table scratch slot begin stop base n rows",
    constants="flat half",
)
# A row of extremes beside a later one.
JOIN = Signature("values codes later_values later_codes n distance")
# Two rows of extremes become one, written.
EMIT = Signature(
    "values codes later_values later_codes output places table scratch offset distance base n",
    constants="flat half",
)
# Small windows: some rows of blocks, a run, of which the table does not tell all.
BLOCKS = Signature("x output places table run", constants="block")
# Rows of the input are copied to where their cells lie side by side.
STAGE = Signature("x stage table rows step")
# Lines are copied to where the cells of the output lie apart.
SPREAD = Signature("line target table which count rows")
# Outputs of 16-bit floats get the bits that their keys have lost.
MEND = Signature("x output table od oh first count")
# What depends on a window's place in its tile is made once.
FILL = Signature("codes table scratch")

reduce_row, merge_rows, join_rows, emit_row = REDUCE.call, MERGE.call, JOIN.call, EMIT.call
pool_rows, stage_rows, spread_rows = BLOCKS.call, STAGE.call, SPREAD.call
mend_row, fill_tables = MEND.call, FILL.call
