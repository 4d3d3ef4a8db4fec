//! A thousand tenants with a thousand plugins, of which the server keeps fewer in memory: what a request takes, and how many find their
//! plugin in memory. The plugins differ in their bytes and not in what they do, so that only loading is compared.

use crate::{
    components::Component,
    host::{Host, Parts, call_once},
    loading, table,
};
use riad_core::{plugin::Stage, ports::PipelinePlan};
use std::fs;

const TENANTS: usize = 1_000;
/// Tenants whose plugins fit into the memory of every setting.
const FEW: usize = 50;
const REQUESTS: usize = 3_000;

pub async fn report() {
    let folder = tempfile::tempdir().unwrap();
    let echo = Component::guest("echo");
    let mut plans = Vec::with_capacity(TENANTS);
    {
        let host = Host::compiling_here(folder.path());
        for number in 0..TENANTS {
            let component = echo.variant(u32::try_from(number).unwrap());
            host.compile(number as u64, &component).await;
            plans.push(component.plan(number as u64, &[Stage::Retrieval]));
        }
    }
    let host = Host::at(folder.path());
    // Whatever the first request fills, beside its component.
    ask(&host, &plans, [0]).await;
    let before = resident();
    ask(&host, &plans, 1..FEW).await;
    let each = resident().saturating_sub(before) / (FEW as u64 - 1);
    let mut rows = Vec::new();
    for (name, requests) in [
        (format!("{FEW} tenants in rotation"), rotation(FEW).collect::<Vec<_>>()),
        (format!("{TENANTS} tenants in rotation"), rotation(TENANTS).collect()),
        (
            format!("{TENANTS} tenants, the n-th most active with 1/n of the requests of the first"),
            by_rank(TENANTS).collect(),
        ),
    ] {
        // Once, so that memory holds what it will hold.
        ask(&host, &plans, requests.iter().copied()).await;
        let loads = host.loads();
        let parts = ask(&host, &plans, requests).await;
        let (memory, all) = (host.loads().memory - loads.memory, host.loads().all() - loads.all());
        rows.push(vec![
            name,
            table::time(parts.answered.median()),
            table::time(parts.answered.p99()),
            format!("{:.0} %", 100.0 * memory as f64 / all as f64),
            table::bytes(resident()),
        ]);
    }
    let compiled = loading::size(folder.path()) / TENANTS as u64;
    table::print(
        &format!(
            "A thousand plugins of {}, compiled {}; each that is in memory adds {} to the process",
            table::bytes(echo.bytes.len() as u64),
            table::bytes(compiled),
            table::bytes(each),
        ),
        &["requests of", "median", "p99", "found in memory", "process"],
        &rows,
    );
}

async fn ask(host: &Host, plans: &[PipelinePlan], tenants: impl IntoIterator<Item = usize>) -> Parts {
    let mut parts = Parts::default();
    for tenant in tenants {
        host.time(&plans[tenant], &mut parts, async |run| {
            call_once(run, &[Stage::Retrieval]).await;
        })
        .await;
    }
    parts
}

fn rotation(tenants: usize) -> impl Iterator<Item = usize> {
    (0..tenants).cycle().take(REQUESTS)
}

/// Zipf's law with exponent 1, the same requests each time.
fn by_rank(tenants: usize) -> impl Iterator<Item = usize> {
    let mut below = Vec::with_capacity(tenants);
    let mut sum = 0.0;
    for rank in 1..=tenants {
        sum += 1.0 / rank as f64;
        below.push(sum);
    }
    let mut random = 1_u64;
    (0..REQUESTS).map(move |_| {
        // Knuth's constants for a linear congruential generator (MMIX).
        random = random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        let at = (random >> 11) as f64 / (1_u64 << 53) as f64 * sum;
        below.partition_point(|below| *below <= at).min(tenants - 1)
    })
}

/// Bytes of this process in memory.
fn resident() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    let kilobytes: u64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    kilobytes * 1024
}
