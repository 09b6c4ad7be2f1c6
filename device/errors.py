"""The one error that people are meant to see."""


class PicaptionError(Exception):
    """One line that says what is wrong and how to mend it; the commands print it and exit with 2."""
