"""Where recognitions go: terminal, files, a window, a web page, MQTT, events."""
