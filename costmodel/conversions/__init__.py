"""The layers of a converted network for all choices of its stages at once, from a few dry runs."""
