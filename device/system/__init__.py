"""The board's operating system: diagnosis, the systemd service."""
