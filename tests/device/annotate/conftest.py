import io
import os
import tarfile

import pytest

from picaption.device.images import encode_image
from tests import tiny


@pytest.fixture(scope="session")
def jpegs():
    """Small photographs as files' bytes, by name."""
    return {
        f"{name}_{part}.jpg": encode_image(tiny.cut_part(image, part), ".jpg")
        for name, image in tiny.read_photos().items()
        for part in range(tiny.PARTS)
    }


@pytest.fixture
def photos(tmp_path, jpegs):
    """A folder of 24 photographs, a third of them in a folder in it, and what is none."""
    folder = tmp_path / "photos"
    (folder / "sub").mkdir(parents=True)
    for name, data in jpegs.items():
        (folder / ("sub" if name.startswith("cat") else "") / name).write_bytes(data)
    (folder / "broken.jpg").write_bytes(b"no picture")
    (folder / "notes.txt").write_text("no picture")
    (folder / ".hidden.jpg").write_bytes(jpegs["cat_0.jpg"])
    return folder


@pytest.fixture
def many(tmp_path, jpegs):
    """A folder of 120 names of 24 photographs."""
    folder = tmp_path / "many"
    folder.mkdir()
    for name, data in jpegs.items():
        (folder / f"0-{name}").write_bytes(data)
        for copy in range(1, 5):
            os.link(folder / f"0-{name}", folder / f"{copy}-{name}")
    return folder


def add_member(tar, name, data=b"", **fields):
    """Add a member to a tar; fields are those of tarfile.TarInfo."""
    member = tarfile.TarInfo(name)
    member.size = len(data)
    for field, value in fields.items():
        setattr(member, field, value)
    tar.addfile(member, io.BytesIO(data))


@pytest.fixture
def shard(tmp_path, jpegs):
    """A tar shard in WebDataset's layout, with a few members that nobody should have in one."""
    path = tmp_path / "shards" / "000.tar"
    path.parent.mkdir()
    with tarfile.open(path, "w") as tar:
        for key, (name, data) in enumerate(sorted(jpegs.items())[:6]):
            add_member(tar, f"{key:04}.jpg", data)
            add_member(tar, f"{key:04}.txt", name.encode())
        add_member(tar, "../../escaped.jpg", jpegs["cat_0.jpg"])
        add_member(tar, "/etc/absolute.jpg", jpegs["cat_0.jpg"])
        add_member(tar, "link.jpg", type=tarfile.SYMTYPE, linkname="/etc/passwd")
        add_member(tar, "hard.jpg", type=tarfile.LNKTYPE, linkname="0000.jpg")
        add_member(tar, "device.jpg", type=tarfile.CHRTYPE, devmajor=1, devminor=5)
        add_member(tar, "pipe.jpg", type=tarfile.FIFOTYPE)
    return path
