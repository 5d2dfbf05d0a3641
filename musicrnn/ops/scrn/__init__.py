"""The scrn recurrence."""
