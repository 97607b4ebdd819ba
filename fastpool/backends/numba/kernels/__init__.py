"""What is compiled: the walks through the rows of a call, and the functions of one row."""
