"""Where rows go: their formats, and files that are written completely or not at all."""
