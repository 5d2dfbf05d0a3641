"""The lstm recurrence."""
