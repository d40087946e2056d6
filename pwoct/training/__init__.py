"""Training on CIFAR-10: data, augmentation, recipes, the loop, checkpoints, records."""
