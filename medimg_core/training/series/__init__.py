"""One answer for a whole series from the slices' features: training, choice and export of the pooling networks."""
