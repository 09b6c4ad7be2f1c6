"""Ways to find scenes: by words, by what a sentence means, and by another scene's image."""
