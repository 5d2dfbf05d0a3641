"""Child processes: started, watched, signalled and ended here and nowhere else. No torch.

``child`` starts a function in a Python process of its own and ends it; ``pool`` has such processes do jobs;
``isolated`` maps a function over items so that a crash or a hang costs one item, on this machine or, with
``cluster``, on many.
"""
