"""The tanh recurrence."""
