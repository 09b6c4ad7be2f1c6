"""Programs that feed picaption broken and hostile input, and count what it makes of that."""
