"""Studies that run many trainings: the paper's tables, the hyper-parameter sweep."""
