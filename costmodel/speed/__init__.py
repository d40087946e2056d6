"""Predicted and measured time: roofline, the machine's ceilings, networks timed in turns."""
