"""Whether a bundle from elsewhere may be opened: its graph is verified, then tried in a child."""
