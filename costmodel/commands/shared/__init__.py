"""Code shared by several commands: errors, reading, showing, training, progress, plotting."""
