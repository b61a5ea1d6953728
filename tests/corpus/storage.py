"""What surrounds the text: gzip and zstd, whole, cut, damaged, bombed and with something behind."""

import gzip
import shutil
import struct
import subprocess
import zlib

MIB = 1 << 20

# Fixed in what they mean, not in which of two words a stream that is not gzip has for it.
TRUNCATED, CORRUPT = "gzip_truncated|zstd_truncated", "gzip_corrupt|zstd_corrupt"
RATIO, TRAILING = "gzip_ratio|zstd_ratio", "gzip_trailing|zstd_trailing"


def gz(data, level=6):
    return gzip.compress(data, level, mtime=0)


def plain(data):
    return data


def member(data, flags=0, extra=b"", method=8, crc=None, size=None, body=None):
    """A gzip member with any part of it chosen: https://www.rfc-editor.org/rfc/rfc1952#section-2.3"""
    if body is None:
        packer = zlib.compressobj(6, zlib.DEFLATED, -15)
        body = packer.compress(data) + packer.flush()
    head = struct.pack("<2sBBIBB", b"\x1f\x8b", method, flags, 0, 0, 255)
    crc = zlib.crc32(data) if crc is None else crc
    size = len(data) & 0xFFFFFFFF if size is None else size
    return head + extra + body + struct.pack("<II", crc, size)


def bits(text):
    """Bytes of a deflate stream from its bits, in the order in which they are read."""
    text = text.replace(" ", "")
    text += "0" * (-len(text) % 8)
    return bytes(int(text[at:at + 8][::-1], 2) for at in range(0, len(text), 8))


def zstd(data, block=128 << 10, size=True, checksum=None, window=None):
    """A zstd frame of blocks that are not compressed: https://www.rfc-editor.org/rfc/rfc8878#section-3.1.1"""
    descriptor = 0b10000000 if size else 0
    descriptor |= 0b100 if checksum is not None else 0
    head = b"\x28\xb5\x2f\xfd" + bytes([descriptor]) + bytes([0x58 if window is None else window])
    head += struct.pack("<I", len(data) if size is True else size) if size else b""
    parts = [data[at:at + block] for at in range(0, len(data), block)] or [b""]
    body = b"".join(zstd_block(part, at == len(parts) - 1) for at, part in enumerate(parts))
    return head + body + (checksum or b"")


def zstd_block(data, last, kind=0, size=None):
    return struct.pack("<I", (len(data) if size is None else size) << 3 | kind << 1 | last)[:3] + data


def write(corpus):
    cut(corpus)
    damaged(corpus)
    whole(corpus)
    bombs(corpus)
    behind(corpus)
    names(corpus)
    zstandard(corpus)
    streams(corpus)


def log(corpus, count=3):
    """A log of good records: their ids and the text."""
    records = [corpus.good() for _ in range(count)]
    return [identity for identity, _ in records], ('{"Records":[' + ",".join(text for _, text in records) + "]}").encode()


def cut(corpus):
    """Nothing of half a file: what follows may be what matters."""
    _, data = log(corpus, 6)
    packed = gz(data)
    end = len(packed)
    places = {2, 3, 4, 9, 10, 11, 12, end - 9, end - 8, end - 7, end - 5, end - 4, end - 3, end - 2, end - 1}
    while len(places) < 40:
        places.add(corpus.random.randrange(13, end - 9))
    for place in sorted(places):
        corpus.add(f"gzip_cut/at_{place:05}.json.gz", packed[:place], refused="gzip_truncated")
    corpus.add("gzip_cut/at_00001.json.gz", packed[:1], refused="bad_json")
    # The member's optional parts have no end of their own.
    corpus.add("gzip_cut/name_without_end.json.gz", packed[:3] + b"\x08" + packed[4:10] + b"x" * 300, refused="gzip_truncated")
    corpus.add("gzip_cut/extra_beyond_the_end.json.gz", packed[:3] + b"\x04" + packed[4:10] + b"\xff\xff" + b"x" * 300, refused="gzip_truncated")


def damaged(corpus):
    _, data = log(corpus)
    crc = zlib.crc32(data)
    cases = {
        "crc_first_bit": member(data, crc=crc ^ 1),
        "crc_last_bit": member(data, crc=crc ^ 0x80000000),
        "crc_zero": member(data, crc=0),
        "size_one_more": member(data, size=len(data) + 1),
        "size_one_less": member(data, size=len(data) - 1),
        "size_zero": member(data, size=0),
        "size_most": member(data, size=0xFFFFFFFF),
        "size_two_gib": member(data, size=0x7FFFFFFF),
        "method_unknown": member(data, method=7),
        "flags_reserved": member(data, flags=0xE0),
        "block_of_no_type": member(b"", body=bits("1 11") + b"\0" * 20),
        "stored_length_denied": member(b"", body=b"\x01\x05\x00\x00\x00hello"),
        # A copy of three bytes from before the beginning.
        "reaches_before_the_start": member(b"", body=bits("1 10 0000001 00000 0000000") + b"\0" * 8),
        "length_of_no_code": member(b"", body=bits("1 10 11000110 00000 0000000") + b"\0" * 8),
    }
    for name, packed in cases.items():
        corpus.add(f"gzip_damaged/{name}.json.gz", packed, refused="gzip_corrupt")
    # Stored, so that a flipped byte of the text is a flipped byte of the file: only the checksum sees it.
    packed = gz(data, 0)
    for number in range(8):
        place = corpus.random.randrange(100, len(packed) - 100)
        flipped = packed[:place] + bytes([packed[place] ^ 1 << number]) + packed[place + 1:]
        corpus.add(f"gzip_damaged/flipped_{number}.json.gz", flipped, refused="gzip_corrupt")


def whole(corpus):
    """Unusual, and right."""
    def packed(name, pack):
        kept, data = log(corpus)
        corpus.add(f"gzip_whole/{name}.json.gz", pack(data), kept)

    packed("stored", lambda data: gz(data, 0))
    packed("best", lambda data: gz(data, 9))
    packed("with_a_name", lambda data: member(data, 8, b"log.json\0"))
    packed("with_extra", lambda data: member(data, 4, b"\x04\x00abcd"))
    packed("with_comment", lambda data: member(data, 16, b"hello\0"))
    packed("with_all", lambda data: member(data, 4 | 8 | 16, b"\x04\x00abcdname\0comment\0"))

    def flushed(data):
        packer = zlib.compressobj(6, zlib.DEFLATED, 31)
        parts = [packer.compress(data[at:at + 50]) + packer.flush(zlib.Z_FULL_FLUSH) for at in range(0, len(data), 50)]
        return b"".join(parts) + packer.flush()

    packed("flushed_often", flushed)
    # A hundred thousand blocks that hold nothing, then the log.
    empty = b"\x00\x00\x00\xff\xff" * 100_000
    packed("of_empty_blocks", lambda data: member(data, body=empty + gz(data)[10:-8]))


def bombs(corpus):
    zeros = gz(bytes(8 * MIB), 9)
    corpus.add("bombs/zeros.json.gz", zeros, refused="gzip_ratio")
    corpus.add("bombs/blanks.json.gz", gz(b" " * (16 * MIB), 9), refused="gzip_ratio")
    corpus.add("bombs/blanks_in_a_log.json.gz", gz(b'{"Records":[' + b" " * (16 * MIB) + b"]}", 9), refused="gzip_ratio")
    corpus.add("bombs/brackets.json.gz", gz(b"[" * (8 * MIB), 9), refused="gzip_ratio")
    corpus.add("bombs/then_noise.json.gz", zeros + corpus.random.randbytes(256 << 10), refused="gzip_ratio")
    for name, size in ("small", 5), ("huge", 0xFFFFFFFF):
        corpus.add(f"bombs/says_it_is_{name}.json.gz", zeros[:-4] + struct.pack("<I", size), refused="gzip_ratio")
    kept, data = log(corpus, 1)
    pad = corpus.good(userAgent="x" * (3 * MIB))[1].encode()
    corpus.add("bombs/in_a_good_record.json.gz", gz(data[:-2] + b"," + pad + b"]}", 9), refused="gzip_ratio")
    # Never opened twice: what is inside is no JSON, however deep it goes.
    nested = zeros
    for depth in range(2, 5):
        nested = gz(nested, 9)
        corpus.add(f"bombs/nested_{depth}.json.gz", nested, refused="bad_json")
    corpus.add("bombs/a_log_packed_twice.json.gz", gz(gz(data)), refused="bad_json")
    # The first MiB is free: small files of repetitive records pack well.
    identity, record = corpus.good(userAgent="x" * 900_000)
    corpus.add("bombs/none_below_a_mib.json.gz", gz(f'{{"Records":[{record}]}}'.encode(), 9), [identity])

    def stored(file):
        file.write(zeros[:10])
        file.truncate(64 * MIB + 1)

    corpus.add("bombs/stored_too_big.json.gz", stored, refused="compressed_too_big", limited=True)


def behind(corpus):
    """One member, nothing behind: what a digest does not cover must not be read, nor be overlooked."""
    _, first = log(corpus)
    _, second = log(corpus)
    first, second, nothing = gz(first), gz(second), gz(b"")
    cases = {
        "second_member": first + second,
        "two_more_members": first + second + second,
        "empty_member_behind": first + nothing,
        "empty_member_before": nothing + first,
        "half_a_member": first + second[:40],
        "zeros": first + bytes(512),
        "one_zero": first + b"\0",
        "line_end": first + b"\n",
        "noise": first + b"\xf3noise\x00\x1f",
        "magic_alone": first + b"\x1f\x8b",
        "plain_text": first + b'{"Records":[]}',
    }
    for name, data in cases.items():
        corpus.add(f"gzip_behind/{name}.json.gz", data, refused="gzip_trailing")
    _, data = log(corpus)
    middle = len(data) // 2
    corpus.add("gzip_behind/text_over_two_members.json.gz", gz(data[:middle]) + gz(data[middle:]), refused="gzip_trailing")


def names(corpus):
    """A name says nothing: content does."""
    for name, pack in (
        ("plain_but_gz.json.gz", plain), ("plain_but_gz.gz", plain), ("plain.json", plain), ("plain.log", plain),
        ("packed.json", gz), ("packed.log", gz), ("packed.ndjson", gz), ("packed.jsonl", gz), ("PACKED.JSON.GZ", gz),
        ("a name with blanks and \u00e9.json.gz", gz), ("..json.gz", gz), ("%2e%2e%2fkey+.json.gz", gz),
    ):
        kept, data = log(corpus, 2)
        corpus.add(f"names/{name}", pack(data), kept)
    for name in "not_json.json.gz", "not_json.json":
        corpus.add(f"names/{name}", b"hello, this is no log", refused="bad_json")
    corpus.add("names/parquet.gz", b"PAR1\x15\x04\x15" + bytes(range(200)) + b"PAR1", refused="bad_json")
    corpus.add("names/zip.json.gz", b"PK\x03\x04" + corpus.random.randbytes(300), refused="bad_json")
    corpus.add("names/html.json", b"<!DOCTYPE html><html><body>404</body></html>", refused="bad_json")
    corpus.add("names/error.xml.log", b'<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>', refused="bad_json")
    corpus.add("names/noise.gz", b"\x00" + corpus.random.randbytes(999).replace(b"\n", b""), refused="bad_json")
    corpus.add("names/zlib_not_gzip.gz", zlib.compress(log(corpus)[1]), refused="bad_json")


def zstandard(corpus):
    # The frames are made by hand; where the command is there, real ones stand beside them.
    zstd_command = shutil.which("zstd")
    for name, pack in (
        ("one_block", zstd),
        ("many_blocks", lambda data: zstd(data, block=100)),
        ("size_not_told", lambda data: zstd(data, size=False)),
        ("under_a_gz_name", zstd),
    ):
        kept, data = log(corpus)
        corpus.add(f"zstd/{name}.json" + (".gz" if name == "under_a_gz_name" else ""), pack(data), kept)
    if zstd_command:
        for level in "-1", "-19", "--fast=5":
            kept, data = log(corpus)
            packed = subprocess.run([zstd_command, "-c", "-q", level], input=data, capture_output=True, check=True).stdout
            corpus.add(f"zstd/by_the_command_{level.strip('-')}.json", packed, kept)
    _, data = log(corpus)
    packed = zstd(data)
    end = len(packed)
    # Whichever word is used for it: the stream breaks off.
    for place in 4, 5, 9, 10, 12, end // 2, end - 1:
        corpus.add(f"zstd_cut/at_{place:05}.json", packed[:place], refused=TRUNCATED)
    cases = {
        "checksum": zstd(data, checksum=b"\0\0\0\0"),
        "block_of_no_type": packed[:9] + zstd_block(b"abc", 1, 3),
        "block_too_big": packed[:9] + zstd_block(b"x", 1, 1, (1 << 21) - 1),
        "descriptor_reserved": packed[:4] + bytes([packed[4] | 8]) + packed[5:],
        "compressed_block_of_noise": packed[:9] + zstd_block(b"\xff" * 40, 1, 2),
        "says_it_is_less": zstd(data, size=len(data) - 1),
        "says_it_is_more": zstd(data, size=len(data) + 1),
        "says_it_is_four_gib": zstd(data, size=0xFFFFFFFF),
        # A decoder that believes it sets half a terabyte aside.
        "window_of_half_a_terabyte": zstd(data, size=False, window=0xE8),
    }
    for name, packed in cases.items():
        corpus.add(f"zstd_damaged/{name}.json", packed, refused=CORRUPT)
    packed = zstd(data)
    blocks = b"".join(zstd_block(b" ", 0, 1, 128 << 10) for _ in range(128))
    bomb = zstd(b"", size=False)[:6] + blocks + zstd_block(b" ", 1, 1, 1)
    corpus.add("bombs/zstd_blanks.json", bomb, refused=RATIO)
    corpus.add("bombs/zstd_in_gzip.json.gz", gz(bomb), refused="bad_json")
    # A stream of zstd is frames behind one another: what is behind and none is damage or something added.
    for name, behind in ("noise", b"noise"), ("zeros", bytes(64)), ("half_a_frame", packed[:40]):
        corpus.add(f"zstd_behind/{name}.json", packed + behind, refused="|".join([TRAILING, CORRUPT, TRUNCATED]))
    kept, data = log(corpus)
    middle = len(data) // 2
    corpus.add("zstd_behind/text_over_two_frames.json", zstd(data[:middle]) + zstd(data[middle:]), kept)
    kept, data = log(corpus)
    skipped = b"\x50\x2a\x4d\x18\x04\x00\x00\x00abcd"
    corpus.add("zstd_behind/frames_to_skip.json", zstd(data) + skipped, kept)


def streams(corpus):
    """More than is inflated at one go: nothing of it counts before its last byte is seen to be right."""
    # Noise that comes again within the window of deflate: it packs well, and not as a bomb does.
    block = corpus.random.randbytes(10_000).hex()
    made = [corpus.good(requestParameters={"pad": block * 150}) for _ in range(24)]
    kept = [identity for identity, _ in made]
    bad = corpus.good(eventName=7)[1]
    texts = [text for _, text in made]
    data = ('{"Records":[' + ",".join([*texts[:12], bad, *texts[12:]]) + "]}").encode()
    packed = gz(data, 1)
    assert len(data) > 64 * MIB and len(data) < 150 * len(packed), (len(data), len(packed))
    corpus.add("streams/whole.json.gz", packed, kept, {"wrong_type": 1}, limited=True)
    corpus.add("streams/cut.json.gz", packed[:len(packed) * 9 // 10], refused="gzip_truncated", limited=True)
    corpus.add("streams/wrong_checksum.json.gz", packed[:-8] + b"\0" * 4 + packed[-4:], refused="gzip_corrupt", limited=True)
    corpus.add("streams/second_member.json.gz", packed + gz(log(corpus)[1]), refused="gzip_trailing", limited=True)
    torn = data[:len(data) - len(texts[-1]) // 2]
    corpus.add("streams/text_cut.json.gz", gz(torn, 1), kept[:-1], {"wrong_type": 1, "bad_json": 1}, limited=True)
