"""The process that keeps the class folders of the page, and fits classes to them."""
