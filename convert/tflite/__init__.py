"""TFLite graphs: export, reading, and repair."""
