"""The gru-simplified recurrence."""
