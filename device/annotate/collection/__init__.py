"""What a collection holds: files below folders and addresses, and members of tar shards."""
