"""Networks as lists of operators, and as closed forms."""
