"""What words say of a class: its name and a description, beside images or without any."""
