"""YAML text to a typed Experiment; knows nothing of jobs."""
