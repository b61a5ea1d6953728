use super::*;
use proptest::prelude::*;

const UUID: &str = "0f8fad5b-d9cb-469f-a165-70867728950e";

#[test]
fn only_the_canonical_spelling_is_a_uuid() {
    assert!(matches!(EventId::parse(UUID), EventId::Uuid([0x0f, 0x8f, .., 0x95, 0x0e])));
    let braced = format!("{{{UUID}}}");
    let bare = UUID.replace('-', "");
    let moved = UUID.replacen("d9cb-", "-d9cb", 1);
    let wide = UUID.replace('b', "ß");
    for other in [&UUID.to_uppercase(), &braced, &bare, &moved, &wide, "", "0f8fad5b"] {
        assert_eq!(EventId::parse(other), EventId::Text(other));
    }
}

#[test]
fn another_spelling_of_a_uuid_is_another_event() {
    let seen = Seen::new(1 << 20);
    assert!(seen.insert("1", UUID).unwrap());
    assert!(seen.insert("1", &UUID.to_uppercase()).unwrap());
    assert!(!seen.insert("1", UUID).unwrap());
}

#[test]
fn accounts_beyond_the_numbered_ones_are_told_apart() {
    let seen = Seen::new(1 << 20);
    for account in 0..ACCOUNTS_MAX + 10 {
        let _ = seen.account(&account.to_string());
    }
    for account in ["a", "b", "ab"] {
        assert_eq!(seen.account(account), Account(Numbered::Not(account.into())));
        for id in [UUID, "", "b", "bb"] {
            assert!(seen.insert(account, id).unwrap(), "{account} {id}");
            assert!(!seen.insert(account, id).unwrap(), "{account} {id}");
        }
    }
    assert!(seen.accounts.read().unwrap().len() <= ACCOUNTS_MAX);
}

#[test]
fn memory_stays_within_the_budget_and_nothing_is_forgotten() {
    let budget = 4 << 20;
    let seen = Seen::new(budget);
    let id = |n: u32| format!("{n:08x}-d9cb-469f-a165-70867728950e");
    let mut peak = 0;
    for n in 0..400_000 {
        assert!(seen.insert("1", &id(n)).unwrap(), "{n} is new");
        if n.is_multiple_of(5_000) {
            peak = peak.max(seen.memory());
        }
    }
    assert!(peak < budget * 5 / 4, "{peak} bytes");
    assert_eq!(seen.len(), 400_000);
    for n in (0..400_000).step_by(7) {
        assert!(!seen.insert("1", &id(n)).unwrap(), "{n} was seen");
    }
    let sections: usize =
        seen.shards.iter().map(|shard| shard.lock().unwrap().sections.memory()).max().unwrap();
    assert!(sections <= budget / SHARDS, "{sections} bytes of index and filters in one shard");
}

#[test]
fn workers_that_see_the_same_events_count_each_once() {
    let seen = Seen::new(256 << 10);
    let counted: usize = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..4)
            .map(|_| {
                scope.spawn(|| {
                    let is_new =
                        |n: &u32| seen.insert("1", &format!("{n:08x}-d9cb-469f-a165-70867728950e")).unwrap();
                    (0..20_000u32).filter(is_new).count()
                })
            })
            .collect();
        workers.into_iter().map(|worker| worker.join().unwrap()).sum()
    });
    assert_eq!(counted, 20_000);
}

#[test]
fn a_generation_is_forgotten_as_a_whole() {
    let seen = Seen::new(1 << 20);
    seen.turn_to(100).unwrap();
    assert!(seen.insert("1", "first").unwrap());
    seen.turn_to(101).unwrap();
    assert!(seen.insert("1", "second").unwrap());
    assert!(!seen.insert("1", "first").unwrap());
    seen.turn_to(99).unwrap();
    seen.forget_before(100);
    assert!(seen.contains("1", "first").unwrap());
    seen.forget_before(101);
    assert!(!seen.contains("1", "first").unwrap());
    seen.forget_before(200);
    assert!(seen.contains("1", "second").unwrap(), "the present one stays");
}

#[test]
fn objects_that_share_an_event_clash_and_the_first_wins() {
    let ids = |texts: &[&str]| texts.iter().map(|id| ("1", *id)).collect::<EventIds>();
    let seen = Seen::new(1 << 20);
    seen.add_all(&ids(&["old", UUID])).unwrap();
    let objects =
        [ids(&["a", UUID]), ids(&["a", "b"]), ids(&["b", "c"]), ids(&["c", "d"]), ids(&["A"]), ids(&[])];
    let clashes = seen.clashes(objects.iter()).unwrap();
    // The third loses to the second, and so does not stand in the way of the fourth.
    assert_eq!(clashes, [true, false, true, false, false, false]);
    assert!(!seen.contains("1", "a").unwrap(), "asking adds nothing");
}

#[test]
fn what_is_new_is_told_row_by_row() {
    let seen = Seen::new(1 << 20);
    assert!(seen.insert("1", UUID).unwrap());
    let rows = [("1", UUID), ("2", UUID), ("2", UUID), ("1", "x"), ("1", "x")];
    let mut meeting = seen.meeting();
    let mut is_new = meeting.meet(rows[..2].iter().copied()).unwrap();
    is_new.extend(meeting.meet(rows[2..].iter().copied()).unwrap());
    assert_eq!(is_new, [false, true, false, true, false]);
    let ids = meeting.ids();
    assert_eq!(ids, [("2", UUID), ("1", "x")].into_iter().collect());
    assert_eq!(ids.len(), 2);

    assert!(seen.insert("1", "x").unwrap(), "another was faster");
    let lost = seen.take(&ids).unwrap();
    assert_eq!(lost, [("1", "x")].into_iter().collect());
    let again = seen.meeting_again(&ids, &lost).meet(rows.into_iter()).unwrap();
    assert_eq!(again, [false, true, false, false, false]);
    assert_eq!(seen.insert_all(rows.into_iter()).unwrap(), [false; 5]);
}

#[test]
fn a_disk_that_cannot_be_written_is_told() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let seen = Seen::within(file.path(), 0);
    let many = (0..1_000).map(|n| format!("{n}"));
    let error = many.map(|account| seen.insert(&account, UUID)).find_map(Result::err).unwrap();
    let told = format!("cannot keep event ids in `{}", file.path().display());
    assert!(error.to_string().starts_with(&told), "{error}");
}

proptest! {
    // A mask of few bits makes nearly every hash collide; a budget of nothing spills after every event.
    #[test]
    fn it_agrees_with_a_plain_set(
        events in prop::collection::vec((0u8..3, 0u16..300, 0u8..4), 1..600),
        budget in prop::sample::select(vec![0usize, 20_000, 1 << 20]),
        mask in prop::sample::select(vec![0u64, 0x3, 0xf << 40, u64::MAX]),
    ) {
        let secret = Secret { mask, ..Secret::random() };
        let seen = Seen::with_secret(&std::env::temp_dir(), budget, secret);
        let mut plain: HashSet<(u8, String)> = HashSet::new();
        for (account, n, kind) in events {
            let id = match kind {
                0 => format!("{n:08x}-d9cb-469f-a165-70867728950e"),
                1 => format!("{n:08X}-D9CB-469F-A165-70867728950E"),
                2 => n.to_string(),
                _ => "x".repeat(usize::from(n)),
            };
            prop_assert_eq!(seen.contains(&account.to_string(), &id).unwrap(), plain.contains(&(account, id.clone())));
            prop_assert_eq!(seen.insert(&account.to_string(), &id).unwrap(), plain.insert((account, id)));
        }
        prop_assert_eq!(seen.len(), plain.len() as u64);
    }

    #[test]
    fn uuids_are_what_a_plain_reader_says(text in "[0-9a-fA-F-]{36}|[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}") {
        let digits: String = text.chars().filter(|c| *c != '-').collect();
        let plain = u128::from_str_radix(&digits, 16).ok().filter(|n| {
            let hex = format!("{n:032x}");
            text == [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-")
        });
        let expected = plain.map_or(EventId::Text(&text), |n| EventId::Uuid(n.to_be_bytes()));
        prop_assert_eq!(EventId::parse(&text), expected);
    }
}
