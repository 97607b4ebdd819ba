"""What users can see of the choices that were made: the logger ``fastpool``.

It says which backend answers and why, which kernel runs and why (DEBUG), and what was compiled and
how long that took (INFO). Nothing is printed unless the user asks `logging` for it.
"""

from __future__ import annotations

import logging

logger = logging.getLogger("fastpool")
logger.addHandler(logging.NullHandler())
