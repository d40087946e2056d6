"""Predicted and measured time: the roofline, the machine's ceilings, networks timed alternately."""
