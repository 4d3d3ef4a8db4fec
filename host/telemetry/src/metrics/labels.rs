//! Label sets. Every label has a bounded number of values: kinds and outcomes are closed lists, names from outside are limited.

use riad_core::{
    TenantId,
    ledger::{Kind, Outcome},
    ports::RequestRecord,
};
use std::collections::{HashMap, HashSet};

/// Names of labels and their values. A label without a value is left out, which means the same to Prometheus.
pub(super) type Labels = Vec<(&'static str, String)>;

/// Replaces every name beyond a limit. A tenant or adapter of this name is counted with them.
const OTHER: &str = "other";
/// `gen_ai.provider.name`: a custom value, since the conventions list only services.
const PROVIDER: &str = "riad";
/// The configuration names few models. The limit guards against mistakes elsewhere.
const MODELS_MAX: usize = 64;
/// Tenants name adapters. A name counts once per tenant if there is a label for tenants.
const ADAPTERS_MAX: usize = 256;
/// Keeps one tenant from using up [`ADAPTERS_MAX`].
const ADAPTERS_PER_TENANT_MAX: usize = 16;

#[derive(Debug, Clone, Copy, Default)]
pub struct MetricsConfig {
    /// Adds the label `tenant` to metrics of requests.
    pub tenant_label: bool,
    /// Distinct values of `tenant`. The first ones keep their names until the process ends; the others are counted as `other`.
    pub max_tenants: usize,
}

/// The label values seen so far. The first ones keep their names until the process ends.
pub(super) struct KnownNames {
    config: MetricsConfig,
    tenants: HashSet<TenantId>,
    models: HashSet<String>,
    /// With the tenant's label, if there is one.
    adapters: HashSet<(Option<String>, String)>,
    /// How many of `adapters` each tenant has added.
    added: HashMap<TenantId, usize>,
}

impl KnownNames {
    pub(super) fn new(config: MetricsConfig) -> Self {
        Self {
            config,
            tenants: HashSet::new(),
            models: HashSet::new(),
            adapters: HashSet::new(),
            added: HashMap::new(),
        }
    }

    pub(super) fn labels_of(&mut self, record: &RequestRecord) -> RequestLabels {
        let tenant = self.config.tenant_label.then(|| self.tenant(&record.tenant));
        let adapter = record
            .adapter
            .as_ref()
            .map(|alias| self.adapter(&record.tenant, tenant.clone(), alias.as_str()));
        RequestLabels {
            kind: record.kind,
            model: self.model(&record.model),
            adapter,
            tenant,
        }
    }

    /// Of calls of a stage. Plugins have no label: their names and versions are the tenants'.
    pub(super) fn labels_of_guest(&mut self, tenant: &TenantId, stage: &str) -> Labels {
        let tenant = self.config.tenant_label.then(|| self.tenant(tenant));
        labels([("stage", Some(stage.to_owned())), ("tenant", tenant)])
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
            let added = self.added.get(tenant).copied().unwrap_or(0);
            if self.adapters.len() >= ADAPTERS_MAX || added >= ADAPTERS_PER_TENANT_MAX {
                return OTHER.to_owned();
            }
            self.added.insert(tenant.clone(), added + 1);
            self.adapters.insert(named);
        }
        alias.to_owned()
    }
}

/// The label values of one request.
pub(super) struct RequestLabels {
    kind: Kind,
    model: Option<String>,
    adapter: Option<String>,
    tenant: Option<String>,
}

impl RequestLabels {
    pub(super) fn kind(&self) -> Labels {
        labels([
            ("kind", Some(self.kind.as_str().to_owned())),
            ("tenant", self.tenant.clone()),
        ])
    }

    pub(super) fn request(&self, outcome: Outcome) -> Labels {
        self.own("outcome", outcome.as_str())
    }

    pub(super) fn tokens(&self, kind: &str) -> Labels {
        self.own("type", kind)
    }

    fn own(&self, label: &'static str, value: &str) -> Labels {
        labels([
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
        // As in the request. The conventions: a fine-tuned model has "a more specific name than the base model".
        let requested = match (&self.model, &self.adapter) {
            (Some(model), Some(adapter)) => Some(format!("{model}:{adapter}")),
            (model, _) => model.clone(),
        };
        labels([
            ("gen_ai_operation_name", Some(operation.to_owned())),
            ("gen_ai_provider_name", Some(PROVIDER.to_owned())),
            ("gen_ai_request_model", requested),
            ("gen_ai_response_model", self.model.clone()),
            (label, value.map(str::to_owned)),
            ("tenant", self.tenant.clone()),
        ])
    }
}

fn labels<const N: usize>(labels: [(&'static str, Option<String>); N]) -> Labels {
    labels
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?)))
        .collect()
}
