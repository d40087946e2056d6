"""Millions of configurations at once: grids, compiled formulas, exact 64-bit evaluation."""
