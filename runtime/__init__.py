"""Plan to finished work: runs jobs and keeps their records."""
