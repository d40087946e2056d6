"""The plan "native": whole networks in compiled kernels of this package, for inference."""
