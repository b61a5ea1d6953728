"""Records of other clouds, good and bad, and what other services wrap around records."""

import base64
import copy
import json

import fields
from fields import GONE, dump
from storage import MIB, gz

TIME = "2026-01-05T10:00:00Z"
MICROS = 1_767_607_200_000_000
LOG = "projects/acme/logs/cloudaudit.googleapis.com%2Factivity"
VAULT = "/subscriptions/5b0/resourceGroups/shop/providers/Microsoft.KeyVault/vaults/keys"

# A record that lacks what would tell its writer is nobody's.
LACKS, MISTYPED = "missing_field|unknown_format", "wrong_type|unknown_format|missing_field"


def activity(identity):
    """Azure's Activity Log, as diagnostic settings export it: the event's id and the record."""
    return identity, {
        "time": TIME, "resourceId": VAULT.upper(), "operationName": "MICROSOFT.KEYVAULT/VAULTS/DELETE", "category": "Administrative",
        "resultType": "Success", "resultSignature": "Succeeded.OK", "callerIpAddress": "203.0.113.9", "correlationId": "c1",
        "eventDataId": identity, "level": "Information", "tenantId": "7e0",
        "identity": {
            "authorization": {"scope": VAULT, "action": "Microsoft.KeyVault/vaults/delete", "evidence": {"role": "Contributor"}},
            "claims": {"appid": "a9", "http://schemas.microsoft.com/identity/claims/objectidentifier": "0b", "uti": "u1"},
        },
        "properties": {"statusCode": "OK", "eventCategory": "Administrative"},
    }


def sign_in(identity):
    """A sign-in of Entra."""
    return identity, {
        "time": TIME, "resourceId": "/tenants/7e0/providers/Microsoft.aadiam", "operationName": "Sign-in activity",
        "category": "ServicePrincipalSignInLogs", "tenantId": "7e0", "resultType": "0", "correlationId": "c1",
        "properties": {"id": identity, "appId": "a9", "servicePrincipalId": "0b", "status": {"errorCode": 0}},
    }


def audit(identity):
    """An entry of Google Cloud's audit logs: `insertId` names it only together with its time and log."""
    return f"{identity}@{MICROS}@{LOG}", {
        "insertId": identity, "timestamp": TIME, "receiveTimestamp": "2026-01-05T10:00:01Z", "logName": LOG, "severity": "NOTICE",
        "resource": {"type": "gcs_bucket", "labels": {"project_id": "acme", "bucket_name": "notes"}},
        "protoPayload": {
            "@type": "type.googleapis.com/google.cloud.audit.AuditLog", "serviceName": "storage.googleapis.com",
            "methodName": "storage.objects.delete", "resourceName": "projects/_/buckets/notes/objects/a", "status": {},
            "authenticationInfo": {"principalEmail": "ant@acme.iam.gserviceaccount.com"},
            "authorizationInfo": [{"resource": "projects/_/buckets/notes/objects/a", "permission": "storage.objects.delete", "granted": True}],
            "requestMetadata": {"callerIp": "203.0.113.9", "callerSuppliedUserAgent": "gcloud"},
        },
    }


def trail(identity):
    return identity, fields.event(identity)


KINDS = {"activity": activity, "sign_in": sign_in, "audit": audit, "trail": trail}


def changed(record, path, value):
    """The record with another value at a place; GONE takes the key away."""
    record = copy.deepcopy(record)
    *above, last = path
    place = record
    for step in above:
        place = place[step]
    if value is GONE:
        del place[last]
    else:
        place[last] = value
    return record


def twice(record, path):
    """The record with a key told twice, in the same words."""
    *above, last = path
    record = copy.deepcopy(record)
    place = record
    for step in above:
        place = place[step]
    place["MARK"] = None
    return dump(record).replace('"MARK":null', f'"{last}":{dump(place[last])}')


def write(corpus):
    def good(kind):
        identity, record = KINDS[kind](corpus.next_id())
        return identity, dump(record)

    def made(kind):
        return KINDS[kind](corpus.next_id())[1]

    def file(name, parts, quarantined, join, pack=gz):
        """`parts`: pairs of id and text, and bad texts."""
        kept = [part[0] for part in parts if isinstance(part, tuple)]
        texts = [part[1] if isinstance(part, tuple) else part for part in parts]
        data = join([text if isinstance(text, bytes) else text.encode() for text in texts])
        corpus.add(f"clouds/{name}.json.gz", pack(data), kept, quarantined)

    joins = {
        "list": lambda texts: b'{"records":[' + b",".join(texts) + b"]}",
        "array": lambda texts: b"[" + b",".join(texts) + b"]",
        "lines": b"\n".join,
        "hub": lambda texts: b"\n".join(b'{"records":[' + text + b"]}" for text in texts),
        "joined": b"".join,
    }
    for kind in KINDS:
        for name, join in joins.items():
            file(f"{kind}_{name}", [good(kind) for _ in range(3)], {}, join)
    everybody = [good(kind) for kind in KINDS for _ in range(2)]
    corpus.random.shuffle(everybody)
    for name, join in joins.items():
        file(f"all_together_{name}", everybody, {}, join)

    def between(kind, name, bad, quarantined):
        bad = [one if isinstance(one, (str, bytes)) else dump(one) for one in bad]
        parts = [good(kind)]
        for one in bad:
            parts += [one, good(kind)]
        file(f"{kind}_{name}", parts, quarantined, joins["list"])

    times = [("yesterday", "bad_time"), ("", LACKS), (7, MISTYPED), (GONE, LACKS), (None, LACKS), ("2026-13-05T10:00:00Z", "bad_time")]
    for kind, path in (("activity", ["time"]), ("audit", ["timestamp"])):
        bad, quarantined = [], {}
        for value, reason in times:
            record = changed(made(kind), path, value)
            # An entry has the time of its receipt where it has none of its own.
            record.pop("receiveTimestamp", None)
            bad.append(record)
            quarantined[reason] = quarantined.get(reason, 0) + 1
        between(kind, "time", bad, quarantined)
    for kind, path in (("activity", ["operationName"]), ("sign_in", ["time"]), ("audit", ["protoPayload", "methodName"])):
        between(kind, "lacks", [changed(made(kind), path, value) for value in (GONE, None)], {LACKS: 2})
        between(kind, "mistyped", [changed(made(kind), path, value) for value in (7, ["x"])], {MISTYPED: 2})
    between("audit", "payload", [changed(made("audit"), ["protoPayload"], value) for value in ("x", 7, ["x"])], {MISTYPED: 3})
    between("audit", "caller", [changed(made("audit"), ["protoPayload", "authenticationInfo"], value) for value in ("x", 7)], {MISTYPED: 2})
    between("audit", "checks", [changed(made("audit"), ["protoPayload", "authorizationInfo"], value) for value in ([7], ["x"])], {MISTYPED: 2})
    told = {
        "activity": [["operationName"], ["time"], ["resourceId"], ["callerIpAddress"], ["identity"], ["identity", "claims"],
                     ["identity", "claims", "appid"], ["identity", "authorization"], ["identity", "authorization", "action"],
                     ["properties", "statusCode"]],
        "sign_in": [["operationName"], ["category"], ["properties"], ["properties", "appId"], ["properties", "servicePrincipalId"],
                    ["properties", "status"], ["properties", "status", "errorCode"]],
        "audit": [["protoPayload"], ["timestamp"], ["insertId"], ["protoPayload", "methodName"], ["protoPayload", "serviceName"],
                  ["protoPayload", "authenticationInfo"], ["protoPayload", "authenticationInfo", "principalEmail"],
                  ["protoPayload", "authorizationInfo"], ["protoPayload", "requestMetadata", "callerIp"], ["resource", "labels"],
                  ["resource", "labels", "project_id"]],
    }
    for kind, paths in told.items():
        for path in paths:
            between(kind, f"twice_{path[-1]}", [twice(made(kind), path)], {"duplicate_key": 1})
    for kind in ("activity", "sign_in", "audit"):
        text = dump(made(kind))
        bad = {
            "encoding": (text.encode().replace(b"203.0", b"\xff").replace(b'"c1"', b'"\xc3"'), "bad_encoding"),
            "syntax": (text.replace(TIME, "MARK", 1).replace('"MARK"', "tru"), "bad_json"),
            "control": (text.replace(":{", ':{"a":"\x01",', 1), "bad_json"),
            "deep": (text.replace(":{", ':{"deep":' + "[" * 80 + "]" * 80 + ",", 1), "too_deep"),
            "escape": (text.replace(":{", ':{"a":"\\x41",', 1), "bad_json"),
        }
        for name, (record, reason) in bad.items():
            between(kind, name, [record], {reason: 1})
    first, last = good("audit"), good("activity")
    strangers = ['{"version":2,"account-id":"1","srcaddr":"10.0.0.1"}', '{"kind":"Event","apiVersion":"audit.k8s.io/v1"}', '{"log":"text"}', '{"a":1}']
    file("strangers", [first, *strangers, last], {"unknown_format": len(strangers)}, joins["lines"])
    envelopes(corpus, good)


def envelopes(corpus, good):
    """A bad one in an envelope takes no good one with it."""
    def subscription(messages):
        events = [{"id": str(at), "timestamp": 1, "message": text} for at, text in enumerate(messages)]
        return dump({"messageType": "DATA_MESSAGE", "owner": "1", "logGroup": "g", "logEvents": events})

    def file(name, text, kept, quarantined):
        corpus.add(f"envelopes/{name}.json.gz", gz(text.encode()), kept, quarantined)

    first, last = good("trail"), good("trail")
    bad = {
        "text": ("hello", "bad_json"), "cut": (first[1][:100], "bad_json"), "empty_object": ("{}", "missing_field"),
        "stranger": ('{"a":1}', "unknown_format"), "bad_time": (first[1].replace(TIME, "soon"), "bad_time"),
        "number": ("7", "bad_json|wrong_type"), "deep": ('{"a":' + "[" * 80 + "]" * 80 + "}", "too_deep"),
    }
    for name, (message, reason) in bad.items():
        first, last = good("trail"), good("audit")
        file(f"subscription_{name}", subscription([first[1], message, last[1]]), [first[0], last[0]], {reason: 1})

    def lambda_event(data):
        return dump({"awslogs": {"data": data}})

    def encoded(data):
        return base64.b64encode(data).decode()

    packed = gz(subscription([good("trail")[1]]).encode())
    # zlib of nothing but blanks: a bomb that is small until it is opened.
    bomb = gz(b" " * (16 * MIB), 9)
    for name, data, reason in (
        ("cut", encoded(packed[:-20]), "gzip_truncated"),
        ("damaged", encoded(packed[:-8] + b"\0" * 8), "gzip_corrupt"),
        ("behind", encoded(packed + b"x"), "gzip_trailing"),
        ("bomb", encoded(bomb), "gzip_ratio"),
        ("no_base64", "***", "bad_encoding"),
        ("text", encoded(b"hello"), "bad_json"),
        ("utf16", encoded('{"a":1}'.encode("utf-16")), "bad_encoding|bad_json"),
    ):
        first, last = good("trail"), good("trail")
        file(f"data_{name}", "\n".join([first[1], lambda_event(data), last[1]]), [first[0], last[0]], {reason: 1})
    for levels in 1, 2, 3, 4, 5:
        identity, text = good("trail")
        wrapped = json.loads(text)
        for _ in range(levels):
            wrapped = {"detail-type": "AWS API Call via CloudTrail", "detail": wrapped}
        file(f"levels_{levels}", dump(wrapped), [identity] if levels <= 3 else [], {} if levels <= 3 else {"too_deep": 1})
    # Bombs of envelopes: each level holds the one below twice. The object's own list is none of the three.
    nested = good("trail")[1]
    for _ in range(6):
        nested = subscription([nested, nested])
    corpus.add("envelopes/doubled.json.gz", gz(nested.encode()), [], {"too_deep": 16}, limited=True)
    control = dump({"messageType": "CONTROL_MESSAGE", "logEvents": [{"id": "", "timestamp": 1, "message": "CWL CONTROL MESSAGE: x"}]})
    first = good("trail")
    file("control", "\n".join([control, first[1]]), [first[0]], {})
    # What a caller wrote stays text, also where it looks like an envelope.
    identity = corpus.next_id()
    inside = {"detail-type": "x", "detail": fields.event("forged"), "Records": [fields.event("forged")], "message": dump(fields.event("forged"))}
    record = fields.event(identity, requestParameters=inside, userAgent=dump(inside))
    file("forged", dump({"Records": [record]}), [identity], {})
