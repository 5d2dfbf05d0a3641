"""Child processes: how they start, are signalled, and end. No torch."""
