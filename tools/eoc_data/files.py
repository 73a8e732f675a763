# SPDX-License-Identifier: BSD-3-Clause
"""Bytes of files, compressed or not, of folders and of archives; trouble in one sentence."""
import gzip
import os
import tarfile
import zlib

from .errors import DataError, UsageError

GZIP = b"\x1f\x8b"


def must_exist(path):
    if not os.path.exists(path):
        raise UsageError(f"{path}: there is no such file or folder")


def unpacked(path, packed):
    try:
        return gzip.decompress(packed)
    except (EOFError, OSError, zlib.error) as error:
        raise DataError(f"{path}: the compressed file is cut short or damaged ({error})") from error


def read(path):
    """All bytes of a file, unpacked where it is gzip, whatever its name."""
    must_exist(path)
    if os.path.isdir(path):
        raise UsageError(f"{path} is a folder; wanted: a file")
    with open(path, "rb") as file:
        data = file.read()
    return unpacked(path, data) if data[:2] == GZIP else data


def read_archive(path, wanted):
    """{name: bytes} of the files of a tar archive, compressed or not, whose last name is wanted."""
    found = {}
    try:
        with tarfile.open(path) as archive:
            for member in archive:
                name = os.path.basename(member.name)
                if member.isfile() and wanted(name):
                    found[name] = archive.extractfile(member).read()
    except (tarfile.TarError, EOFError, OSError, zlib.error) as error:
        reason = str(error).splitlines()[0].rstrip(":") if str(error) else "it ends too early"
        raise DataError(f"{path}: neither a folder nor a whole tar archive ({reason})") from error
    return found


def read_folder(path, wanted, subfolders=()):
    """{name: bytes} of the wanted files of a folder, or of the first of the subfolders that has some."""
    for folder in (path, *(os.path.join(path, name) for name in subfolders)):
        if os.path.isdir(folder):
            names = [name for name in sorted(os.listdir(folder)) if wanted(name)]
            if names:
                return {name: read(os.path.join(folder, name)) for name in names}
    return {}
