"""The C function that XLA calls, compiled: an entry run on XLA's buffers by XLA's threads.

XLA hands over a *frame* (``xla/ffi/api/c_api.h``): the arrays, and one attribute, the key of what
is to be done. The key is looked up in the *slots*, numbers of this process that compiled code finds
from one word of its own. Nothing that XLA keeps is an address, so it may keep what it compiled on
disk.

::

    frame ── key ──> slots ──> record of a service ──> its steps, for each range of rows
                                    │
                                    └─ none, or one failed: `OTHERWISE`, which asks Python

Ranges of rows are done by whoever comes first: the thread that was called, and tasks that it gives
to XLA's own threads. It waits for no task that has not begun: all of XLA's threads may be here at
once, or busy for long. Whoever leaves a launch last frees its *state*.

A program may end while XLA's threads are still at work. Then Python is no more, nor are the records
that it keeps. So whoever comes in is counted at the *gate*, which is closed before Python ends.
"""

from __future__ import annotations

from numba import types
from numba.core import cgutils

from ....process.huge_pages import ADVICE, LARGE, PAGE
from ..compile.jit import inlined
from ..compile.signature import WALK, Signature, kernel
from ..vectors.atomics import added, lowered, seen, shown
from ..vectors.memory import integers_at
from ..vectors.types import INT64, operation

# The oldest version of the interface that has all that is read here.
MAJOR, MINOR = 0, 1

# What XLA calls, a task of it, and functions of C's library with one argument, and with three.
FRAME, TASK = Signature("frame"), Signature("state")
ONE, THREE = Signature("first"), Signature("first second third")
PUBLISH = Signature("place number")

# Of a frame and what it points to: places of 64 bits.
EXTENSION, API, CONTEXT, STAGE, ARGUMENTS, RESULTS, ATTRIBUTES = 1, 2, 3, 4, 5, 10, 15
COUNT, KINDS, ARRAYS = 2, 3, 4  # of arguments and results; attributes have names between
NAMED = 5
DATA, RANK, SIZES = 3, 4, 5  # of an array
METADATA, EXECUTE, SCALAR = 1, 3, 3
HALF = 2**32 - 1  # of 64 bits: an enumeration has 32
# Functions of the interface, and an error's code.
MAKE_ERROR, DESTROY, SCHEDULE, COUNT_THREADS = 6, 8, 17, 18
ABORTED = 10
API_BYTES = 19 * 8  # that have these; older ones cannot say how many threads there are

# The slots; addresses of records, or 0, stand from PLACES on, in 2**n places.
OTHERWISE, MALLOC, FREE, YIELD, SAVE, RESTORE, GRADUAL, HELP, ADVISE, GATE, MASK, PLACES = range(12)
# The gate: calls and tasks that are inside, whether it is closed, and what is said then.
INSIDE, CLOSED, TEXT = 0, 1, 2
# A record, with two steps, each of some numbers; behind it stand the cells of all arrays, and the
# bytes of those that are filled.
KEY, X, INDICES, OPERANDS, OUTPUTS, PASSED, FIRST, SECOND, CELLS = 0, 1, 2, 3, 4, 5, 6, 11, 16
KERNEL, TABLE, SCRATCH, ROWS, RANGES = range(5)
# The state of a launch; behind it the seats of threads, with what each of them needs.
NEXT, DONE, USERS, SEATS, WORST, SLOTS, STEP, PARTS, SEAT_BYTES, XS, YS, PLACES_AT = range(12)
STATE_BYTES, ENVIRONMENT_BYTES = 128, 64
NO_MEMORY = -2


@operation
def home(typing):
    """The address of the one word of this code, which is 0 when the code is loaded."""

    def generate(context, builder, signature, arguments):
        name = "fastpool_slots"
        word = builder.module.globals.get(name)
        if word is None:
            word = cgutils.add_global_variable(builder.module, INT64, name)
            word.linkage, word.initializer = "internal", INT64(0)
        return builder.ptrtoint(word, INT64)

    return types.int64(), generate


@operation
def address_of(typing, numbers):
    """The address of a launch's own numbers."""
    return types.int64(numbers), lambda context, builder, _, given: builder.ptrtoint(
        given[0], INT64
    )


@operation
def some_words(typing):
    """Some words of the stack."""
    kind = types.CPointer(types.int64)

    def generate(context, builder, signature, arguments):
        return cgutils.alloca_once(builder, INT64, size=INT64(8))

    return kind(), generate


call, one, three, walk = FRAME.call, ONE.call, THREE.call, WALK.call


@kernel(PUBLISH)
def publish(place, number):
    """Write a number at an address: who sees it there sees all that was written before."""
    shown(place, number)
    return 0


@kernel(FRAME)
def answer(frame):
    """Answer a call of XLA: 0, or the address of an error. Without one, where its word lies."""
    if frame == 0:
        return home()
    words = integers_at(frame)
    extension = words[EXTENSION]
    while extension != 0:
        base = integers_at(extension)
        if base[1] & HALF == METADATA:
            metadata = integers_at(base[3])
            metadata[3] = MAJOR | MINOR << 32
            metadata[4] &= ~HALF  # no traits
            return 0
        extension = base[2]
    if words[STAGE] & HALF != EXECUTE:
        return 0
    slots = seen(home())
    gate = integers_at(slots)[GATE]
    added(gate + 8 * INSIDE, 1)
    error = _refused(words, gate) if seen(gate + 8 * CLOSED) else _answered(words, frame, slots)
    added(gate + 8 * INSIDE, -1)
    return error


@inlined
def _refused(words, gate):
    """The address of an error."""
    api, asked = integers_at(words[API]), some_words()
    asked[0], asked[1], asked[2], asked[3] = 32, 0, integers_at(gate)[TEXT], ABORTED
    return one(api[MAKE_ERROR], (address_of(asked),))


@inlined
def _answered(words, frame, slots):
    """`answer`, to a call that is inside."""
    record = _record_of(slots, _key_of(words))
    result = NO_MEMORY
    if record != 0 and _fits(words, integers_at(record)):
        result = _run(words, slots, record)
    if result == -1:
        return 0
    return call(integers_at(slots)[OTHERWISE], (frame,))


@inlined
def _key_of(words):
    """The one attribute of a frame; 0 if it is no number."""
    if words[ATTRIBUTES + COUNT] != 1:
        return 0
    if integers_at(words[ATTRIBUTES + KINDS])[0] & HALF != SCALAR:
        return 0
    scalar = integers_at(integers_at(words[ATTRIBUTES + NAMED])[0])
    return integers_at(scalar[1])[0]


@inlined
def _record_of(slots, key):
    """The address of a service's record, or 0."""
    numbers = integers_at(slots)
    place = key & numbers[MASK]
    while True:
        record = seen(slots + 8 * (PLACES + place))
        if record == 0 or integers_at(record)[KEY] == key:
            return record
        place = (place + 1) & numbers[MASK]


@inlined
def _fits(words, record):
    """Whether there is a kernel, for as many arrays, of as many cells."""
    operands, outputs = record[OPERANDS], record[OUTPUTS]
    if record[FIRST + KERNEL] == 0 or words[ARGUMENTS + COUNT] != operands:
        return False
    if words[RESULTS + COUNT] != outputs:
        return False
    for number in range(operands + outputs):
        array = integers_at(_array(words, operands, number))
        cells = 1
        for axis in range(array[RANK]):
            cells *= integers_at(array[SIZES])[axis]
        if cells != record[CELLS + number]:
            return False
    return True


@inlined
def _array(words, operands, number):
    """The address of one of the arrays that come in, or of those that are filled."""
    if number < operands:
        return integers_at(words[ARGUMENTS + ARRAYS])[number]
    return integers_at(words[RESULTS + ARRAYS])[number - operands]


@inlined
def _run(words, slots, record):
    """Run the steps; the least result of a kernel, or NO_MEMORY."""
    numbers, known = integers_at(slots), integers_at(record)
    operands, outputs = known[OPERANDS], known[OUTPUTS]
    for number in range(operands, operands + outputs):
        memory = integers_at(_array(words, operands, number))[DATA]
        _ask_for_huge_pages(numbers[ADVISE], memory, known[CELLS + outputs + number])
    x = integers_at(_array(words, operands, known[X]))[DATA]
    output = integers_at(_array(words, operands, operands))[DATA]
    places = output  # which a kernel without indices does not use
    if known[INDICES] >= 0:
        places = integers_at(_array(words, operands, known[INDICES]))[DATA]
    if known[SECOND + KERNEL] == 0:
        return _launch(words, slots, record + 8 * FIRST, x, output, places)
    passed = one(numbers[MALLOC], (known[PASSED],))
    if passed == 0:
        return NO_MEMORY
    _ask_for_huge_pages(numbers[ADVISE], passed, known[PASSED])
    result = _launch(words, slots, record + 8 * FIRST, x, passed, passed)
    if result == -1:
        result = _launch(words, slots, record + 8 * SECOND, passed, output, output)
    one(numbers[FREE], (passed,))
    return result


@inlined
def _ask_for_huge_pages(advise, address, size):
    """`huge_pages.ask`."""
    if advise != 0 and size >= LARGE:
        first, stop = (address + PAGE - 1) // PAGE * PAGE, (address + size) // PAGE * PAGE
        three(advise, (first, stop - first, ADVICE))


@inlined
def _launch(words, slots, step, x, output, places):
    """Run a kernel over all rows; its least result, or NO_MEMORY."""
    numbers, known = integers_at(slots), integers_at(step)
    ranges, seats = known[RANGES], 1
    if ranges > 1:
        seats = max(1, min(ranges, _threads(words)))
        ranges = ranges if seats > 1 else 1
    seat_bytes = ENVIRONMENT_BYTES + (known[SCRATCH] + 63) // 64 * 64
    memory = one(numbers[MALLOC], (STATE_BYTES + seats * seat_bytes,))
    if memory == 0:
        return NO_MEMORY
    state = integers_at(memory)
    state[NEXT], state[DONE], state[USERS], state[SEATS], state[WORST] = 0, 0, seats, 0, -1
    state[SLOTS], state[STEP], state[PARTS], state[SEAT_BYTES] = slots, step, ranges, seat_bytes
    state[XS], state[YS], state[PLACES_AT] = x, output, places
    for _ in range(seats - 1):
        added(numbers[GATE] + 8 * INSIDE, 1)
        if not _given(words, numbers[HELP], memory):
            added(numbers[GATE] + 8 * INSIDE, -1)
            added(memory + 8 * USERS, -1)
    _do_ranges(memory)
    while seen(memory + 8 * DONE) < ranges:
        one(numbers[YIELD], (0,))
    worst = state[WORST]
    _leave(memory)
    return worst


@inlined
def _threads(words):
    """How many threads XLA has, or 1."""
    api = integers_at(words[API])
    if api[0] < API_BYTES:
        return 1
    asked, found = some_words(), some_words()
    found[0] = 1
    asked[0], asked[1], asked[2], asked[3] = 32, 0, words[CONTEXT], address_of(found)
    return found[0] if _done(api, one(api[COUNT_THREADS], (address_of(asked),))) else 1


@inlined
def _given(words, task, memory):
    """Give a task to XLA's threads; whether they took it."""
    api, order = integers_at(words[API]), some_words()
    order[0], order[1], order[2], order[3], order[4] = 40, 0, words[CONTEXT], task, memory
    return _done(api, one(api[SCHEDULE], (address_of(order),)))


@inlined
def _done(api, error):
    """Whether there was no error, which is forgotten."""
    if error == 0:
        return True
    forgotten = some_words()
    forgotten[0], forgotten[1], forgotten[2] = 24, 0, error
    one(api[DESTROY], (address_of(forgotten),))
    return False


@kernel(TASK)
def lend_a_hand(state):
    """Do what is left of a launch: a task of XLA's threads."""
    gate = integers_at(integers_at(state)[SLOTS])[GATE]
    _do_ranges(state)
    _leave(state)
    added(gate + 8 * INSIDE, -1)
    return 0


@inlined
def _do_ranges(memory):
    """Do ranges of rows while there are any, with gradual underflow, which XLA's threads lack."""
    state = integers_at(memory)
    parts = state[PARTS]
    if seen(memory + 8 * NEXT) >= parts:
        return
    slots, step = integers_at(state[SLOTS]), integers_at(state[STEP])
    seat = added(memory + 8 * SEATS, 1)
    environment = memory + STATE_BYTES + seat * state[SEAT_BYTES]
    one(slots[SAVE], (environment,))
    one(slots[RESTORE], (slots[GRADUAL],))
    rows, arrays = step[ROWS], (state[XS], state[YS], state[PLACES_AT])
    scratch = environment + ENVIRONMENT_BYTES
    while True:
        part = added(memory + 8 * NEXT, 1)
        if part >= parts:
            break
        first, last = rows * part // parts, rows * (part + 1) // parts
        found = walk(step[KERNEL], (*arrays, scratch, step[TABLE], first, last))
        if found >= 0:
            lowered(memory + 8 * WORST, found)
        added(memory + 8 * DONE, 1)
    one(slots[RESTORE], (environment,))


@inlined
def _leave(memory):
    """Free the state of a launch, unless others still need it."""
    slots = integers_at(integers_at(memory)[SLOTS])
    if added(memory + 8 * USERS, -1) == 1:
        one(slots[FREE], (memory,))
