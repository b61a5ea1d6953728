"""What a record says: fields that are missing, of a wrong type, told twice, or of a value that nobody expects."""

import json

from storage import gz, log

ACCOUNT = "111122223333"
GONE = object()


def event(identity, **changes):
    """A CloudTrail event of the agent `ant`; GONE takes a field away."""
    made = {
        "eventVersion": "1.11",
        "userIdentity": {
            "type": "AssumedRole",
            "principalId": "AROAEXAMPLE000000003:run-1",
            "arn": f"arn:aws:sts::{ACCOUNT}:assumed-role/ant/run-1",
            "accountId": ACCOUNT,
            "accessKeyId": "ASIAEXAMPLE000000001",
            "sessionContext": {
                "sessionIssuer": {
                    "type": "Role",
                    "principalId": "AROAEXAMPLE000000003",
                    "arn": f"arn:aws:iam::{ACCOUNT}:role/agents/ant",
                    "accountId": ACCOUNT,
                    "userName": "ant",
                },
                "attributes": {"creationDate": "2026-01-05T09:00:00Z", "mfaAuthenticated": "false"},
            },
        },
        "eventTime": "2026-01-05T10:00:00Z",
        "eventSource": "s3.amazonaws.com",
        "eventName": "GetObject",
        "awsRegion": "eu-west-1",
        "sourceIPAddress": "203.0.113.24",
        "userAgent": "Boto3/1.40 agent-runtime",
        "requestParameters": {"bucketName": "acme-invoices", "key": "a"},
        "responseElements": None,
        "requestID": "R0000000000000001",
        "eventID": identity,
        "readOnly": True,
        "resources": [{"type": "AWS::S3::Object", "ARN": "arn:aws:s3:::acme-invoices/a"}],
        "eventType": "AwsApiCall",
        "managementEvent": False,
        "recipientAccountId": ACCOUNT,
        "eventCategory": "Data",
    }
    made.update(changes)
    return {key: value for key, value in made.items() if value is not GONE}


def dump(value):
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def write(corpus):
    required(corpus)
    optional(corpus)
    twice(corpus)
    times(corpus)
    kinds(corpus)
    identities(corpus)
    numbers(corpus)


WRONG = {"number": 7, "true": True, "array": ["x"], "object": {"x": 1}}


def required(corpus):
    """Without them there is no event."""
    for field in "eventID", "eventTime", "eventSource", "eventName":
        for name, value in {"missing": GONE, "null": None, "empty": ""}.items():
            corpus.between(f"required/{field}_{name}.json.gz", [corpus.good(**{field: value})[1]], {"missing_field": 1})
        for name, value in WRONG.items():
            corpus.between(f"required/{field}_{name}.json.gz", [corpus.good(**{field: value})[1]], {"wrong_type": 1})
    corpus.between("required/nothing.json.gz", ["{}"], {"missing_field": 1})
    corpus.between("required/another_spelling.json.gz", [corpus.good()[1].replace("eventID", "eventId")], {"missing_field": 1})
    corpus.between("required/other_case.json.gz", [corpus.good()[1].replace("eventName", "EventName")], {"missing_field": 1})


def optional(corpus):
    """A field that says nothing is no fault; one that says it in a wrong type is."""
    fields = [
        "awsRegion", "sourceIPAddress", "userAgent", "recipientAccountId", "requestID", "sharedEventID", "eventType",
        "eventCategory", "errorCode", "errorMessage", "vpcEndpointId", "apiVersion",
    ]
    for field in fields:
        rare = [corpus.good(**{field: value}) for value in (GONE, None, "", "x" * 100_000)]
        wrong = [corpus.good(**{field: value})[1] for value in WRONG.values()]
        corpus.between(f"optional/{field}.json.gz", rare + wrong, {"wrong_type": len(wrong)})
    for field in "readOnly", "managementEvent", "sessionCredentialFromConsole":
        rare = [corpus.good(**{field: value}) for value in (GONE, None, True, False, "true", "false")]
        wrong = [corpus.good(**{field: value})[1] for value in (1, "yes", [], {})]
        corpus.between(f"optional/{field}.json.gz", rare + wrong, {"wrong_type": len(wrong)})
    for field in "userIdentity", "tlsDetails", "addendum", "insightDetails":
        rare = [corpus.good(**{field: value}) for value in (GONE, None, {})]
        wrong = [corpus.good(**{field: value})[1] for value in ("root", 7, True, ["AssumedRole", "AROAEXAMPLE"])]
        corpus.between(f"optional/{field}.json.gz", rare + wrong, {"wrong_type": len(wrong)})
    rare = [corpus.good(resources=value) for value in (GONE, None, [], [None], [{}], [{"ARN": None}], [{"ARN": ""}])]
    rare.append(corpus.good(resources=[{"ARN": f"arn:aws:s3:::b/{at}"} for at in range(5_000)]))
    wrong = [corpus.good(resources=value)[1] for value in ({}, "arn:aws:s3:::b", [7], ["arn:aws:s3:::b"], [{"ARN": 7}], [["x"]])]
    corpus.between("optional/resources.json.gz", rare + wrong, {"wrong_type": len(wrong)})
    # Any type at all: what a service puts there is its own.
    values = [GONE, None, "", 7, True, [], {}, [{}], "too large, omitted", {"omitted": True}, {"reason": "requestParameters too large"}]
    for field in "requestParameters", "responseElements", "additionalEventData", "serviceEventDetails", "eventContext", "edgeDeviceDetails":
        corpus.between(f"optional/{field}.json.gz", [corpus.good(**{field: value}) for value in values], {})


# Whoever may tell one of these twice, one reader believes the first and another the last.
SECURITY = [
    "eventID", "eventTime", "eventSource", "eventName", "eventType", "eventCategory", "managementEvent", "readOnly",
    "awsRegion", "recipientAccountId", "sharedEventID", "sourceIPAddress", "userAgent", "errorCode", "errorMessage",
    "vpcEndpointId", "requestID", "requestParameters", "responseElements", "additionalEventData", "resources",
    "addendum", "userIdentity",
]
IDENTITY = ["type", "principalId", "arn", "accountId", "accessKeyId", "userName", "invokedBy", "sessionContext",
            "onBehalfOf", "inScopeOf"]


def twice(corpus):
    def told(path, name):
        """The record with a second telling of the field: as it is spelt, and in escapes; before and behind."""
        escaped = "".join(f"\\u{ord(letter):04x}" for letter in name)
        half = name[0] + f"\\u{ord(name[1]):04X}" + name[2:]
        made = []
        for spelling, is_first in (name, True), (name, False), (escaped, True), (escaped, False), (half, False):
            record = event(corpus.next_id())
            place = record
            for step in path:
                place = place.setdefault(step, {})
            place.setdefault(name, None)
            value = dump(place[name])
            inside = dump(place)[1:-1]
            other = f'"{spelling}":{value}'
            place.clear()
            place["MARK"] = None
            whole = f"{other},{inside}" if is_first else f"{inside},{other}"
            made.append(dump(record).replace('"MARK":null', whole))
        return made

    paths = [((), name) for name in SECURITY]
    paths += [(("userIdentity",), name) for name in IDENTITY]
    session = ("userIdentity", "sessionContext")
    paths += [(session, name) for name in ("sessionIssuer", "attributes", "sourceIdentity")]
    paths += [((*session, "sessionIssuer"), name) for name in ("arn", "principalId", "accountId")]
    paths += [((*session, "attributes"), name) for name in ("mfaAuthenticated", "creationDate")]
    for path, name in paths:
        bad = told(path, name)
        corpus.between(f"twice/{'.'.join([*path, name])}.json.gz", bad, {"duplicate_key": len(bad)})
    # One by another case is another field, and what nobody reads may be there as often as it likes.
    kept = [
        (identity, record.replace("{", '{"EventName":"DeleteBucket","other":1,"other":2,', 1))
        for identity, record in [corpus.good()]
    ]
    corpus.between("twice/not_the_same.json.gz", kept, {})
    # The list of records itself: only the first is believed, the other is told.
    for name, key in ("plain", "Records"), ("escaped", "\\u0052ecords"), ("escaped_inside", "Rec\\u006frds"):
        first, other = corpus.good(), corpus.good()
        text = f'{{"Records":[{first[1]}],"{key}":[{other[1]}]}}'
        corpus.add(f"twice/records_{name}.json", text.encode(), [first[0]], {"duplicate_key": 1})


def times(corpus):
    rare = [
        "2026-01-05T10:00:00.000Z", "2026-01-05T10:00:00.123456789Z", "2026-01-05T11:00:00+01:00", "2026-01-05T10:00:00",
        "2026-01-05 10:00:00", "2026-01-05 10:00:00.000", "2024-02-29T00:00:00Z", "1970-01-01T00:00:00Z",
        "1969-12-31T23:59:59Z", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "2036-01-01T00:00:00Z",
        "2016-12-31T23:59:60Z", "2026-01-05T10:00:00-23:59",
    ]
    for number, value in enumerate(rare):
        corpus.between(f"times/right_{number:02}.json.gz", [corpus.good(eventTime=value)], {})
    bad = [
        "yesterday", "2026-13-05T10:00:00Z", "2026-02-30T10:00:00Z", "2026-01-00T10:00:00Z", "2026-01-05T25:00:00Z",
        "2026-01-05T10:60:00Z", "2026-01-05T24:00:01Z", "2026-01-05", "10:00:00Z", "1767607200", "1767607200000",
        "20260105T100000Z", "2026-01-05T10:00Z", "\u0662\u0660\u0662\u0666-01-05T10:00:00Z", "2026-01-05T10:00:00Zx",
        "x2026-01-05T10:00:00Z", "2026-01-05T10:00:00+99:99", "2026\u201301\u201305T10:00:00Z", "9" * 100_000, "\0",
    ]
    for number, value in enumerate(bad):
        corpus.between(f"times/wrong_{number:02}.json.gz", [corpus.good(eventTime=value)[1]], {"bad_time": 1})
    # When a session began is not worth an event.
    rare = []
    for value in "", "soon", "2026-13-45T99:99:99Z", "9" * 1000:
        session = {"attributes": {"creationDate": value}}
        rare.append(corpus.good(userIdentity={"type": "AssumedRole", "sessionContext": session}))
    corpus.between("times/of_a_session.json.gz", rare, {})


def kinds(corpus):
    """What AWS may write tomorrow is read as far as it is understood."""
    for name, values in {
        "eventVersion": ["2.0", "99.1", "1", "", "one", GONE, None, 1.1, 7, ["1.08"], "1." + "0" * 10_000],
        "eventCategory": ["Aggregated", "Insight", "NetworkActivity", "Management", "data", "\u00dcber", "x" * 10_000],
        "eventType": ["AwsServiceEvent", "AwsConsoleSignIn", "AwsCloudTrailInsight", "AwsVpceEvent", "AwsMcpEvent", "Unheard"],
        "eventSource": ["nobody.example", "s3", ".", "\u0000", "x" * 10_000, "S3.AMAZONAWS.COM"],
        "eventName": ["", "Unheard", "x" * 10_000, "Get Object", "../../etc/passwd", "*", "GetObject\n", "<script>"],
    }.items():
        if name == "eventName":
            values = values[1:]
        corpus.between(f"kinds/{name}.json.gz", [corpus.good(**{name: value}) for value in values], {})
    for reason in "DELIVERY_DELAY", "UPDATED_DATA", "SERVICE_OUTAGE", "UNHEARD", "", None:
        addendum = {"reason": reason, "updatedFields": "userAgent", "originalEventID": "x", "originalRequestID": "y"}
        corpus.between(f"kinds/addendum_{reason}.json.gz", [corpus.good(addendum=addendum)], {})
    insight = {"state": "Start", "eventSource": "ec2.amazonaws.com", "eventName": "RunInstances", "insightType": "ApiCallRateInsight"}
    rare = [
        corpus.good(eventSource=GONE, eventName=GONE, userIdentity=GONE, eventCategory="Insight",
                    eventType="AwsCloudTrailInsight", insightDetails=insight),
        corpus.good(eventCategory="Insight", eventType="AwsCloudTrailInsight", insightDetails={}),
    ]
    bare = corpus.good(eventSource=GONE, eventName=GONE, eventType="AwsCloudTrailInsight", insightDetails={"state": "End"})[1]
    corpus.between("kinds/insights.json.gz", [*rare, bare], {"missing_field": 1})
    digest = {
        "awsAccountId": ACCOUNT, "digestStartTime": "2026-01-05T10:00:00Z", "digestEndTime": "2026-01-05T11:00:00Z",
        "digestS3Bucket": "logs", "digestS3Object": "AWSLogs/x", "newestEventTime": None, "oldestEventTime": None,
        "previousDigestSignature": None, "logFiles": [{"s3Bucket": "logs", "s3Object": "a", "hashValue": "00"}],
    }
    corpus.add("kinds/digest.json.gz", gz(dump(digest).encode()), ignored="digest")
    corpus.add("kinds/digest_without_files.json", dump({**digest, "logFiles": []}).encode(), ignored="digest")
    corpus.add("kinds/digest_spread_out.json", json.dumps(digest, indent=2).encode(), ignored="digest")
    kept, data = log(corpus)
    name = f"{ACCOUNT}_CloudTrail-Digest_eu-west-1_trail_eu-west-1_20260105T110000Z.json.gz"
    corpus.add(f"kinds/AWSLogs/{ACCOUNT}/CloudTrail-Digest/eu-west-1/2026/01/05/{name}", gz(data), kept)
    corpus.add("kinds/half_a_digest.json", dump({"digestStartTime": "x"}).encode(), [], {"missing_field|unknown_format": 1})


def identities(corpus):
    """Callers that no reader has met."""
    long = "x" * 50_000
    values = [
        {"type": "Unheard"}, {"type": ""}, {"type": None}, {"arn": "arn"}, {"arn": ":::::"}, {"arn": "arn:aws:sts::1:assumed-role/"},
        {"type": "AssumedRole", "arn": "arn:aws:sts::1:assumed-role//"}, {"type": "AssumedRole", "principalId": ":"},
        {"type": "AssumedRole", "principalId": "AROA:" + ":" * 500}, {"type": "Root"}, {"type": "AWSService", "invokedBy": ""},
        {"type": "AWSAccount", "accountId": "ANONYMOUS_PRINCIPAL"}, {"type": "IAMUser", "userName": "\u202e\u0000"},
        {"type": "SAMLUser", "principalId": "a:b:c:d"}, {"accessKeyId": "ASIA"}, {"accessKeyId": "\u00e9\u00e9\u00e9"},
        {"type": "AssumedRole", "arn": f"arn:aws:sts::1:assumed-role/{long}/{long}"}, {"principalId": long},
        {"sessionContext": {}}, {"sessionContext": {"sessionIssuer": {}}}, {"sessionContext": {"sessionIssuer": {"arn": "x"}}},
        {"onBehalfOf": {}}, {"inScopeOf": {"sourceArn": "\U0001f600"}},
    ]
    for number, value in enumerate(values):
        corpus.between(f"identities/{number:02}.json.gz", [corpus.good(userIdentity=value)], {})
    wrong = [
        {"type": 7}, {"arn": ["x"]}, {"accountId": 111122223333}, {"sessionContext": "x"}, {"sessionContext": []},
        {"sessionContext": {"sessionIssuer": "x"}}, {"sessionContext": {"sessionIssuer": {"arn": 7}}},
        {"sessionContext": {"attributes": {"mfaAuthenticated": "maybe"}}}, {"onBehalfOf": []}, {"inScopeOf": "x"},
    ]
    for number, value in enumerate(wrong):
        corpus.between(f"identities/wrong_{number:02}.json.gz", [corpus.good(userIdentity=value)[1]], {"wrong_type": 1})


def numbers(corpus):
    """Numbers of any size are text to us: none of them is an id."""
    right = ["1e999", "-1e999", "1e-999", "18446744073709551616", "9007199254740993", "-0", "0.1e+5", "1" * 5_000, "0." + "0" * 5_000 + "1"]
    rare = []
    for number in right:
        identity, record = corpus.good(requestParameters={"n": "MARK"}, somethingNew=["MARK"])
        rare.append((identity, record.replace('"MARK"', number)))
    corpus.between("numbers/right.json.gz", rare, {})
    wrong = ["NaN", "Infinity", "-Infinity", "+1", "01", "1.", ".5", "0x10", "1e", "1e+", "--1", "1_000", "-", "1.2.3", "\u0661"]
    for place in "requestParameters", "somethingNew":
        bad = [corpus.good(**{place: {"n": "MARK"}})[1].replace('"MARK"', number) for number in wrong]
        corpus.between(f"numbers/wrong_in_{place}.json.gz", bad, {"bad_json": len(bad)})
    bad = [corpus.good(eventName="MARK")[1].replace('"MARK"', number) for number in ("1e999", "18446744073709551616", "-1", "1.5")]
    # A number that no machine has is still no name; a reader may stumble over the number first.
    corpus.between("numbers/for_a_name.json.gz", bad, {"wrong_type|bad_json": len(bad)})
