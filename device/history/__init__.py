"""The memory of what a camera saw: one SQLite file, and ways to search it."""
