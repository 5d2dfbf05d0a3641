"""The gru recurrence."""
