"""The settings of the live loop: what they are, their TOML file, their options."""
