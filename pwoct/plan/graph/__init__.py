"""Networks as graphs of operations on feature maps, recorded from the operators that run."""
