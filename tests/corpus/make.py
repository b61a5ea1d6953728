#!/usr/bin/env python3
"""Writes the corpus of bad input: files under FOLDER/logs, and what is to be made of each in FOLDER/expected.jsonl.

    python3 tests/corpus/make.py FOLDER [SEED]

What is expected is reasoned from what a reader promises, never copied from what one answers: a file that is damaged as
a whole gives nothing, a record that is damaged gives its reason, and its good neighbours are kept, in their order. Where
an array breaks, what follows cannot be told from text that a caller put into a request, so the rest is one bad record;
on lines the next line can be trusted.

One line of expected.jsonl per file:
    file           its path below FOLDER
    object_reason  why nothing of it is read, or null
    ignored        why it holds no records on purpose (`empty`, `digest`), or null
    read, rows     records that went in, and events that came out
    quarantined    how many records were refused, by reason; `a|b` where the promise leaves open which of the two
    kept           the events' ids, in their order
    limited        true where the file shows that a cost is bounded, so that it may be slow

Only the standard library; the same seed writes the same bytes.
"""

import json
import pathlib
import random
import sys

sys.dont_write_bytecode = True

import clouds
import encoding
import fields
import shapes
import storage
import text


class Corpus:
    """Where the files go, and the good records that stand between the bad ones."""

    def __init__(self, folder, seed):
        self.folder = pathlib.Path(folder)
        self.random = random.Random(seed)
        self.expected = []
        self.names = set()
        self.made = 0

    def good(self, **changes):
        """A record that every reader must keep: its id and its text."""
        identity = self.next_id()
        return identity, fields.dump(fields.event(identity, **changes))

    def next_id(self):
        self.made += 1
        return f"c0c0c0c0-0000-4000-8000-{self.made:012d}"

    def add(self, name, data, kept=(), quarantined=None, refused=None, ignored=None, limited=False):
        """One file. `data`: its bytes, or a function that writes them; `refused`: why nothing of it is read."""
        assert name not in self.names, f"{name} is there twice"
        self.names.add(name)
        path = self.folder / "logs" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if callable(data):
            with open(path, "wb") as file:
                data(file)
        else:
            path.write_bytes(data)
        quarantined = quarantined or {}
        self.expected.append({
            "file": f"logs/{name}",
            "object_reason": refused,
            "ignored": ignored,
            "read": len(kept) + sum(quarantined.values()),
            "rows": len(kept),
            "quarantined": quarantined,
            "kept": list(kept),
            "limited": limited,
        })

    def between(self, name, bad, quarantined, pack=storage.gz, limited=False):
        """One file of `Records` with a good one before, between and after the bad ones.

        `bad`: texts or bytes; a pair of id and text is a strange one that must be kept.
        """
        kept, parts = [], []
        for one in [*bad, None]:
            identity, record = self.good()
            kept.append(identity)
            parts.append(record.encode())
            if isinstance(one, tuple):
                kept.append(one[0])
                one = one[1]
            if one is not None:
                parts.append(one if isinstance(one, bytes) else one.encode())
        data = b'{"Records":[' + b",".join(parts) + b"]}"
        self.add(name, pack(data), kept, quarantined, limited=limited)

    def finish(self):
        lines = "".join(json.dumps(line) + "\n" for line in self.expected)
        (self.folder / "expected.jsonl").write_text(lines)


def main():
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    corpus = Corpus(sys.argv[1], int(sys.argv[2]) if len(sys.argv) == 3 else 1)
    for chapter in (storage, encoding, text, fields, shapes, clouds):
        chapter.write(corpus)
    corpus.finish()
    print(f"{len(corpus.expected)} files, {corpus.made} good records", file=sys.stderr)


if __name__ == "__main__":
    main()
