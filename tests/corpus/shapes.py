"""The shapes that records come in: files of `Records`, arrays, lines, and the white space between."""

import json

from fields import dump, event
from storage import gz, plain

LINE = "\n"

# An object that is nobody's: the list of a wrong type, a record without fields, or of an unknown writer.
NO_RECORD = "wrong_type|missing_field|unknown_format"


def write(corpus):
    right(corpus)
    lines(corpus)
    wrappers(corpus)


def right(corpus):
    """The same three records in every shape, plain and packed."""
    def shape(name, make):
        made = [corpus.good() for _ in range(3)]
        text = make([record for _, record in made])
        data = text if isinstance(text, bytes) else text.encode()
        pack, ending = (gz, "json.gz") if corpus.random.random() < 0.5 else (plain, "json")
        corpus.add(f"shapes/{name}.{ending}", pack(data), [identity for identity, _ in made])

    def backwards(record):
        return dump(turned(json.loads(record)))

    shape("records", lambda records: '{"Records":[' + ",".join(records) + "]}")
    shape("array", lambda records: "[" + ",".join(records) + "]")
    shape("lines", lambda records: "\n".join(records))
    shape("lines_with_an_end", lambda records: "\n".join(records) + "\n")
    shape("lines_of_windows", lambda records: "\r\n".join(records) + "\r\n")
    shape("lines_with_blanks_behind", lambda records: " \t\n".join(records))
    shape("lines_with_blanks_before", lambda records: "\n".join(" \t" + record for record in records))
    shape("lines_between_empty_ones", lambda records: "\n\n" + "\n \n\n".join(records) + "\n\n")
    shape("files_on_lines", lambda records: "\n".join('{"Records":[' + record + "]}" for record in records))
    shape("arrays_on_lines", lambda records: "\n".join("[" + record + "]" for record in records))
    shape("records_then_lines", lambda records: '{"Records":[' + records[0] + "]}\n" + records[1] + "\n" + records[2])
    shape("spread_out", lambda records: json.dumps({"Records": [json.loads(record) for record in records]}, indent=4))
    shape("spread_out_by_tabs", lambda records: json.dumps([json.loads(record) for record in records], indent="\t"))
    shape("records_spread_over_lines", lambda records: "\n".join(json.dumps(json.loads(record), indent=2) for record in records))
    shape("spread_out_by_windows", lambda records: json.dumps({"Records": [json.loads(record) for record in records]}, indent=2).replace("\n", "\r\n"))
    shape("white_space_everywhere", lambda records: spaced('{"Records":[' + ",".join(records) + "]}"))
    shape("keys_backwards", lambda records: '{"Records":[' + ",".join(map(backwards, records)) + "]}")
    shape("keys_in_escapes", lambda records: '{"Records":[' + ",".join(escaped(record) for record in records) + "]}")
    shape("ascii_only", lambda records: json.dumps({"Records": [json.loads(record) for record in records]}))
    shape("blanks_around", lambda records: " \r\n\t" + '{"Records":[' + ",".join(records) + "]}" + "\n\n ")
    shape("keys_before", lambda records: '{"a":{"Records":[{}]},"b":[1,"]}"],"Records":[' + ",".join(records) + "]}")
    shape("keys_behind", lambda records: '{"Records":[' + ",".join(records) + '],"a":{"Records":[{}]},"b":"]}"}')
    shape("key_in_escapes", lambda records: '{"\\u0052ecords":[' + ",".join(records) + "]}")
    identity, record = corpus.good()
    corpus.add("shapes/one_record.json", record.encode(), [identity])
    identity, record = corpus.good()
    corpus.add("shapes/one_record_spread_out.json", json.dumps(json.loads(record), indent=2).encode(), [identity])
    for name, data in {
        "nothing": b"", "blanks": b" \r\n\t ", "line_end": b"\n", "no_records": b'{"Records":[]}', "no_records_spread": b'{\n "Records" : [ \n ] }\n',
        "empty_array": b"[]", "empty_array_spread": b" [ ] \n",
    }.items():
        corpus.add(f"empty/{name}.json", data, ignored="empty")
        corpus.add(f"empty/{name}.json.gz", gz(data), ignored="empty")


def turned(value):
    if isinstance(value, dict):
        return {key: turned(value[key]) for key in reversed(value)}
    return [turned(one) for one in value] if isinstance(value, list) else value


def spaced(text):
    """White space wherever JSON allows it; no string of a good record holds any of these marks."""
    for mark in "{}[],":
        text = text.replace(mark, f" \r\n\t{mark}\t\n\r ")
    return text.replace('":', '" \n:\t\r ')


def escaped(record):
    """Every key of the record with its letters as escapes."""
    made = json.loads(record)
    keys = {key: "".join(f"\\u{ord(letter):04X}" for letter in key) for key in made}
    return "{" + ",".join(f'"{keys[key]}":{dump(value)}' for key, value in made.items()) + "}"


def lines(corpus):
    """A bad line takes nobody with it."""
    bad = {
        "cut": corpus.good()[1][:200],
        "cut_in_a_string": corpus.good()[1][:30],
        "without_a_start": corpus.good()[1][100:],
        "text": "hello, this is no record",
        "comment": "# a comment",
        "bracket": "}",
        "open": "{",
        "open_square": "[",
        "quote": '"',
        "colon": "{:}",
        "noise": "\x01\x02\x03",
        "bom": "\ufeff",
        "separator": "\x1e",
        "xml": "<Records/>",
        "csv": "eventID,eventName",
    }
    def between(name, line, reasons, ending, kept=None):
        first, last = corpus.good(), corpus.good()
        text = ending.join([first[1], line, last[1]]) + ending
        ids = [first[0], *([kept] if kept else []), last[0]]
        place = f"lines{'' if ending == LINE else '_of_windows'}/{name}.jsonl"
        corpus.add(place, text.encode(), ids, reasons)

    for ending in LINE, "\r\n":
        for name, line in bad.items():
            between(name, line, {"bad_json": 1}, ending)
        # Of a line that goes on too long the record itself is whole.
        identity, record = corpus.good()
        between("number_behind", record + " 7", {"bad_json": 1}, ending, identity)
    refused = {
        "empty_object": ("{}", "missing_field"),
        "wrong_type": (corpus.good(eventName=7)[1], "wrong_type"),
        "bad_time": (corpus.good(eventTime="never")[1], "bad_time"),
        "twice": (corpus.good()[1].replace("{", '{"eventName":"x",', 1), "duplicate_key"),
        "deep": (corpus.good(x="MARK")[1].replace('"MARK"', "[" * 80 + "]" * 80), "too_deep"),
        "syntax": (corpus.good()[1].replace("true", "tru"), "bad_json"),
    }
    for name, (line, reason) in refused.items():
        first, last = corpus.good(), corpus.good()
        corpus.add(f"lines/{name}.jsonl.gz", gz("\n".join([first[1], line, last[1]]).encode()), [first[0], last[0]], {reason: 1})
    kept, parts, reasons = [], [], {}
    for line, reason in [*refused.values(), *((line, "bad_json") for line in bad.values() if line.startswith("{"))]:
        identity, record = corpus.good()
        kept.append(identity)
        parts += [record, line]
        reasons[reason] = reasons.get(reason, 0) + 1
    corpus.add("lines/many_bad_ones.jsonl.gz", gz("\n".join(parts).encode()), kept, reasons)
    first = corpus.good()
    corpus.add("lines/text_before.log", ("2026-01-05 a header\n" + first[1]).encode(), [first[0]], {"bad_json": 1})


def wrappers(corpus):
    """Objects that look like a file of records and are none."""
    for name, value in {"null": "null", "number": "7", "text": '"x"', "object": "{}", "true": "true"}.items():
        corpus.add(f"wrappers/records_is_{name}.json", f'{{"Records":{value}}}'.encode(), [], {NO_RECORD: 1})
    corpus.add("wrappers/other_case.json", b'{"records":7}', [], {NO_RECORD: 1})
    corpus.add("wrappers/empty_object.json", b"{}", [], {"missing_field": 1})
    corpus.add("wrappers/error_of_a_service.json", b'{"message":"Rate exceeded","__type":"ThrottlingException"}', [], {NO_RECORD: 1})
    first, last = corpus.good(), corpus.good()
    corpus.add("wrappers/array_in_records.json", f'{{"Records":[{first[1]},[{dump(event("nested"))}],{last[1]}]}}'.encode(),
               [first[0], last[0]], {"wrong_type": 1})
    first = corpus.good()
    corpus.add("wrappers/null_between.json", f'{{"Records":[null,{first[1]},null]}}'.encode(), [first[0]], {"wrong_type": 2})
