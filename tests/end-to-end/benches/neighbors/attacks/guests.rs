//! Plugins that misbehave: each request runs one.

use super::Attack;
use crate::attacker::Attacker;
use futures::future::BoxFuture;
use reqwest::Method;
use riad_end_to_end::files;
use serde_json::json;

const CLIENTS: usize = 32;

/// SQL that takes long for one statement, and memory or time within a single function where no deadline looks.
const LONG_VALUES: &str = "SELECT count(*) AS n FROM (WITH RECURSIVE s(n, t) AS (SELECT 1, hex(zeroblob(400000)) UNION ALL \
    SELECT n + 1, t FROM s WHERE n < 1000) SELECT n FROM s WHERE t LIKE '%a%b%c%d%e%f%g%')";
const GROUPED_VALUES: &str = "WITH RECURSIVE s(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s WHERE n < 100000) \
    SELECT length(json_group_array(hex(zeroblob(50000)))) AS n FROM s";

pub fn attacks() -> Vec<Attack> {
    vec![
        guest("guest-loops", "a stage that never returns", |attacker| {
            deploy(attacker, files::LOOP)
        }),
        guest("guest-memory", "a stage that takes all memory it gets", |attacker| {
            deploy(attacker, files::MEMORY_BOMB)
        }),
        guest("guest-recursion", "a stage that takes all stack it gets", |attacker| {
            deploy(attacker, files::RECURSION)
        }),
        guest(
            "guest-output",
            "a stage that returns as much as its memory allows",
            |attacker| deploy(attacker, files::BIG_OUTPUT),
        ),
        guest("guest-sql", "a stage whose statement never ends", |attacker| {
            deploy(attacker, files::ENDLESS_SQL)
        }),
        guest(
            "guest-sql-patterns",
            "a stage that matches long values with long patterns",
            |attacker| state(attacker, LONG_VALUES),
        ),
        guest(
            "guest-sql-groups",
            "a stage that collects 10 GB of values into one",
            |attacker| state(attacker, GROUPED_VALUES),
        ),
        Attack {
            strike: |attacker, number| {
                Box::pin(async move {
                    attacker
                        .chat(&format!("Question {number}?"), json!({"max_tokens": 8}))
                        .await;
                })
            },
            ..guest(
                "guest-traps",
                "a filter that traps at the second piece of each answer",
                |attacker| Box::pin(async move { attacker.must_deploy(files::TRAP_IN_STREAM, "postprocessing").await }),
            )
        },
    ]
}

fn guest(name: &'static str, about: &'static str, prepare: fn(Attacker) -> BoxFuture<'static, ()>) -> Attack {
    Attack {
        name,
        about,
        clients: CLIENTS,
        shows: &["422"],
        prepare,
        strike: |attacker, _| {
            Box::pin(async move {
                attacker.chat("Hello", json!({"max_tokens": 1})).await;
            })
        },
    }
}

fn deploy(attacker: Attacker, component: &'static [u8]) -> BoxFuture<'static, ()> {
    Box::pin(async move { attacker.must_deploy(component, "prompting").await })
}

/// A stage that runs this statement.
fn state(attacker: Attacker, statement: &'static str) -> BoxFuture<'static, ()> {
    Box::pin(async move {
        attacker.must_deploy(files::STATEMENT, "prompting").await;
        let settings = json!({"statement": statement});
        attacker
            .must(attacker.request(Method::PUT, "/v1/settings").json(&settings))
            .await;
    })
}
