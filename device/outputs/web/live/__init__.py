"""What programs ask of a live run: its newest frame, and what it has done."""
