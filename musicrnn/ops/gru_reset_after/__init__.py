"""The gru-reset-after recurrence."""
