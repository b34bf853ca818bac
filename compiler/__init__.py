"""Experiment to Plan: pure, without clock or disk writes."""
