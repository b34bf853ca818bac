"""Plans on a SLURM cluster: what is queued, how it runs there, and where it stands."""
