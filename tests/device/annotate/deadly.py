"""An annotator that ends the process at some pictures, as a decoder's fault does."""

import os

from picaption.device.annotate.annotator import Annotator


class DeadlyAnnotator(Annotator):
    """Ends its process at a picture whose path has "deadly" in it."""

    def annotate(self, data, path):
        if "deadly" in path:
            os._exit(9)
        return super().annotate(data, path)
