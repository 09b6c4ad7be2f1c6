"""The child process: reads what clients send, recognises, and writes the answers."""
