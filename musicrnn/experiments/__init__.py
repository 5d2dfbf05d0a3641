"""Experiments: many trainings that are compared, by one engine of resumable trials."""
