//! What goes along with a tenant. Whole moves are tried end to end.

use super::*;
use crate::reserve::Reserve;
use riad_core::{Limits, policy::Policy};
use tempfile::TempDir;

const NOW: u64 = 1_800_000_000;
const DAY: u64 = 86_400;

fn control(folder: &TempDir) -> Control {
    Control::open(&folder.path().join("control.db"), &Limits::default(), &Reserve::none()).unwrap()
}

fn make(connection: &Connection, id: &str) -> Tenant {
    let tenant = Tenant {
        id: id.parse().unwrap(),
        account: Account::new(0),
        name: id.to_owned(),
        created: 1,
        policy: Policy::default(),
        succeeds: false,
    };
    tenant_store::insert(connection, tenant).unwrap()
}

fn spend(connection: &Connection, account: Account, day: u64, key: &str, tokens: i64) {
    connection
        .execute(
            "INSERT INTO rollups VALUES (?1, ?2, 'acme', ?3, 'chat', 'm', '', '', 'standard', 1, 1, ?4, 0, 0, 0, 0, 0, 0, 2, 0)",
            (account.number().cast_signed(), day.cast_signed(), key, tokens),
        )
        .unwrap();
}

fn day(day: u64, key: Option<&str>, tokens: u64, nanos: u64) -> DaySpent {
    DaySpent {
        day,
        key: key.map(|key| key.parse().unwrap()),
        tokens,
        nanos,
    }
}

fn key(id: &str, hash: u8, root: Option<&str>) -> MovedKey {
    MovedKey {
        id: id.parse().unwrap(),
        name: id.to_owned(),
        prefix: "riad_sk_14910_abc".to_owned(),
        hash: [hash; 32].into(),
        role: Grants::default().role,
        scopes: Grants::default().scopes,
        budget: riad_core::policy::Budget::default(),
        created: 5,
        expires: Some(NOW),
        root: root.map(|root| root.parse().unwrap()),
    }
}

#[test]
fn old_days_are_one_sum_and_rotated_keys_count_for_the_first() {
    let folder = tempfile::tempdir().unwrap();
    let control = control(&folder);
    let today = NOW - NOW % DAY;
    control
        .database
        .write(|connection| {
            let tenant = make(connection, "acme");
            for moved in [key("key_1", 1, None), key("key_2", 2, Some("key_1"))] {
                insert_key(connection, &tenant.id, moved)?;
            }
            let account = tenant.account;
            spend(connection, account, today, "key_2", 5);
            spend(connection, account, today, "key_1", 7);
            spend(connection, account, today, "", 1);
            spend(connection, account, today - 50 * DAY, "key_1", 11);
            spend(connection, account, today - 60 * DAY, "key_1", 13);
            // And from a former cell.
            spent::write(
                connection,
                account,
                &[day(today, Some("key_1"), 100, 50), day(0, Some("key_1"), 1000, 0)],
            )?;
            let found = spent::read(connection, account, Timestamp::from_seconds(NOW))?;
            assert_eq!(
                found,
                [
                    day(0, Some("key_1"), 1024, 4),
                    day(today, None, 1, 2),
                    day(today, Some("key_1"), 112, 54),
                ]
            );
            Ok(())
        })
        .unwrap();
}

#[test]
fn a_later_sum_replaces_the_first_and_says_by_how_much() {
    let folder = tempfile::tempdir().unwrap();
    let control = control(&folder);
    control
        .database
        .write(|connection| {
            let account = make(connection, "acme").account;
            spent::write(
                connection,
                account,
                &[day(0, None, 5, 5), day(DAY, Some("key_1"), 7, 0)],
            )?;
            let later = [
                day(0, None, 5, 5),
                day(DAY, Some("key_1"), 9, 1),
                day(2 * DAY, None, 3, 0),
            ];
            let more = spent::replace(connection, account, &later)?;
            assert_eq!(more, [day(DAY, Some("key_1"), 2, 1), day(2 * DAY, None, 3, 0)]);
            assert_eq!(spent::replace(connection, account, &later)?, []);
            Ok(())
        })
        .unwrap();
}

#[test]
fn keys_go_with_their_hashes_and_the_key_that_they_came_from() {
    let folder = tempfile::tempdir().unwrap();
    let control = control(&folder);
    control
        .database
        .write(|connection| {
            let tenant = make(connection, "acme");
            let moved = [key("key_1", 1, None), key("key_2", 2, Some("key_0"))];
            for one in &moved {
                insert_key(connection, &tenant.id, one.clone())?;
            }
            assert_eq!(keys(connection, &tenant.id)?, moved);
            connection.execute("UPDATE keys SET revoked = 1 WHERE id = 'key_1'", [])?;
            assert_eq!(keys(connection, &tenant.id)?, moved[1..]);
            Ok(())
        })
        .unwrap();
}
