"""The plan "lean": the modules of a network with less work between its convolutions."""
