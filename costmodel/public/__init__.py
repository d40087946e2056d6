"""What `import costmodel` offers: layers, networks, grids, searches, checks, with results as plain data."""
