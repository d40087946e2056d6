"""The bridge: formulas against counters (verify) and against symbolic traces of the modules (prove)."""

SUBJECTS = ("points", "operators", "octave", "networks", "calculator")  # what claims are about
