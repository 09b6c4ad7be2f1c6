"""The history over HTTP: its page, and what the page and programs ask."""
