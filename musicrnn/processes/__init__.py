"""Child processes are started, watched, signalled and ended here and nowhere else. No torch."""
