"""The process that fastpool runs in: forks, signals, threads, folders, what is logged."""
