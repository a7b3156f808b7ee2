"""Files of format version 1, which the program no longer writes and still reads."""
import hashlib
import re
import struct

SEAL_BYTES = 512
BASE_ADDRESS, END_ADDRESS = 24, 40  # where HDF5's superblock of version 0 has them


def as_version_1(content):
    """What version 1 wrote in place of this file of version 2. HDF5 then had a user block, and said so in its data."""
    image, kind = bytearray(content[:-SEAL_BYTES]), re.match(rb"fcmnist_mpi \w+\n", content[-SEAL_BYTES:])[0]
    struct.pack_into("<Q", image, BASE_ADDRESS, SEAL_BYTES)
    struct.pack_into("<Q", image, END_ADDRESS, SEAL_BYTES + len(image))
    seal = kind + f"format_version 1\nimage_bytes {len(image)}\nimage_sha256 {hashlib.sha256(image).hexdigest()}\n".encode()
    return seal.ljust(SEAL_BYTES, b"\n") + image
