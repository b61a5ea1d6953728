use super::*;
use crate::time::{HOUR, MINUTE, parse_rfc3339};

const NOON: &str = "2026-11-20T12:00:00Z";

fn call() -> BoundFacts<'static> {
    BoundFacts {
        time: parse_rfc3339(NOON).unwrap(),
        service: "ec2.amazonaws.com",
        operation: "RunInstances",
        region: Some("eu-west-1"),
        source_ip: Some("10.20.1.1"),
        ..BoundFacts::default()
    }
}

/// What is broken, and whether it is certain.
fn broken(bounds: &Bounds, call: BoundFacts<'_>) -> Vec<(Bound, bool)> {
    bounds.broken(&call).into_iter().map(|one| (one.bound, one.certain)).collect()
}

fn regions(names: &[&str]) -> Bounds {
    Bounds { regions: names.iter().map(|name| (*name).to_owned()).collect(), ..Bounds::default() }
}

fn networks(texts: &[&str]) -> Bounds {
    let networks = texts.iter().map(|text| Network::parse(text).unwrap()).collect();
    Bounds { networks, ..Bounds::default() }
}

fn hours(text: &str) -> Bounds {
    Bounds { hours: vec![Hours::parse(text).unwrap()], ..Bounds::default() }
}

fn from(source: &str) -> BoundFacts<'_> {
    BoundFacts { source_ip: Some(source), ..call() }
}

fn at(time: &str) -> BoundFacts<'static> {
    BoundFacts { time: parse_rfc3339(time).unwrap(), ..call() }
}

const OUTSIDE: [(Bound, bool); 1] = [(Bound::Networks, true)];
const UNSEEN: [(Bound, bool); 1] = [(Bound::Networks, false)];

#[test]
fn no_bound_is_broken_where_there_is_none() {
    assert!(Bounds::default().is_empty());
    assert_eq!(broken(&Bounds::default(), BoundFacts::default()), []);
    assert!(!regions(&["eu-west-1"]).is_empty());
}

#[test]
fn a_call_elsewhere_breaks_the_bound_on_regions() {
    let bounds = regions(&["eu-west-1"]);
    assert_eq!(broken(&bounds, call()), []);
    let away = BoundFacts { region: Some("us-east-1"), ..call() };
    assert_eq!(broken(&bounds, away), [(Bound::Regions, true)]);
    assert_eq!(bounds.broken(&away)[0].seen, "in us-east-1, outside eu-west-1");
}

#[test]
fn a_region_is_named_by_any_cloud_and_by_pattern() {
    let bounds = regions(&["westeurope", "eu-*"]);
    for (region, inside) in
        [("westeurope", true), ("WestEurope", true), ("eu-central-1", true), ("northeurope", false)]
    {
        let away = BoundFacts { region: Some(region), ..call() };
        assert_eq!(broken(&bounds, away).is_empty(), inside, "{region}");
    }
}

#[test]
fn without_a_region_it_cannot_be_told() {
    for region in [None, Some("")] {
        let unseen = BoundFacts { region, ..call() };
        assert_eq!(broken(&regions(&["eu-west-1"]), unseen), [(Bound::Regions, false)]);
    }
}

#[test]
fn services_that_stand_nowhere_have_no_region() {
    let bounds = regions(&["eu-west-1"]);
    for service in ["iam.amazonaws.com", "route53.amazonaws.com", "cloudfront.amazonaws.com"] {
        let global = BoundFacts { service, region: Some("us-east-1"), ..call() };
        assert_eq!(broken(&bounds, global), [], "{service}");
    }
    let near = BoundFacts { service: "route53resolver.amazonaws.com", region: Some("us-east-1"), ..call() };
    assert_eq!(broken(&bounds, near), [(Bound::Regions, true)], "another service");
    assert_eq!(broken(&bounds, BoundFacts { region: Some("global"), ..call() }), []);
}

#[test]
fn calls_that_one_region_answers_for_all_count_only_there() {
    let bounds = regions(&["eu-west-1"]);
    let of = |service, operation, region| {
        broken(&bounds, BoundFacts { service, operation, region: Some(region), ..call() })
    };
    let away = [(Bound::Regions, true)];
    assert_eq!(of("sts.amazonaws.com", "AssumeRole", "us-east-1"), []);
    assert_eq!(of("sts.amazonaws.com", "AssumeRole", "ap-south-1"), away, "an endpoint of its own");
    assert_eq!(of("s3.amazonaws.com", "ListBuckets", "us-east-1"), []);
    assert_eq!(of("s3.amazonaws.com", "ListObjects", "us-east-1"), away);
    assert_eq!(of("ec2.amazonaws.com", "DescribeRegions", "us-gov-west-1"), []);
    assert_eq!(of("ec2.amazonaws.com", "DescribeInstances", "us-east-1"), away);
}

#[test]
fn hours_end_at_their_last_minute() {
    let bounds = hours("06:00-22:00 UTC");
    assert_eq!(broken(&bounds, at("2026-11-20T06:00:00Z")), []);
    assert_eq!(broken(&bounds, at("2026-11-20T21:59:59Z")), []);
    assert_eq!(broken(&bounds, at("2026-11-20T22:00:00Z")), [(Bound::Hours, true)]);
    assert_eq!(broken(&bounds, at("2026-11-20T05:59:59Z")), [(Bound::Hours, true)]);
}

#[test]
fn a_night_goes_on_after_midnight() {
    let bounds = hours("22:00-06:00 UTC Mon-Fri");
    assert_eq!(broken(&bounds, at("2026-11-20T23:30:00Z")), [], "Friday's night");
    assert_eq!(broken(&bounds, at("2026-11-21T05:59:00Z")), [], "is Friday's still");
    assert_eq!(broken(&bounds, at("2026-11-21T23:30:00Z")), [(Bound::Hours, true)], "Saturday has none");
    assert_eq!(broken(&bounds, at("2026-11-23T05:00:00Z")), [(Bound::Hours, true)], "nor has Sunday");
}

#[test]
fn summer_time_moves_the_hours() {
    let bounds = hours("09:00-17:00 America/New_York");
    assert_eq!(broken(&bounds, at("2026-01-20T13:30:00Z")), [(Bound::Hours, true)], "08:30 in winter");
    assert_eq!(broken(&bounds, at("2026-07-20T13:30:00Z")), [], "09:30 in summer");
    assert_eq!(broken(&bounds, at("2026-01-20T21:30:00Z")), [], "16:30 in winter");
    assert_eq!(broken(&bounds, at("2026-07-20T21:30:00Z")), [(Bound::Hours, true)], "17:30 in summer");
}

#[test]
fn the_night_in_which_an_hour_is_missing_has_none_of_it() {
    // 2026-03-29 01:00 UTC: Paris goes from 02:00 to 03:00.
    let bounds = hours("02:00-03:00 Europe/Paris");
    assert_eq!(broken(&bounds, at("2026-03-29T00:59:59Z")), [(Bound::Hours, true)]);
    assert_eq!(broken(&bounds, at("2026-03-29T01:00:00Z")), [(Bound::Hours, true)]);
    assert_eq!(broken(&bounds, at("2026-03-30T00:30:00Z")), [], "the night after has it");
}

#[test]
fn zones_that_are_off_by_half_an_hour_count() {
    let bounds = hours("09:00-10:00 Asia/Kolkata");
    assert_eq!(broken(&bounds, at("2026-11-20T03:30:00Z")), []);
    assert_eq!(broken(&bounds, at("2026-11-20T04:30:00Z")), [(Bound::Hours, true)]);
}

#[test]
fn any_of_several_spans_will_do() {
    let parse = |text| Hours::parse(text).unwrap();
    let bounds =
        Bounds { hours: vec![parse("06:00-10:00 UTC"), parse("14:00-18:00 UTC")], ..Bounds::default() };
    assert_eq!(broken(&bounds, at("2026-11-20T15:00:00Z")), []);
    assert_eq!(broken(&bounds, at(NOON)), [(Bound::Hours, true)]);
    assert!(bounds.broken(&at(NOON))[0].seen.contains("06:00-10:00 UTC, 14:00-18:00 UTC"));
}

#[test]
fn an_address_outside_breaks_the_bound_on_networks() {
    let bounds = networks(&["10.20.0.0/16", "2001:db8::/32"]);
    assert_eq!(broken(&bounds, from("10.20.255.255")), []);
    assert_eq!(broken(&bounds, from("10.21.0.0")), OUTSIDE);
    assert_eq!(broken(&bounds, from("2001:db8:1::7")), []);
    assert_eq!(broken(&bounds, from("2001:db9::7")), OUTSIDE);
    assert_eq!(broken(&bounds, from("::ffff:10.20.0.1")), [], "the same address in six");
}

#[test]
fn what_a_service_does_comes_from_the_services_own_network() {
    let bounds = networks(&["10.20.0.0/16"]);
    assert_eq!(broken(&bounds, from("cloudformation.amazonaws.com")), []);
    assert_eq!(broken(&bounds, from("AWS Internal")), []);
    let on_behalf = BoundFacts { invoked_by: Some("athena.amazonaws.com"), ..from("203.0.113.7") };
    assert_eq!(broken(&bounds, on_behalf), []);
    assert_eq!(broken(&bounds, from("203.0.113.7")), OUTSIDE, "nobody between");
}

#[test]
fn an_endpoint_is_told_by_its_id() {
    let bounds = networks(&["vpce-0abc"]);
    let through = |id| BoundFacts { vpc_endpoint: Some(id), ..from("10.0.0.7") };
    assert_eq!(broken(&bounds, through("vpce-0abc")), []);
    assert_eq!(broken(&bounds, through("vpce-0abd")), OUTSIDE);
    assert_eq!(broken(&bounds, from("10.0.0.7")), OUTSIDE, "through none");
    let unseen = |vpc_endpoint| BoundFacts { source_ip: None, vpc_endpoint, ..call() };
    assert_eq!(broken(&bounds, unseen(Some("vpce-0abd"))), OUTSIDE);
    assert_eq!(broken(&bounds, unseen(Some("vpce-0abc"))), []);
    assert_eq!(broken(&bounds, unseen(None)), UNSEEN);
}

#[test]
fn a_vpc_is_not_in_the_log_so_only_what_cannot_be_in_one_is_outside() {
    let bounds = networks(&["vpc-0abc"]);
    assert_eq!(broken(&bounds, from("203.0.113.7")), OUTSIDE);
    for private in ["10.1.2.3", "192.168.1.1", "fd00::1"] {
        assert_eq!(broken(&bounds, from(private)), UNSEEN, "{private}");
    }
    let through = BoundFacts { vpc_endpoint: Some("vpce-1"), ..from("203.0.113.7") };
    assert_eq!(broken(&bounds, through), UNSEEN);
    let both = networks(&["vpc-0abc", "203.0.113.0/24"]);
    assert_eq!(broken(&both, from("203.0.113.7")), [], "an address of its own will do");
}

#[test]
fn without_an_address_it_cannot_be_told() {
    let bounds = networks(&["10.20.0.0/16"]);
    for source_ip in [None, Some("")] {
        assert_eq!(broken(&bounds, BoundFacts { source_ip, ..call() }), UNSEEN);
    }
}

#[test]
fn a_session_may_not_grow_too_old() {
    let bounds = Bounds { session_max: Some(Duration::from_secs(3_600)), ..Bounds::default() };
    let begun = |before: i64| BoundFacts { session_started: Some(call().time - before), ..call() };
    assert_eq!(broken(&bounds, begun(HOUR)), [], "the last moment counts");
    assert_eq!(broken(&bounds, begun(HOUR + SECOND)), [(Bound::SessionMax, true)]);
    assert_eq!(broken(&bounds, begun(-MINUTE)), [], "a clock that is ahead");
    assert_eq!(broken(&bounds, call()), [(Bound::SessionMax, false)]);
    let seen = &bounds.broken(&begun(2 * HOUR))[0].seen;
    assert!(seen.contains("2026-11-20T10:00:00Z") && seen.contains("longer than 1h"), "{seen}");
}

#[test]
fn a_key_that_never_expires_has_no_session() {
    let bounds = Bounds { session_max: Some(Duration::from_secs(3_600)), ..Bounds::default() };
    let with = |kind| broken(&bounds, BoundFacts { credential_kind: Some(kind), ..call() });
    assert_eq!(with("long_lived"), []);
    assert_eq!(with("temporary"), [(Bound::SessionMax, false)]);
}

#[test]
fn several_bounds_break_at_once_gravest_first() {
    let bounds = Bounds {
        regions: vec!["eu-west-1".to_owned()],
        hours: vec![Hours::parse("06:00-10:00 UTC").unwrap()],
        networks: vec![Network::parse("10.0.0.0/8").unwrap()],
        session_max: Some(Duration::from_secs(3_600)),
        calls_per_minute: Some(1),
    };
    let away = BoundFacts {
        region: Some("us-east-1"),
        session_started: Some(call().time - 2 * HOUR),
        ..from("203.0.113.7")
    };
    let kinds: Vec<Bound> = bounds.broken(&away).iter().map(|one| one.bound).collect();
    assert_eq!(kinds, [Bound::Networks, Bound::Regions, Bound::Hours, Bound::SessionMax]);
    let early = at("2026-11-20T07:00:00Z");
    assert_eq!(broken(&bounds, BoundFacts { session_started: Some(early.time), ..early }), []);
}

#[test]
fn the_bounds_are_shown_as_they_count() {
    let bounds = Bounds {
        calls_per_minute: Some(300),
        session_max: Some(Duration::from_secs(3_600)),
        ..networks(&["10.0.0.0/8", "vpce-1"])
    };
    let shown: Vec<String> =
        bounds.entries().into_iter().map(|(key, text)| format!("{key}: {text}")).collect();
    assert_eq!(
        shown,
        ["networks: 10.0.0.0/8, vpce-1", "session_max: 1h", "rate: 300 calls a minute (not judged)"]
    );
}
