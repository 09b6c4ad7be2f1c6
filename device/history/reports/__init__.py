"""What is made of the history: digests, counts of days, visits, calendars and files."""
