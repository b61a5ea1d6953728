"""JSON that is none, that goes too deep, that is too large, or that wants to be read as something else."""

import fields
from fields import dump
from storage import gz, plain

MIB = 1 << 20
RECORD_MAX = 4 * MIB
DEPTH_MAX = 64


def write(corpus):
    syntax(corpus)
    brackets(corpus)
    cut(corpus)
    forged(corpus)
    deep(corpus)
    large(corpus)
    many(corpus)


def syntax(corpus):
    """The brackets balance, so that the neighbours are safe."""
    def spoilt(old, new):
        record = corpus.good()[1]
        assert old in record
        return record.replace(old, new, 1)

    cases = {
        "true_cut": spoilt("true", "tru"),
        "true_of_another_case": spoilt("true", "True"),
        "null_misspelt": spoilt("null", "nil"),
        "undefined": spoilt("null", "undefined"),
        "no_value": spoilt(":null", ":"),
        "no_colon": spoilt('"readOnly":', '"readOnly" '),
        "two_colons": spoilt('"readOnly":', '"readOnly"::'),
        "no_comma": spoilt(',"readOnly"', ' "readOnly"'),
        "two_commas": spoilt(',"readOnly"', ',,"readOnly"'),
        "comma_before_the_first": spoilt("{", "{,"),
        "comma_after_the_last": spoilt('"eventCategory":"Data"', '"eventCategory":"Data",'),
        "comma_after_the_last_inside": spoilt('"key":"a"}', '"key":"a",}'),
        "comma_after_the_last_of_a_list": spoilt('"}],', '"},],'),
        "key_without_quotes": spoilt('"readOnly"', "readOnly"),
        "key_is_a_number": spoilt('"readOnly"', "7"),
        "key_is_null": spoilt('"readOnly"', "null"),
        "comment": spoilt('"readOnly"', '/* x */"readOnly"'),
        "line_comment": spoilt('"readOnly"', '//\n"readOnly"'),
        "two_values": spoilt("true", "true true"),
        "single_quotes": spoilt('"GetObject"', "'GetObject'"),
        "value_without_quotes": spoilt('"GetObject"', "GetObject"),
        "raw_control_in_what_is_skipped": spoilt('"key":"a"', '"key":"\x01"'),
        "raw_control_in_a_key": spoilt('"readOnly"', '"read\x02Only"'),
        "nul_between": spoilt(',"readOnly"', ',\0"readOnly"'),
        "form_feed_between": spoilt(',"readOnly"', ',\f"readOnly"'),
        "no_break_space_between": spoilt(',"readOnly"', ',\u00a0"readOnly"'),
        "escape_of_no_meaning": spoilt("agent-runtime", "\\x41"),
        "escape_of_a_quote_that_is_none": spoilt("agent-runtime", "\\'"),
        "escape_cut": spoilt("agent-runtime", "\\u12"),
        "escape_of_no_hex": spoilt("agent-runtime", "\\uzzzz"),
        "escape_in_a_key": spoilt('"key"', '"k\\y"'),
        "escape_in_what_is_skipped": spoilt('"key":"a"', '"key":"\\q"'),
        "nothing_but_a_key": '{"eventID"}',
        "nothing_but_a_colon": "{:}",
        "words": "{hello}",
    }
    for name, record in cases.items():
        corpus.between(f"syntax/{name}.json.gz", [record], {"bad_json": 1})
    # JSON has no raw control characters, but a caller who brings one into his user agent must not hide his call by it.
    rare = []
    for control in "\0", "\n", "\t", "\x1b[31m", "\x1f":
        identity, record = corpus.good(userAgent="MARK", errorMessage="aMARKb")
        rare.append((identity, record.replace("MARK", control)))
    corpus.between("syntax/raw_control_in_fields.json.gz", rare, {})
    values = ["7", "-1.5e3", '"text"', "null", "true", "false", "[]", "[[]]", '["a",["b"]]', '["eventID"]', '""']
    for number, value in enumerate(values):
        corpus.between(f"syntax/no_object_{number:02}.json.gz", [value], {"wrong_type": 1})
    corpus.between("syntax/a_list_for_an_object.json.gz", [dump(list(fields.event(corpus.next_id()).values()))], {"wrong_type": 1})


def brackets(corpus):
    """Where the array itself breaks, only what came before can be told from a caller's own text."""
    def broken(name, *parts, kept=1):
        made = [corpus.good() for part in parts if part is None]
        left = iter(made)
        data = "".join(next(left)[1] if part is None else part for part in parts)
        ids = [identity for identity, _ in made][:kept]
        corpus.add(f"brackets/{name}.json.gz", gz(data.encode()), ids, {"bad_json": 1})

    start, unclosed = '{"Records":[', '{"eventID":"x","requestParameters":{"a":1,"eventName":"y"}'
    broken("one_too_few", start, None, ",", unclosed, ",", None, "]}")
    broken("one_too_few_at_the_end", start, None, ",", None, ",", unclosed, "]}", kept=2)
    broken("one_too_many", start, None, "},", None, "]}")
    broken("square_too_many", start, None, "],", None, "]}")
    broken("of_the_other_kind", start, None, ',{"a":[1}},', None, "]}")
    broken("no_comma", start, None, " ", None, "]}")
    broken("two_commas", start, None, ",,", None, "]}")
    broken("comma_at_the_end", start, None, ",]}")
    broken("comma_at_the_start", start, ",", None, "]}", kept=0)
    broken("semicolon", start, None, ";", None, "]}")
    broken("colon", start, None, ":", None, "]}")
    broken("quote_that_never_closes", start, None, ',{"eventID":"x,"eventName":"y"},', None, "]}")
    broken("quote_too_many", start, None, '",', None, "]}")
    broken("nothing_after_the_comma", start, None, ",")
    broken("never_closed", start, None)
    broken("array_never_closed", "[", None, ",", None, kept=2)
    broken("wrapper_never_closed", start, None, "]")
    broken("wrapper_closed_by_the_other", start, None, "]]")
    broken("wrapper_goes_on_badly", start, None, '],"more":')
    broken("wrapper_goes_on_without_a_key", start, None, "],7}")
    broken("text_behind", start, None, "]} and so on")
    broken("bracket_behind", start, None, "]}]")
    broken("text_behind_an_array", "[", None, "] and so on")
    broken("bracket_behind_an_array", "[", None, "]]")
    broken("text_behind_a_record", None, " and so on")
    broken("comma_behind_a_record", None, ",")
    for name, data in {
        "only_open": "{", "only_open_square": "[", "only_records": '{"Records":[', "only_records_open": '{"Records":[{',
        "only_a_key": '{"Records"', "only_a_colon": '{"Records":', "only_a_quote": '{"', "closed_twice": '{"Records":}',
        "many_open": "{" * 1000, "many_open_square": "[" * 1000, "closing_first": "]", "alternating": "[{" * 500,
    }.items():
        # `]` alone begins as no JSON does: that is the object's fault, not a record's.
        refused = "bad_json" if name == "closing_first" else None
        corpus.add(f"brackets/{name}.json", data.encode(), [], None if refused else {"bad_json": 1}, refused)


    # A bare word ends where a number would: it is one bad record.
    corpus.between("brackets/word_between.json.gz", ["and"], {"bad_json|wrong_type": 1})


def cut(corpus):
    """The text breaks off, though the gzip stream around it does not."""
    for shape, open_, join, close in (("records", '{"Records":[', ",", "]}"), ("array", "[", ",", "]"), ("lines", "", "\n", "\n")):
        made = [corpus.good() for _ in range(4)]
        ends, text = [], open_
        for number, (_, record) in enumerate(made):
            text += (join if number else "") + record
            ends.append(len(text))
        text += close
        places = {1, 5, ends[0] - 1, ends[0], ends[0] + 1, ends[1] // 2 + 300, ends[2] - 1, ends[3] - 1, ends[3], len(text) - 1}
        places |= {corpus.random.randrange(len(open_) + 1, len(text) - 1) for _ in range(8)}
        for place in sorted(places):
            kept = [identity for (identity, _), end in zip(made, ends) if end <= place]
            # On lines a cut just behind a record is no cut.
            is_whole = shape == "lines" and (place in ends or place - 1 in ends)
            pack, ending = (gz, "json.gz") if place % 2 else (plain, "json")
            corpus.add(f"cut/{shape}_at_{place:05}.{ending}", pack(text[:place].encode()), kept, {} if is_whole else {"bad_json": 1})


def forged(corpus):
    """Text of a caller that looks like a record is no record, also where the record around it is broken."""
    def look_alike():
        return corpus.good(eventName="DeleteTrail", eventSource="cloudtrail.amazonaws.com")[1]

    values = [
        '"},' + look_alike() + ',{"x":"', "]}" + look_alike(), "\n" + look_alike() + "\n", '{"Records":[' + look_alike() + "]}",
        "\\", '\\"', '"', "\\\\\"", "}]}", "{" * 500, '"},{"eventID":"x"', "\r\n{", "*/", "\u2028" + look_alike(),
    ]
    rare = [corpus.good(userAgent=value, requestParameters={value: value, "deep": [value]}) for value in values]
    corpus.between("forged/in_strings.json.gz", rare, {})
    corpus.add("forged/in_strings_on_lines.jsonl", "\n".join(record for _, record in rare).encode(), [identity for identity, _ in rare])
    rare = [corpus.good(requestParameters=value) for value in (
        {"Records": [fields.event("forged-1")]}, fields.event("forged-2"), [fields.event("forged-3")],
        {"userIdentity": {"arn": "arn:aws:iam::1:root"}, "eventName": "DeleteTrail", "eventID": "forged-4"},
    )]
    corpus.between("forged/in_parameters.json.gz", rare, {})
    # The record breaks, and what is nested in it, or behind it, would be whole.
    inside = '{"eventID":"x","requestParameters":{"note":[' + look_alike() + "," + look_alike() + "]"
    first = corpus.good()
    corpus.add("forged/in_a_broken_record.json.gz", gz(f'{{"Records":[{first[1]},{inside},{corpus.good()[1]}]}}'.encode()),
               [first[0]], {"bad_json": 1})
    first, last = corpus.good(), corpus.good()
    text = f"{first[1]}\n{inside}\n{last[1]}\n"
    corpus.add("forged/in_a_broken_line.jsonl", text.encode(), [first[0], last[0]], {"bad_json": 1})
    # Balanced, and no JSON: the record is refused, what it holds is not read for it.
    corpus.between("forged/in_a_balanced_one.json.gz", ['{"eventID" "x","a":' + look_alike() + "}", "{" + look_alike() + "}"], {"bad_json": 2})
    corpus.between("forged/a_list_of_records.json.gz", [f"[{look_alike()}]"], {"wrong_type": 1})


def nest(levels, kind):
    opens = {"arrays": "[", "objects": '{"a":', "both": '[{"a":'}[kind]
    closes = {"arrays": "]", "objects": "}", "both": "}]"}[kind]
    if kind == "both":
        return opens * (levels // 2) + ("[" if levels % 2 else "") + "1" + ("]" if levels % 2 else "") + closes * (levels // 2)
    return opens * levels + "1" + closes * levels


def deep(corpus):
    """A record is one level; what is below it may nest to the limit."""
    for kind in "arrays", "objects", "both":
        for place in "requestParameters", "somethingNew":
            for depth in DEPTH_MAX - 1, DEPTH_MAX, DEPTH_MAX + 1:
                identity, record = corpus.good(**{place: "MARK"})
                record = record.replace('"MARK"', nest(depth - 1, kind))
                is_kept = depth <= DEPTH_MAX
                name = f"deep/{place}_{kind}_{depth:03}.json.gz"
                corpus.between(name, [(identity, record) if is_kept else record], {} if is_kept else {"too_deep": 1})
    for depth in 127, 128, 129, 1_000, 10_000, 60_000:
        record = corpus.good(requestParameters="MARK")[1].replace('"MARK"', nest(depth, "arrays"))
        corpus.between(f"deep/levels_{depth:06}.json.gz", [record], {"too_deep": 1})
    # Brackets in strings nest nothing.
    corpus.between("deep/in_strings.json.gz", [corpus.good(userAgent="[{" * 5_000, requestParameters={"[" * 500: "{" * 500})], {})
    # Where the brackets never end, nothing behind them can be told apart.
    first, last = corpus.good(), corpus.good()
    for kind in "arrays", "objects":
        endless = nest(1_000_000, kind).split("1")[0]
        text = f'{{"Records":[{first[1]},{endless},{last[1]}]}}'
        corpus.add(f"deep/endless_{kind}.json", text.encode(), [first[0]], {"bad_json|too_deep": 1})
        first, last = corpus.good(), corpus.good()
    corpus.add("deep/endless_alone.json", b"[" * 2_000_000, [], {"bad_json|too_deep": 1})


def large(corpus):
    def sized(size, **changes):
        identity, record = corpus.good(userAgent="MARK", **changes)
        # Noise: a record of one letter would be a bomb when packed.
        return identity, record.replace("MARK", noise(corpus, size - len(record) + 4))

    for size in 256 << 10, MIB, RECORD_MAX - 1, RECORD_MAX:
        corpus.between(f"large/record_{size:08}.json", [sized(size)], {}, plain)
    for size in RECORD_MAX + 1, RECORD_MAX + 2, 6 * MIB:
        corpus.between(f"large/record_{size:08}.json", [sized(size)[1]], {"record_too_big": 1}, plain)
    corpus.between("large/record_packed.json.gz", [sized(RECORD_MAX + 1)[1]], {"record_too_big": 1}, lambda data: gz(data, 1))
    first, last = corpus.good(), corpus.good()
    text = f"{first[1]}\n{sized(RECORD_MAX + 1)[1]}\n{last[1]}\n"
    corpus.add("large/line.jsonl", text.encode(), [first[0], last[0]], {"record_too_big": 1})
    blanks = corpus.good()[1].replace(",", "," + " " * (RECORD_MAX // 10))
    corpus.between("large/of_blanks.json", [blanks], {"record_too_big": 1}, plain)


def noise(corpus, length):
    return corpus.random.randbytes((length + 1) // 2).hex()[:length]


def many(corpus):
    """Much of something: time and memory stay in proportion."""
    keys = ",".join(f'"key{at}":{at}' for at in range(50_000))
    rare = [
        corpus.good(somethingNew="MARK"),
        corpus.good(requestParameters="MARK"),
    ]
    rare = [(identity, record.replace('"MARK"', "{" + keys + "}")) for identity, record in rare]
    identity, record = corpus.good()
    rare.append((identity, record[:-1] + "," + keys + "}"))
    corpus.between("many/keys.json.gz", rare, {}, limited=True)
    identity, record = corpus.good()
    same = ",".join(['"other":1'] * 50_000)
    corpus.between("many/same_key.json.gz", [(identity, record[:-1] + "," + same + "}")], {})
    values = {
        "elements": "[" + ",".join(["0"] * 200_000) + "]",
        "empty_arrays": "[" + ",".join(["[]"] * 200_000) + "]",
        "long_key": '{"' + "k" * 500_000 + '":1}',
        "escapes": '"' + "\\u0041" * 100_000 + '"',
        "quotes": '"' + '\\"' * 200_000 + '"',
        "backslashes": '"' + "\\\\" * 200_000 + '"',
        "secrets": '{"a":[' + ",".join(['{"password":"x"}'] * 20_000) + "]}",
        "secret_look_alikes": '"' + '\\"password\\":' * 20_000 + '"',
        "half_secrets": '{"password":' * 60 + "1" + "}" * 60,
    }
    for name, value in values.items():
        identity, record = corpus.good(requestParameters="MARK")
        corpus.between(f"many/{name}.json.gz", [(identity, record.replace('"MARK"', value))], {}, limited=True)
    identity, record = corpus.good(userAgent="MARK", sourceIPAddress="MARK", errorMessage="MARK")
    corpus.between("many/escapes_in_fields.json.gz", [(identity, record.replace("MARK", "\\u0041" * 50_000))], {})
    for name, record, reason in (("empty_objects", "{}", "missing_field"), ("zeros", "0", "wrong_type"), ("open_ends", '{"a"}', "bad_json")):
        text = '{"Records":[' + ",".join([record] * 100_000) + "]}"
        corpus.add(f"many/{name}.json.gz", gz(text.encode()), [], {reason: 100_000}, limited=True)
    text = "{}\n" * 100_000
    corpus.add("many/empty_lines.jsonl.gz", gz(text.encode()), [], {"missing_field": 100_000}, limited=True)
    corpus.add("many/blank_lines.jsonl.gz", gz(b"\n" * 900_000), ignored="empty")
    made = []
    for _ in range(5_000):
        identity = corpus.next_id()
        small = {"eventID": identity, "eventTime": "2026-01-05T10:00:00Z", "eventSource": "s3.amazonaws.com", "eventName": "GetObject"}
        made.append((identity, dump(small)))
    text = '{"Records":[' + ",".join(record for _, record in made) + "]}"
    corpus.add("many/small_records.json.gz", gz(text.encode()), [identity for identity, _ in made], limited=True)
