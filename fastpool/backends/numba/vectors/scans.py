"""Running sums in the lanes of vectors.

Lane l of a running sum is the sum of the lanes l, l - step, l - 2 * step, ... With a step of 1::

    a         b         c         d
    a         a+b       b+c       c+d           what lies 1 before is added
    a         a+b       a+b+c     a+b+c+d       what lies 2 before is added

A row of cells with channels has a running sum for each channel, so the step is their number.
"""

from __future__ import annotations

from llvmlite import ir

from .types import INT32, constants, operation


@operation
def run_lanes(typing, vector, step):
    """The running sum of integers within a vector; they wrap. A step of 0 is none."""

    def generate(context, builder, signature, arguments):
        values, lanes, far = arguments[0], vector.lanes, step.literal_value
        while 0 < far < lanes:
            zeros = ir.Constant(values.type, None)
            places = constants(lanes, INT32, range(lanes - far, 2 * lanes - far))
            values = builder.add(values, builder.shuffle_vector(zeros, values, places))
            far *= 2
        return values

    return vector(vector, step), generate


@operation
def carried(typing, sums, carry, step):
    """What goes into the next vector: the last running sum of each channel, before it or in it."""

    def generate(context, builder, signature, arguments):
        lanes, far = sums.lanes, step.literal_value

        def last(values):
            places = [lanes - far + lane % far if far else 0 for lane in range(lanes)]
            return builder.shuffle_vector(values, values, constants(lanes, INT32, places))

        values, before = arguments[:2]
        # Of one channel all lanes of a carry are alike: so one addition waits for the other, and
        # no shuffle does.
        return builder.add(last(values), before if far == 1 else last(before))

    return sums(sums, carry, step), generate
