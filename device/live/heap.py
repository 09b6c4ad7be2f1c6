"""How the C library keeps memory, set for a program that runs for months.

glibc makes a heap for each thread, up to eight a core, and once a large block was freed it keeps
blocks of that size in its heaps, where small ones that stay come to lie between them. Both make a
process grow for hours: images of many sizes come and go here in several threads.
"""

import ctypes

#: The parameters of glibc's mallopt (malloc.h), and their values: one heap; a block beyond so many
#: bytes is a mapping of its own, and goes back to the system at once. The thresholds are glibc's
#: own; setting them keeps glibc from raising them.
_ARENA_MAX = -8
_MMAP_THRESHOLD = -3
_TRIM_THRESHOLD = -1
ARENAS = 1
THRESHOLD_BYTES = 128 << 10


def bound_heap() -> None:
    """Have glibc keep one heap and no large blocks; do nothing with another C library."""
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return
    mallopt(_ARENA_MAX, ARENAS)
    mallopt(_MMAP_THRESHOLD, THRESHOLD_BYTES)
    mallopt(_TRIM_THRESHOLD, THRESHOLD_BYTES)
