//! Label sets, bounded in every dimension: kinds and outcomes are closed lists, names that come from outside are counted.
//! Not here: what is counted.

use super::MetricsConfig;
use riad_core::{
    TenantId,
    ledger::{Kind, Outcome},
    ports::RequestRecord,
};
use std::collections::{HashMap, HashSet};

/// Names of labels and their values. A label that has no value is left out: Prometheus reads both alike.
pub(super) type Labels = Vec<(&'static str, String)>;

/// Stands for every name beyond a bound. A tenant or an adapter that is called so is counted with them.
const OTHER: &str = "other";
/// `gen_ai.provider.name`, a custom value: the conventions' list has services, and this is a server.
const PROVIDER: &str = "riad";
/// Models come from the configuration and are few. A bound all the same, so that no mistake elsewhere makes series.
const MODELS_MAX: usize = 64;
/// Adapters are named by tenants: that many in all, per tenant if there is a label for tenants.
const ADAPTERS_MAX: usize = 256;
/// So that no tenant uses up [`ADAPTERS_MAX`].
const ADAPTERS_OF_A_TENANT_MAX: usize = 16;

/// Names that have been seen: the first ones keep theirs until the process ends.
pub(super) struct Names {
    config: MetricsConfig,
    tenants: HashSet<TenantId>,
    models: HashSet<String>,
    /// With the tenant's label, if there is one.
    adapters: HashSet<(Option<String>, String)>,
    /// How many each tenant has brought into `adapters`.
    brought: HashMap<TenantId, usize>,
}

impl Names {
    pub(super) fn new(config: MetricsConfig) -> Self {
        Self {
            config,
            tenants: HashSet::new(),
            models: HashSet::new(),
            adapters: HashSet::new(),
            brought: HashMap::new(),
        }
    }

    pub(super) fn of(&mut self, seen: &RequestRecord) -> Named {
        let tenant = self.config.tenant_label.then(|| self.tenant(&seen.tenant));
        let adapter = seen
            .adapter
            .as_ref()
            .map(|alias| self.adapter(&seen.tenant, tenant.clone(), alias.as_str()));
        Named {
            kind: seen.kind,
            model: self.model(&seen.model),
            adapter,
            tenant,
        }
    }

    fn tenant(&mut self, tenant: &TenantId) -> String {
        if !self.tenants.contains(tenant) {
            if self.tenants.len() >= self.config.max_tenants {
                return OTHER.to_owned();
            }
            self.tenants.insert(tenant.clone());
        }
        tenant.as_str().to_owned()
    }

    fn model(&mut self, model: &str) -> Option<String> {
        if model.is_empty() {
            return None;
        }
        if !self.models.contains(model) {
            if self.models.len() >= MODELS_MAX {
                return Some(OTHER.to_owned());
            }
            self.models.insert(model.to_owned());
        }
        Some(model.to_owned())
    }

    fn adapter(&mut self, tenant: &TenantId, label: Option<String>, alias: &str) -> String {
        let named = (label, alias.to_owned());
        if !self.adapters.contains(&named) {
            let brought = self.brought.get(tenant).copied().unwrap_or(0);
            if self.adapters.len() >= ADAPTERS_MAX || brought >= ADAPTERS_OF_A_TENANT_MAX {
                return OTHER.to_owned();
            }
            self.brought.insert(tenant.clone(), brought + 1);
            self.adapters.insert(named);
        }
        alias.to_owned()
    }
}

/// What a request's series are called.
pub(super) struct Named {
    kind: Kind,
    model: Option<String>,
    adapter: Option<String>,
    tenant: Option<String>,
}

impl Named {
    pub(super) fn kind(&self) -> Labels {
        set([
            ("kind", Some(self.kind.as_str().to_owned())),
            ("tenant", self.tenant.clone()),
        ])
    }

    pub(super) fn request(&self, outcome: Outcome) -> Labels {
        self.ours("outcome", outcome.as_str())
    }

    pub(super) fn tokens(&self, kind: &str) -> Labels {
        self.ours("type", kind)
    }

    fn ours(&self, label: &'static str, value: &str) -> Labels {
        set([
            ("kind", Some(self.kind.as_str().to_owned())),
            ("model", self.model.clone()),
            ("adapter", self.adapter.clone()),
            (label, Some(value.to_owned())),
            ("tenant", self.tenant.clone()),
        ])
    }

    pub(super) fn operation(&self, operation: &str, error: Option<&str>) -> Labels {
        self.conventional(operation, "error_type", error)
    }

    pub(super) fn usage(&self, operation: &str, kind: &str) -> Labels {
        self.conventional(operation, "gen_ai_token_type", Some(kind))
    }

    fn conventional(&self, operation: &str, label: &'static str, value: Option<&str>) -> Labels {
        // As the client asks for it: a fine-tuned model has "a more specific name than the base model", say the conventions.
        let asked = match (&self.model, &self.adapter) {
            (Some(model), Some(adapter)) => Some(format!("{model}:{adapter}")),
            (model, _) => model.clone(),
        };
        set([
            ("gen_ai_operation_name", Some(operation.to_owned())),
            ("gen_ai_provider_name", Some(PROVIDER.to_owned())),
            ("gen_ai_request_model", asked),
            ("gen_ai_response_model", self.model.clone()),
            (label, value.map(str::to_owned)),
            ("tenant", self.tenant.clone()),
        ])
    }
}

fn set<const N: usize>(labels: [(&'static str, Option<String>); N]) -> Labels {
    labels
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?)))
        .collect()
}
