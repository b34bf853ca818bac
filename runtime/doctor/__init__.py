"""Whether jobs could run where a profile says, looked at before anything is queued."""
