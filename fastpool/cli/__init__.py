"""The command line: information, a self-test, a demonstration, a benchmark."""
