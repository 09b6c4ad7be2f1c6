"""The errors that people are meant to see."""


class PicaptionError(Exception):
    """One line that names the problem and its fix; the commands print it and exit with 2."""


class TemporaryError(PicaptionError):
    """What a retry may mend; the commands exit with 75, a temporary failure in sysexits.h."""


class CameraError(TemporaryError):
    """A camera that is missing, does not work, or has stopped working."""
