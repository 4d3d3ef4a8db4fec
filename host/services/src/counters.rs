//! A meter that counts in memory and refuses nobody. Not here: budgets and the ledger.

use parking_lot::Mutex;
use riad_core::{
    Result, TenantId, TenantPass,
    ports::{Meter, Reservation, Used},
};
use std::{collections::HashMap, sync::Arc};

/// What each tenant has used since the process began.
#[derive(Clone, Default)]
pub struct Counters(Arc<Mutex<HashMap<TenantId, Used>>>);

impl Meter for Counters {
    fn reserve(&self, pass: &TenantPass, _at_most: Used) -> Result<Reservation> {
        let (counters, tenant) = (self.clone(), pass.tenant().clone());
        Ok(Reservation::new(move |used| counters.add(tenant, used)))
    }

    fn used(&self, pass: &TenantPass) -> Used {
        self.0.lock().get(pass.tenant()).copied().unwrap_or_default()
    }
}

impl Counters {
    fn add(&self, tenant: TenantId, used: Used) {
        let mut counters = self.0.lock();
        let sum = counters.entry(tenant).or_default();
        *sum = Used {
            requests: sum.requests.saturating_add(used.requests),
            prompt_tokens: sum.prompt_tokens.saturating_add(used.prompt_tokens),
            completion_tokens: sum.completion_tokens.saturating_add(used.completion_tokens),
            embedded_tokens: sum.embedded_tokens.saturating_add(used.embedded_tokens),
            fuel: sum.fuel.saturating_add(used.fuel),
        };
    }
}
