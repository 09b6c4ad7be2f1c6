"""Simulated fleets: the real protocol, a real broker, and boards that only pretend."""
