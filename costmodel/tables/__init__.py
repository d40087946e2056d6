"""Results as tables: what is counted, layer by layer, side by side."""
