"""The plan "folded": a snapshot for inference, with normalisation folded into the convolutions."""
