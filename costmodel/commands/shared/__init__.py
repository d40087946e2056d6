"""What several commands need: errors, reading, showing, training, progress, plotting."""
