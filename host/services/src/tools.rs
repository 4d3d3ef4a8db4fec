//! The tools of a room's plugin, for clients that run the model's calls themselves. Not here: the model's own loop (`chat/tool_rounds`).

use crate::{
    canary, capabilities::capabilities, generations::Generations, metering::RequestMeter, pipeline, shared::Shared,
};
use riad_core::{
    Error, Result, TenantPass,
    chat::Tool,
    grants::{Access, Scope},
    ledger::{Kind, Purpose},
    plugin::{Stage, ToolOutcome},
    ports::PipelineRun,
    price::Usage,
};
use serde_json::{Map, Value};
use std::{sync::Arc, time::Duration};
use tokio::time::{Instant, error::Elapsed, timeout_at};

pub struct ToolService(pub(crate) Arc<Shared>);

/// A request whose guests run. `run` is `None` where no plugin serves the stage.
struct Serving {
    run: Option<Arc<dyn PipelineRun>>,
    meter: RequestMeter,
    deadline: Instant,
}

impl ToolService {
    /// The tools that the room's plugin has; none where no plugin serves the stage. Its guests are billed as a request's.
    ///
    /// # Errors
    /// `PluginFailed` and `PluginLimit` for the plugin's faults; `Forbidden`, `Busy` and `QuotaExceeded` as for a chat.
    pub async fn list(&self, pass: &TenantPass) -> Result<Vec<Tool>> {
        pass.require(Scope::Chat, Access::Read)?;
        let serving = self.begin(pass).await?;
        let listing = async {
            match &serving.run {
                Some(run) => run.offer_tools().await,
                None => Ok(Vec::new()),
            }
        };
        let listed = timeout_at(serving.deadline, listing).await;
        self.settle(&serving, listed).await
    }

    /// Runs a tool in the room.
    ///
    /// # Errors
    /// `NotFound` for a tool that the room does not have; else as [`Self::list`].
    pub async fn call(&self, pass: &TenantPass, name: &str, arguments: &Map<String, Value>) -> Result<ToolOutcome> {
        pass.require(Scope::Chat, Access::Write)?;
        let arguments = serde_json::to_string(arguments).map_err(Error::internal)?;
        let serving = self.begin(pass).await?;
        let calling = async {
            let missing = || Error::not_found(format!("this room has no tool {name:?}; GET /v1/tools lists them"));
            let run = serving.run.as_ref().ok_or_else(missing)?;
            let tools = run.offer_tools().await?;
            match tools.iter().any(|tool| tool.name == name) {
                true => run.call_tool(name, &arguments).await,
                false => Err(missing()),
            }
        };
        let called = timeout_at(serving.deadline, calling).await;
        self.settle(&serving, called).await
    }

    /// Admits a request that runs the room's tools and nothing else.
    async fn begin(&self, pass: &TenantPass) -> Result<Serving> {
        let shared = &self.0;
        let purpose = Purpose {
            kind: Kind::Tool,
            model: shared.engine.profile().id.clone(),
            adapter: None,
            plugin: String::new(),
        };
        let meter = shared.metering.admit(pass, purpose).await?;
        let deadline = Instant::now() + Duration::from_millis(shared.limits.request_ms);
        let started = timeout_at(deadline, self.start(pass, &meter, deadline)).await;
        let run = meter.record_result(started.unwrap_or_else(|_| Err(shared.deadline_exceeded())))?;
        meter.record_usage(|usage| usage.requests = 1);
        Ok(Serving { run, meter, deadline })
    }

    async fn settle<T>(&self, serving: &Serving, served: std::result::Result<Result<T>, Elapsed>) -> Result<T> {
        let served = served.unwrap_or_else(|_| Err(self.0.deadline_exceeded()));
        let served = serving.meter.record_result(served)?;
        serving.meter.settle().await?;
        Ok(served)
    }

    async fn start(
        &self,
        pass: &TenantPass,
        meter: &RequestMeter,
        deadline: Instant,
    ) -> Result<Option<Arc<dyn PipelineRun>>> {
        let shared = &self.0;
        meter
            .hold(Usage {
                requests: 1,
                fuel: shared.limits.guest_fuel,
                ..Usage::default()
            })
            .await?;
        let room = shared.rooms.open(pass).await?;
        let serving = pipeline::plan(shared, pass, &room, meter, &[Stage::Tools], &[Stage::Tools]).await?;
        let plan = serving.plan;
        if plan.stages.is_empty() {
            return Ok(None);
        }
        meter.set_plugins(serving.names);
        meter.update_served_by(|served| served.plugins = plan.digests());
        let generations = Generations::of_base(shared, pass, deadline);
        let started = shared
            .sandbox
            .start(&plan, capabilities(&generations, &room, meter.guest_meter(), None))
            .await;
        let run: Arc<dyn PipelineRun> = canary::record_start(serving.canary.as_ref(), started)?.into();
        meter.attach_guests(Arc::clone(&run) as _);
        Ok(Some(run))
    }
}
