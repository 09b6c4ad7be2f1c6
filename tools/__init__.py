"""Programs for picaption's own development; none of them is installed."""
