"""Other runtimes and decoders, measured against this one."""
