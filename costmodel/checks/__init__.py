"""The bridge: formulas against counters (verify) and against symbolic traces of the modules (prove)."""
