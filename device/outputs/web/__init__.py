"""The page that shows the live run in a browser (extra `web`)."""
