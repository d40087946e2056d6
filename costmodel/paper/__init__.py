"""The PwiseOct paper, cell by cell: its equations, its tables, its text, and how its counts come about."""
