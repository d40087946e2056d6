"""Proofs: sizes that record what is asked of them, a decision procedure, a tracer, theorems, certificates."""
