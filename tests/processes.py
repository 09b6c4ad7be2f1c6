"""Child processes of tests that send them signals."""

import signal


def default_sigint() -> None:
    """Take SIGINT as in a terminal: for Popen's preexec_fn.

    A shell starts programs in its background with SIGINT ignored, and children inherit that.
    """
    signal.signal(signal.SIGINT, signal.SIG_DFL)
