"""New classes for a bundle, taught on the device: examples, the fit and the new bundle."""
