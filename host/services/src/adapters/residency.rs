//! Which of a tenant's adapters the engine keeps in memory: pins within what the operator allows, and uploads ahead of their first request.
//! Not here: what is evicted (`engine`).

use crate::shared::Shared;
use riad_core::{Account, AdapterAlias, Digest, Error, ErrorKind, Result, TenantPass, adapter::Adapter, ports::Room};

/// Tells the engine an account's pins before the first of its adapters is used.
pub(crate) async fn tell_once(shared: &Shared, pass: &TenantPass, room: &Room) -> Result<()> {
    match shared.pinned_accounts.contains(pass.account()) {
        true => Ok(()),
        false => tell(shared, pass, room).await,
    }
}

/// Nothing of the account is pinned in the engine until its next request for an adapter tells it anew.
pub(crate) fn forget(shared: &Shared, account: Account) {
    shared.pinned_accounts.remove(account);
    shared.engine.pin_adapters(account, Vec::new());
}

/// After a change of a room's adapters, which is done by now: what fails here costs time and nothing else, so it is logged. Reads the
/// adapter of `alias` in the background.
pub(super) async fn update(shared: &Shared, pass: &TenantPass, room: &Room, alias: Option<&AdapterAlias>) {
    if let Err(error) = tell(shared, pass, room).await {
        tracing::warn!(%error, "the engine does not know an account's pinned adapters");
    }
    let Some(alias) = alias else { return };
    match room.adapters.resolve(alias).await {
        Ok(source) => shared.adapter_loads.preload(&shared.engine, source, pass.account()),
        Err(error) => tracing::warn!(%error, "an adapter was not read ahead of its first request"),
    }
}

async fn tell(shared: &Shared, pass: &TenantPass, room: &Room) -> Result<()> {
    let told = tell_until_same(shared, pass, room).await;
    match told {
        Ok(()) => shared.pinned_accounts.insert(pass.account()),
        // Also when the tenant was deleted in between.
        Err(_) => forget(shared, pass.account()),
    }
    told
}

/// Of two changes at the same time, the one that tells last may have read first, so it reads again.
async fn tell_until_same(shared: &Shared, pass: &TenantPass, room: &Room) -> Result<()> {
    let allowance = allowance(shared, pass);
    let mut told = None;
    loop {
        let pins = pins(&room.adapters.list().await?, allowance);
        if told.as_ref() == Some(&pins) {
            return Ok(());
        }
        shared.engine.pin_adapters(pass.account(), pins.clone());
        told = Some(pins);
    }
}

fn allowance(shared: &Shared, pass: &TenantPass) -> u64 {
    let own = pass.policy().limits.pinned_adapter_bytes;
    own.unwrap_or(shared.limits.pinned_adapter_bytes)
}

/// The pinned generations, by alias up to the allowance, which the operator may have lowered or an upload may have passed since.
fn pins(adapters: &[Adapter], allowance: u64) -> Vec<Digest> {
    let mut left = allowance;
    let within = |adapter: &&Adapter| match left.checked_sub(adapter.info.bytes) {
        Some(rest) => {
            left = rest;
            true
        }
        None => false,
    };
    let pinned = adapters.iter().filter(|adapter| adapter.pinned);
    pinned.filter(within).map(|adapter| adapter.generation).collect()
}

pub(super) fn check_allowance(
    shared: &Shared,
    pass: &TenantPass,
    adapters: &[Adapter],
    alias: &AdapterAlias,
) -> Result<()> {
    let allowance = allowance(shared, pass);
    let wanted = adapters
        .iter()
        .filter(|adapter| adapter.pinned || adapter.alias == *alias)
        .fold(0_u64, |sum, adapter| sum.saturating_add(adapter.info.bytes));
    // An alias that is not there is answered with 404.
    if wanted <= allowance || !adapters.iter().any(|adapter| adapter.alias == *alias) {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::Forbidden,
        format!(
            "with \"{alias}\" the pinned adapters would have {wanted} bytes, and {allowance} are allowed; unpin others, or ask the operator to \
             raise limits.pinned_adapter_bytes"
        ),
    )
    .with_param("pinned"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use riad_core::adapter::AdapterInfo;

    fn adapter(alias: &str, bytes: u64, pinned: bool) -> Adapter {
        Adapter {
            alias: alias.parse().unwrap(),
            generation: Digest::of(alias.as_bytes()),
            info: AdapterInfo {
                rank: 1,
                bytes,
                tensors: 2,
            },
            created: 0,
            pinned,
        }
    }

    #[test]
    fn pins_count_up_to_the_allowance() {
        let adapters = [
            adapter("a", 10, true),
            adapter("b", 10, false),
            adapter("c", 25, true),
            adapter("d", 10, true),
        ];
        let names = |allowance| {
            let found = pins(&adapters, allowance);
            let name = |digest: &Digest| {
                adapters
                    .iter()
                    .find(|a| a.generation == *digest)
                    .unwrap()
                    .alias
                    .to_string()
            };
            found.iter().map(name).collect::<Vec<_>>()
        };
        assert_eq!(names(0), [""; 0]);
        assert_eq!(names(44), ["a", "c"]);
        assert_eq!(names(45), ["a", "c", "d"]);
        // The one that does not fit is left out, not all that follow.
        assert_eq!(names(20), ["a", "d"]);
    }
}
