"""Operators: what each costs, as a pure function of its sizes."""
