"""What becomes of a network whose convolutions are octave layers, for all choices of its stages at once."""
