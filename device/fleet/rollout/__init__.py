"""Roll-outs: a bundle or a version for a fleet, step by step, and back if its devices get worse."""
