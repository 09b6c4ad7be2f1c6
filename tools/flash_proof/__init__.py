"""A proof that a prepared card boots, captions, and does so again after power cuts."""
