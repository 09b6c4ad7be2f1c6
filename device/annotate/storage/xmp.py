"""XMP sidecars: a file beside each image that programs for photographs read (ISO 16684-1).

The caption is the description (dc:description), tags and certain classes are keywords (dc:subject),
which digiKam, darktable, Lightroom, XnView, PhotoPrism and others show and search.
"""

from collections.abc import Iterable
from xml.sax.saxutils import escape

from ...recognition.result import DOUBT
from ..rows import Row

#: The ending behind the image's own name, as digiKam, darktable and PhotoPrism have it.
SUFFIX = ".xmp"
#: What marks a sidecar as made here. A program that changes it writes its own name in its place.
TOOLKIT = 'x:xmptk="picaption"'

_SIDECAR = """<?xpacket begin="\N{ZERO WIDTH NO-BREAK SPACE}" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/" {toolkit}>
 <rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
  <rdf:Description rdf:about="" xmlns:dc="http://purl.org/dc/elements/1.1/">
{properties}  </rdf:Description>
 </rdf:RDF>
</x:xmpmeta>
<?xpacket end="w"?>
"""
_DESCRIPTION = """   <dc:description>
    <rdf:Alt>
     <rdf:li xml:lang="x-default">{text}</rdf:li>
    </rdf:Alt>
   </dc:description>
"""
_SUBJECT = """   <dc:subject>
    <rdf:Bag>
{items}    </rdf:Bag>
   </dc:subject>
"""


def to_sidecar(row: Row) -> bytes:
    """Return the sidecar of an image."""
    properties = ""
    if row.caption is not None:
        text = f"{DOUBT} {row.caption}" if row.unsure else row.caption
        properties += _DESCRIPTION.format(text=_escape(text))
    keywords = keywords_of(row)
    if keywords:
        items = "".join(f"     <rdf:li>{_escape(word)}</rdf:li>\n" for word in keywords)
        properties += _SUBJECT.format(items=items)
    return _SIDECAR.format(toolkit=TOOLKIT, properties=properties).encode()


def keywords_of(row: Row) -> list[str]:
    """Return what an image shows for certain, once each: classes, names, tags."""
    certain = [name for name, is_certain in zip(row.classes, row.certain) if is_certain]
    return list(dict.fromkeys([*certain, *row.names, *row.tags]))


def is_own(data: bytes) -> bool:
    """Return whether a sidecar was made here and has not been changed by another program."""
    return TOOLKIT.encode() in data


def _escape(text: str) -> str:
    return escape("".join(_xml_letters(text)))


def _xml_letters(text: str) -> Iterable[str]:
    """Yield the letters that XML 1.0 allows; a bundle's words may be anyone's."""
    return (letter for letter in text if letter.isprintable())
