"""Bytes that are not the UTF-8 they should be, and UTF-8 that surprises."""

from storage import gz, log, plain


def write(corpus):
    objects(corpus)
    in_records(corpus)
    strange_but_right(corpus)


def objects(corpus):
    bom = b"\xef\xbb\xbf"
    for name, pack in ("plain.json", plain), ("packed.json.gz", gz):
        kept, data = log(corpus)
        corpus.add(f"encoding/utf8_bom_{name}", pack(bom + data), kept)
    kept, data = log(corpus)
    corpus.add("encoding/utf8_bom_then_blanks.json", bom + b"\r\n  " + data, kept)
    corpus.add("encoding/utf8_bom_twice.json", bom + bom + data, refused="bad_json")
    corpus.add("encoding/utf8_bom_alone.json", bom, ignored="empty")
    text = data.decode()
    for name in "utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-32-be":
        # Python's plain names write a BOM, the others do not; JSON's first character is ASCII, which tells without one.
        # https://www.rfc-editor.org/rfc/rfc4627#section-3
        corpus.add(f"encoding/{name}.json.gz", gz(text.encode(name)), refused="bad_encoding")
    corpus.add("encoding/utf-16-be_bom.json", b"\xfe\xff" + text.encode("utf-16-be"), refused="bad_encoding")
    corpus.add("encoding/utf-16_of_an_array.json", ("[" + text + "]").encode("utf-16-le"), refused="bad_encoding")
    corpus.add("encoding/ebcdic.json", text.encode("cp500"), refused="bad_json|bad_encoding")
    corpus.add("encoding/base64.json", b"eyJSZWNvcmRzIjpbXX0=", refused="bad_json")


# What no UTF-8 text holds: https://www.rfc-editor.org/rfc/rfc3629#section-3
NOT_UTF8 = {
    "latin1": b"caf\xe9",
    "latin1_alone": b"\xe9",
    "continuation_alone": b"a\x80b",
    "cut_of_two": b"\xc3",
    "cut_of_three": b"\xe2\x82",
    "cut_of_four": b"\xf0\x9f\x98",
    "overlong_slash": b"\xc0\xaf",
    "overlong_nul": b"\xc0\x80",
    "overlong_of_three": b"\xe0\x80\xaf",
    "surrogate": b"\xed\xa0\x80",
    "surrogate_pair": b"\xed\xa0\xbd\xed\xb8\x80",
    "beyond_unicode": b"\xf4\x90\x80\x80",
    "five_bytes": b"\xf8\x88\x80\x80\x80",
    "byte_fe": b"\xfe",
    "byte_ff": b"\xff",
    "gb18030": "中文".encode("gb18030"),
    "shift_jis": "日本".encode("shift_jis"),
}


def in_records(corpus):
    """Only the record that holds them is refused."""
    def spoilt(mark, wrong, **changes):
        return corpus.good(**changes)[1].encode().replace(mark, wrong)

    for name, wrong in NOT_UTF8.items():
        bad = spoilt(b"MARK", wrong, userAgent="MARK")
        corpus.between(f"encoding/value_{name}.json.gz", [bad], {"bad_encoding": 1})
    for name in "latin1", "cut_of_three", "surrogate", "byte_ff":
        wrong = NOT_UTF8[name]
        places = [
            spoilt(b"MARK", wrong, MARK="x"),
            spoilt(b"MARK", wrong, requestParameters={"key": "MARK"}),
            spoilt(b"MARK", wrong, requestParameters={"MARK": 1}),
            spoilt(b"MARK", wrong, eventName="MARK"),
            spoilt(b"MARK", wrong, eventID="MARK"),
            spoilt(b"MARK", wrong, somethingNew={"deep": ["MARK"]}),
        ]
        corpus.between(f"encoding/everywhere_{name}.json.gz", places, {"bad_encoding": len(places)})
    lines, kept = [], []
    for wrong in NOT_UTF8.values():
        identity, record = corpus.good()
        kept.append(identity)
        lines += [record.encode(), spoilt(b"MARK", wrong, userAgent="MARK")]
    corpus.add("encoding/on_lines.jsonl", b"\n".join(lines), kept, {"bad_encoding": len(NOT_UTF8)})


def strange_but_right(corpus):
    """Text that is meant to confuse whoever looks at it, and is text all the same."""
    strange = {
        "bidi": "user\u202etxt.exe\u2066\u2069", "zero_width": "ad\u200bmin\ufeff\u2060", "homoglyph": "\u0430dmin",
        "zalgo": "a" + "\u0301" * 10_000, "astral": "\U0001f600\U0010ffff", "noncharacter": "\uffff\ufdd0",
        "delete": "a\x7fb", "c1": "a\u0085b\u009bc", "line_separators": "a\u2028b\u2029c", "replaced": "\ufffd",
        "private": "\ue000", "nfd": "e\u0301", "tags": "\U000e0041\U000e007f",
    }
    rare = [corpus.good(userAgent=value, requestParameters={value: value}) for value in strange.values()]
    corpus.between("encoding/strange_but_right.json.gz", rare, {})
    escapes = [
        "\\u0000", "\\u001b[31m", "\\ud800", "\\udc00", "\\udc00\\ud800", "\\ud800\\ud800", "\\ud83d\\ude00", "\\ud800x",
        "\\ud800\\n", "\\uFFFF", "\\u202e", "\\\\\\\"\\/\\b\\f\\n\\r\\t", "\\u000a",
    ]
    rare = []
    for escape in escapes:
        identity, record = corpus.good(userAgent="MARK", requestParameters={"key": "MARK", "MARK": 1})
        rare.append((identity, record.replace("MARK", escape)))
    corpus.between("encoding/escapes.json.gz", rare, {})
    rare = []
    for field in ("awsRegion", "errorCode", "errorMessage", "sourceIPAddress", "requestID", "vpcEndpointId", "eventType"):
        for escape in "\\ud800", "\\u0000", "\\u001b]0;x\\u0007":
            identity, record = corpus.good(**{field: "MARK"})
            rare.append((identity, record.replace("MARK", escape)))
    corpus.between("encoding/escapes_in_fields.json.gz", rare, {})
