"""The same question, asked of each tool that a user could pick: how often, when first and when last did each identity
use each operation of each service.

    python peers.py TOOL FOLDER THREADS

Prints one line: groups, events, first and last time. Identity is the role that issued the session, else the caller's own
ARN, else the service. Nobody is asked for more than remit tells anyway (denied calls, permissions, duplicates).
"""

import glob
import sys

WHO = "coalesce(nullif({u}.sessionContext.sessionIssuer.arn, ''), nullif({u}.arn, ''), {u}.invokedBy)"


def clickhouse(folder, threads, record):
    import chdb

    r = "r.userIdentity"
    who = (
        f"multiIf({r}.sessionContext.sessionIssuer.arn != '', {r}.sessionContext.sessionIssuer.arn, "
        f"{r}.arn != '', {r}.arn, {r}.invokedBy)"
    )
    query = f"""
        SELECT count(), sum(c), min(f), max(l) FROM (
            SELECT {who} AS who, r.eventSource AS service, r.eventName AS operation,
                   count() AS c, min(r.eventTime) AS f, max(r.eventTime) AS l
            FROM (SELECT arrayJoin(Records) AS r
                  FROM file('{folder}/**/*.json.gz', JSONEachRow, 'Records Array({record})'))
            GROUP BY who, service, operation)
        SETTINGS max_threads = {threads}, date_time_input_format = 'best_effort'"""
    return str(chdb.query(query, "TSV")).split("\t")


def record(time, text):
    issuer = f"sessionContext Tuple(sessionIssuer Tuple(arn {text}))"
    identity = f"userIdentity Tuple(arn {text}, invokedBy {text}, {issuer})"
    return f"Tuple(eventTime {time}, eventSource {text}, eventName {text}, {identity})"


def chdb_strings(folder, threads):
    return clickhouse(folder, threads, record("String", "String"))


def chdb_times(folder, threads):
    return clickhouse(folder, threads, record("DateTime", "String"))


def chdb_words(folder, threads):
    return clickhouse(folder, threads, record("String", "LowCardinality(String)"))


def duck(folder, threads, options):
    import duckdb

    database = duckdb.connect()
    database.execute(f"SET threads = {threads}")
    source = f"read_json('{folder}/**/*.json.gz', maximum_object_size = 1000000000{options})"
    # With columns that are guessed, a key that no sampled record has is not there to be asked for.
    who = WHO.format(u="r.userIdentity")
    query = f"""
        SELECT count(*), sum(c), min(f), max(l) FROM (
            SELECT {who} AS who, r.eventSource AS service, r.eventName AS operation,
                   count(*) AS c, min(r.eventTime) AS f, max(r.eventTime) AS l
            FROM (SELECT unnest(Records) AS r FROM {source}) GROUP BY ALL)"""
    return database.execute(query).fetchone()


def duckdb_auto(folder, threads):
    return duck(folder, threads, "")


def duckdb_typed(folder, threads):
    identity = (
        "userIdentity STRUCT(arn VARCHAR, invokedBy VARCHAR, "
        "sessionContext STRUCT(sessionIssuer STRUCT(arn VARCHAR)))"
    )
    fields = f"STRUCT(eventTime VARCHAR, eventSource VARCHAR, eventName VARCHAR, {identity})[]"
    return duck(folder, threads, f", format = 'newline_delimited', columns = {{Records: '{fields}'}}")


def polars_typed(folder, threads):
    import gzip
    import os

    os.environ["POLARS_MAX_THREADS"] = str(threads)
    import polars as pl

    text = pl.String
    issuer = pl.Struct({"sessionIssuer": pl.Struct({"arn": text})})
    identity = pl.Struct({"arn": text, "invokedBy": text, "sessionContext": issuer})
    event = {"eventTime": text, "eventSource": text, "eventName": text, "userIdentity": identity}
    schema = {"Records": pl.List(pl.Struct(event))}
    who = pl.col("userIdentity").struct
    arn = who.field("sessionContext").struct.field("sessionIssuer").struct.field("arn")
    counted = [
        pl.col("c").sum(),
        pl.col("f").min(),
        pl.col("l").max(),
    ]
    keys = ["who", "eventSource", "eventName"]
    parts = []
    for path in glob.glob(f"{folder}/**/*.json.gz", recursive=True):
        frame = pl.read_ndjson(gzip.open(path).read(), schema=schema)
        frame = frame.explode("Records").unnest("Records")
        frame = frame.with_columns(pl.coalesce(arn, who.field("arn"), who.field("invokedBy")).alias("who"))
        time = pl.col("eventTime")
        parts.append(frame.group_by(keys).agg(pl.len().alias("c"), time.min().alias("f"), time.max().alias("l")))
    whole = pl.concat(parts).group_by(keys).agg(counted)
    return (whole.height, whole["c"].sum(), whole["f"].min(), whole["l"].max())


def python_json(folder, threads):
    import gzip
    import json

    counts = {}
    for path in glob.glob(f"{folder}/**/*.json.gz", recursive=True):
        with gzip.open(path) as file:
            records = json.load(file)["Records"]
        for event in records:
            caller = event["userIdentity"]
            issuer = caller.get("sessionContext", {}).get("sessionIssuer", {}).get("arn")
            key = (issuer or caller.get("arn") or caller.get("invokedBy"), event["eventSource"], event["eventName"])
            time = event["eventTime"]
            count, first, last = counts.get(key, (0, time, time))
            counts[key] = (count + 1, min(first, time), max(last, time))
    rows = counts.values()
    return (len(counts), sum(row[0] for row in rows), min(row[1] for row in rows), max(row[2] for row in rows))


def libdeflate(folder, threads):
    """No answer: only what inflating costs, with the same library that remit uses."""
    import deflate

    size = 0
    for path in glob.glob(f"{folder}/**/*.json.gz", recursive=True):
        with open(path, "rb") as file:
            size += len(deflate.gzip_decompress(file.read()))
    return (0, size, "", "")


if __name__ == "__main__":
    tool, folder, threads = sys.argv[1:]
    print(*[str(value).strip() for value in globals()[tool](folder, int(threads))], sep="\t")
