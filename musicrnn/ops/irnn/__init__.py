"""The irnn recurrence."""
