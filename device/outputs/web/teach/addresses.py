"""The addresses of teaching, and the bounds of what is sent there."""

STATE_PATH = "/teach/state.json"
IMAGES_PREFIX = "/teach/images/"
UPLOAD_PATH = "/teach/upload"
COLLECT_PATH = "/teach/collect"
LIVE_PATH = "/teach/live"
BACK_PATH = "/teach/back"
#: Where else something is posted.
ACTION_PATHS = (
    "/teach/classes",
    "/teach/rename",
    "/teach/remove",
    "/teach/move",
    "/teach/delete",
    "/teach/undo",
    "/teach/fit",
)

#: Bytes of a picture that is sent, and of any other body, at most.
MAX_UPLOAD = 16 << 20
MAX_BODY = 1 << 20
#: Pixels of the longer side of an image that is kept.
MAX_SIDE = 1280
