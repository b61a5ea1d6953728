use super::*;
use crate::store::{Durability, Matcher};

const NOW: i64 = 1_767_607_200_000_000;
const MEMORY: i64 = 90 * DAY;

struct World {
    store: Store,
    _dir: tempfile::TempDir,
}

impl World {
    /// A store in which every identity has something to say, and all hold.
    async fn whole() -> World {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&dir.path().join("remit.db"), Durability::None).await.unwrap();
        let world = World { store, _dir: dir };
        for sql in [
            "INSERT INTO objects (id, source, place, state, token, lease_until, attempts, read, stored, duplicates, quarantined)
             VALUES ('a', 's', 's3://b/a', 'done', 1, 0, 1, 10, 7, 2, 1), ('b', 's', 's3://b/b', 'ignored', 1, 0, 1, 0, 0, 0, 0),
                    ('c', 's', 's3://b/c', 'quarantined', 1, 0, 1, 1, 0, 0, 1), ('d', 's', 's3://b/d', 'claimed', 1, 0, 1, 0, 0, 0, 0)",
            "INSERT INTO quarantine (id, place, row, reason, detail, head, at, object, state)
             VALUES ('qa', 's3://b/a', 3, 'bad_json', '', '', 0, 'a', 'waiting'),
                    ('qc', 's3://b/c', NULL, 'poison', '', '', 0, 'c', 'resolved'),
                    ('qm', 's', NULL, 'bad_notification', '', '{', 0, NULL, 'waiting')",
        ] {
            world.change(sql).await;
        }
        for (incident, told, revision) in [("told", 1, 1), ("old", 0, 0), ("quiet", 1, 1)] {
            world
                .change(&format!(
                    "INSERT INTO incidents (id, who, severity, state, first_seen, last_seen, revision, told, created_at, updated_at)
                     VALUES ('{incident}', 'w', 3, 'open', 0, 0, {revision}, {told}, {NOW}, {NOW})"
                ))
                .await;
        }
        for (id, state, incident) in [
            ("f1", "open", "'told'"),
            ("f2", "open", "'old'"),
            ("f3", "acknowledged", "'quiet'"),
            ("f4", "learning", "NULL"),
            ("f5", "canary", "NULL"),
        ] {
            world
                .change(&format!(
                    "INSERT INTO findings (id, detection, family, severity, state, actor, settled, window_start, first_seen,
                                           last_seen, body, incident, created_at, updated_at)
                     VALUES ('{id}', 'D', 'd', 3, '{state}', 'a', 0, 0, 0, 0, '{{}}', {incident}, 0, 0)"
                ))
                .await;
        }
        world.change("INSERT INTO outbox (incident, revision, kind, created_at, fanned_out) VALUES ('told', 1, 'trigger', 0, 1), ('quiet', 1, 'trigger', 0, 1)").await;
        world
            .change(
                "INSERT INTO deliveries (incident, revision, receiver, kind, state, next_attempt, ended_at)
                 VALUES ('told', 1, 'soc', 'trigger', 'delivered', 0, 1), ('quiet', 1, 'soc', 'trigger', 'silenced', 0, 1)",
            )
            .await;
        world
    }

    async fn change(&self, sql: &str) {
        sqlx::query(sqlx::AssertSqlSafe(sql.to_owned())).execute(&self.store.writer).await.unwrap();
    }

    /// The identities that do not hold.
    async fn broken(&self) -> Vec<&'static str> {
        let accounts = self.store.accounts(NOW, MEMORY).await.unwrap();
        accounts.iter().filter(|account| !account.holds()).map(|account| account.identity.as_str()).collect()
    }

    async fn part(&self, identity: Identity, part: &str) -> i64 {
        let accounts = self.store.accounts(NOW, MEMORY).await.unwrap();
        let account = accounts.into_iter().find(|account| account.identity == identity).unwrap();
        identity.parts().iter().zip(account.parts).find(|(name, _)| **name == part).unwrap().1
    }
}

#[tokio::test]
async fn a_whole_store_holds_and_says_where_all_of_it_is() {
    let world = World::whole().await;
    assert_eq!(world.broken().await, [""; 0]);
    for (identity, part, count) in [
        (Identity::Records, "stored", 7),
        (Identity::Quarantine, "resolved", 1),
        (Identity::Objects, "in_flight", 1),
        (Identity::Findings, "alerted", 1),
        (Identity::Findings, "history", 1),
        (Identity::Findings, "silenced", 1),
        (Identity::Outbox, "delivered", 1),
    ] {
        assert_eq!(world.part(identity, part).await, count, "{identity:?} {part}");
    }
}

#[tokio::test]
async fn a_record_that_went_nowhere_is_seen() {
    let world = World::whole().await;
    world.change("UPDATE objects SET stored = 6 WHERE id = 'a'").await;
    assert_eq!(world.broken().await, ["records"]);
    world.change("UPDATE objects SET duplicates = 3 WHERE id = 'a'").await;
    assert_eq!(world.broken().await, [""; 0], "seen before, and not lost");
}

#[tokio::test]
async fn one_object_too_many_does_not_hide_one_too_few() {
    let world = World::whole().await;
    world.change("UPDATE objects SET stored = 6 WHERE id = 'a'").await;
    world.change("UPDATE objects SET stored = 1 WHERE id = 'b'").await;
    assert_eq!(world.broken().await, ["records"]);
}

#[tokio::test]
async fn a_quarantined_record_that_is_gone_is_seen() {
    let world = World::whole().await;
    world.change("DELETE FROM quarantine WHERE id = 'qa'").await;
    assert_eq!(world.broken().await, ["quarantine"]);
    let world = World::whole().await;
    world.change("DELETE FROM quarantine WHERE id = 'qm'").await;
    assert_eq!(world.broken().await, [""; 0], "a message is no record of an object");
}

#[tokio::test]
async fn an_object_that_was_begun_and_never_ended_is_seen() {
    let world = World::whole().await;
    world.change(&format!("UPDATE objects SET lease_until = {} WHERE id = 'd'", NOW - DAY)).await;
    assert_eq!(world.broken().await, [""; 0], "it may still come back");
    world.change(&format!("UPDATE objects SET lease_until = {} WHERE id = 'd'", NOW - DAY - 1)).await;
    assert_eq!(world.broken().await, ["objects"]);
    let world = World::whole().await;
    world.change("UPDATE objects SET state = 'dropped' WHERE id = 'b'").await;
    assert_eq!(world.broken().await, ["objects"]);
}

#[tokio::test]
async fn a_finding_that_nobody_is_told_of_is_seen() {
    let world = World::whole().await;
    world.change("UPDATE findings SET incident = NULL WHERE id = 'f1'").await;
    assert_eq!(world.broken().await, ["findings"]);
    world.change("UPDATE findings SET state = 'learning' WHERE id = 'f1'").await;
    assert_eq!(world.broken().await, [""; 0], "one that is not told needs no incident");

    let world = World::whole().await;
    world.change("UPDATE incidents SET revision = 2 WHERE id = 'told'").await;
    assert_eq!(world.broken().await, ["findings"], "it should have been told again");
    world.change(&format!("UPDATE incidents SET created_at = {} WHERE id = 'told'", NOW - MEMORY)).await;
    assert_eq!(world.broken().await, [""; 0], "so long ago that it is forgotten");
}

#[tokio::test]
async fn an_alert_that_is_nowhere_is_seen() {
    let world = World::whole().await;
    world.change("UPDATE deliveries SET state = 'dropped' WHERE incident = 'told'").await;
    assert_eq!(world.broken().await, ["outbox"]);
    world.change("UPDATE deliveries SET state = 'dead' WHERE incident = 'told'").await;
    assert_eq!(world.broken().await, [""; 0], "given up, and counted as that");
    world.change("UPDATE deliveries SET state = 'pending' WHERE incident = 'told'").await;
    assert_eq!(world.broken().await, ["outbox"], "nobody sends what has ended");
}

#[tokio::test]
async fn what_the_store_does_by_itself_holds() {
    let world = World::whole().await;
    world.change("UPDATE outbox SET fanned_out = 0 WHERE incident = 'quiet'").await;
    world.change("DELETE FROM deliveries WHERE incident = 'quiet'").await;
    assert_eq!(world.part(Identity::Findings, "alerting").await, 1);
    let silence: Matcher = "agent=nobody".parse().unwrap();
    world.store.add_silence(&[silence], "a", "r", NOW, NOW + DAY, NOW).await.unwrap();
    world.store.forget_deliveries(NOW).await.unwrap();
    assert_eq!(world.broken().await, ["findings"], "what was told a moment ago must not be forgotten");
}
