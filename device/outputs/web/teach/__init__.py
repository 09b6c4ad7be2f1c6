"""Teaching in the browser: a page, and what it asks; a process of its own does the work."""
