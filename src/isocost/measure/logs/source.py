"""Text of a log in blocks of whole lines, whatever its encoding and colors; a cut file gives what it has."""

from __future__ import annotations

import codecs
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, Final

from isocost.errors import InputError, Problem

CHUNK_BYTES: Final = 1 << 22
LONGEST_LINE: Final = 1 << 22  # characters; a longer line is cut, so that a file without line feeds cannot fill memory
_GZIP: Final = b"\x1f\x8b"
# A log or a trace expands ten to a hundred times; deflate can expand a thousand times, and a file that fills the disk.
_MOST_EXPANSION: Final = 500
_FREE_BYTES: Final = 1 << 28  # expanded bytes that are read whatever the ratio
_MOST_HOLE: Final = 1 << 26  # NUL bytes at the start, after which the end of the file is looked at
_PIECE_BYTES: Final = 1 << 12  # in which a damaged stretch is looked through
_TAIL_BYTES: Final = 1 << 16
_ANSI: Final = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\n]{0,200}\x07|[()][A-Z0-9])")
_BOMS: Final = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))


@dataclass(slots=True)
class Source:
    """A file being read; ``notes`` fill while its blocks are consumed."""

    path: Path
    notes: list[str] = field(default_factory=list)
    lines: int = 0
    characters: int = 0
    odd: int = 0  # characters that no text has

    def blocks(self) -> Iterator[str]:
        """Yield text that ends with a line end, line ends as one line feed, without colors."""
        carry = ""
        for text in self._texts():
            carry += text
            cut = carry.rfind("\n") + 1
            if not cut and len(carry) > LONGEST_LINE:
                cut = carry.rfind("\r") + 1 or len(carry)
            if cut:
                yield self._clean(carry[:cut])
                carry = carry[cut:]
        if carry:
            yield self._clean(carry + "\n")

    def _clean(self, text: str) -> str:
        if "\x1b" in text:
            text = _ANSI.sub("", text)
        if "\r" in text:
            text = text.replace("\r\n", "\n").replace("\r", "\n")
        if "\x00" in text:
            self.odd += text.count("\x00")
            text = text.replace("\x00", "")
        if not text.isascii():
            self.odd += text.count("\ufffd")
        self.characters += len(text)
        self.lines += text.count("\n")
        return text

    def _texts(self) -> Iterator[str]:
        decoder: codecs.IncrementalDecoder | None = None
        wide = False
        for data in self._bytes():
            if decoder is None:
                encoding, skip = _encoding(data)
                decoder = codecs.getincrementaldecoder(encoding)(errors="replace")
                data = data[skip:]
                wide = encoding.startswith("utf-16")
            if not wide and b"\x00" in data:  # a hole that a rotated log left, or no text at all
                size = len(data)
                data = b"" if data == bytes(size) else data.translate(None, b"\x00")
                self.odd += size - len(data)
                if self.odd > _MOST_HOLE and not self.characters and not data and _ends_empty(self.path):
                    return
            yield decoder.decode(data)
        if decoder is not None:
            yield decoder.decode(b"", final=True)

    def _bytes(self) -> Iterator[bytes]:
        with open_binary(self.path) as stream:
            packed = stream.peek(2)[:2] == _GZIP  # type: ignore[attr-defined]
            yield from unpacked(stream, self.notes) if packed else iter(lambda: stream.read(CHUNK_BYTES), b"")


def _ends_empty(path: Path) -> bool:
    """Return whether the end of a file has nothing but NUL bytes; a log after a hole has its last lines there."""
    with open_binary(path) as stream:
        stream.seek(max(path.stat().st_size - _TAIL_BYTES, 0))
        tail = stream.read()
    return tail == bytes(len(tail))


def open_binary(path: Path) -> BinaryIO:
    """Open a file, or say in one line why it cannot be read."""
    try:
        if path.is_dir():
            raise IsADirectoryError(0, "is a directory")
        return path.open("rb")
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise InputError([Problem(str(path), f"cannot be read: {reason}")]) from None


def unpacked(stream: BinaryIO, notes: list[str]) -> Iterator[bytes]:
    """Yield the contents of a gzip file in pieces; a cut or damaged file ends early, with a note."""
    unpack = zlib.decompressobj(wbits=31)
    data, expanded = stream.read(CHUNK_BYTES), 0
    while data:
        if expanded > max(_FREE_BYTES, _MOST_EXPANSION * stream.tell()):
            notes.append(f"the gzip file expands more than {_MOST_EXPANSION} times; only its beginning was read")
            return
        before = unpack.copy()
        try:
            piece = unpack.decompress(data, CHUNK_BYTES)
        except zlib.error:
            notes.append("the gzip file is damaged; only what comes before the damage was read")
            yield from _before_damage(before, data)
            return
        expanded += len(piece)
        if piece:
            yield piece
        if unpack.eof:  # another member may follow
            data = unpack.unused_data or stream.read(CHUNK_BYTES)
            if data[:2] != _GZIP:
                return
            unpack = zlib.decompressobj(wbits=31)
        else:
            data = unpack.unconsumed_tail or stream.read(CHUNK_BYTES)
    if rest := unpack.flush():
        yield rest
    if not unpack.eof:
        notes.append("the gzip file is cut off; what comes before the cut was read")


def _before_damage(unpack: zlib._Decompress, data: bytes) -> Iterator[bytes]:
    """Yield what data expands to up to the first byte that does not fit; a whole piece would be lost with it."""
    for width in (_PIECE_BYTES, 1):
        while data:
            before = unpack.copy()
            try:
                piece = unpack.decompress(data[:width])
            except zlib.error:
                unpack, data = before, data[:width]
                break
            data = data[width:]
            if piece:
                yield piece


def _encoding(data: bytes) -> tuple[str, int]:
    """Return the encoding and the length of its mark; UTF-16 without a mark has a NUL in every other byte of ASCII."""
    for bom, encoding in _BOMS:
        if data.startswith(bom):
            return encoding, len(bom)
    sample = data[:4096]
    half = max(len(sample) // 2, 1)
    if sample[1::2].count(0) > 0.7 * half and sample[::2].count(0) < 0.1 * half:
        return "utf-16-le", 0
    if sample[::2].count(0) > 0.7 * half and sample[1::2].count(0) < 0.1 * half:
        return "utf-16-be", 0
    return "utf-8", 0
