"""The errors that people are meant to see."""


class PicaptionError(Exception):
    """One line that says what is wrong and how to mend it; the commands print it and exit with 2."""


class TemporaryError(PicaptionError):
    """What another try may mend: the commands exit with 75, which sysexits.h calls a temporary failure."""


class CameraError(TemporaryError):
    """A camera that is not there, does not work, or works no more."""
