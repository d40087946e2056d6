"""What the plans share: which plan fits, known shapes, pooled maps, sums in place, snapshots."""
