"""Which backend answers: the table of them, the default, and when a compiler pays."""
