//! `/v1/pipeline`.

use riad_core::{
    VectorStoreId, pipeline,
    plugin::{Stage, StageChoice},
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use utoipa::ToSchema;

#[derive(Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Pipeline {
    pub stages: Stages,
    /// Ids of vector stores that chats are answered from in place of the room's documents, at most 8. A request with the `file_search` tool searches
    /// the stores that it names. If one of these is deleted or expires, chats are answered with 409 `conflict` until the pipeline is changed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(value_type = Vec<String>)]
    pub vector_store_ids: Vec<VectorStoreId>,
    /// Serves a share of the requests instead of `stages`. A pipeline that is put without one ends it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub canary: Option<Canary>,
    /// The canary that the server ended last, if it has ended one. In a request: the one that the client has read of, so send it back as it was
    /// read. If the server has ended another since, the answer is 409 `conflict`: read again. A request without it is answered so only if it
    /// names what the ended canary had, for all requests or as a canary, for a stage that something else serves; a request with it may, and
    /// gives the canary another chance. Its `ended` says which it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_canary: Option<EndedCanary>,
}

/// Each stage is `standard` or `name@sha256:…`; one that is not given is `standard`. Documents pass `extraction`, if they come as files, and
/// `chunking` when they are added; the others serve chats. The tools, which the model may call while it answers, are `none` or
/// `name@sha256:…`; if they are not given, `none`.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Stages {
    #[schema(value_type = String, example = "standard")]
    pub extraction: StageChoice,
    #[schema(value_type = String, example = "standard")]
    pub chunking: StageChoice,
    #[schema(value_type = String, example = "standard")]
    pub retrieval: StageChoice,
    #[schema(value_type = String, example = "standard")]
    pub prompting: StageChoice,
    #[schema(value_type = String, example = "standard")]
    pub postprocessing: StageChoice,
    #[schema(value_type = String, example = "none")]
    pub tools: StageChoice,
}

/// A request's id decides whether the canary serves it, with all of its stages; the receipt names what served. The server ends the canary
/// by itself when plugins have failed a share of its requests that is larger than the others' by more than 20 percentage points, after at
/// least 8 requests of each side. After 16 of the canary's it no longer waits for the others', of which a canary with a large share leaves
/// few: those that are missing to 8 count as if they had not failed, so that of a canary that serves all requests a fifth may fail. Whenever the canary has 64 requests, both counts are halved, so that the latest weigh the most. They are in
/// memory: after a restart they begin again.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Canary {
    /// Of the room's requests.
    #[schema(minimum = 1, maximum = 100)]
    pub percent: u32,
    pub stages: CanaryStages,
}

/// The stages that the canary has of its own, as in a pipeline; at least one.
#[derive(Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct CanaryStages {
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, example = "standard")]
    pub extraction: Option<StageChoice>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, example = "standard")]
    pub chunking: Option<StageChoice>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, example = "standard")]
    pub retrieval: Option<StageChoice>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, example = "standard")]
    pub prompting: Option<StageChoice>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, example = "standard")]
    pub postprocessing: Option<StageChoice>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, example = "none")]
    pub tools: Option<StageChoice>,
}

/// The counts are those that it was ended by, halved whenever the canary had 64 requests. Requests that ended for other reasons than a plugin, such as a client that
/// went away, are not among them.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
pub struct EndedCanary {
    pub stages: CanaryStages,
    /// Requests that the canary served.
    pub requests: u32,
    /// Those of them that failed because of a plugin.
    pub failures: u32,
    /// Requests that the canary did not serve.
    pub stable_requests: u32,
    pub stable_failures: u32,
    /// Why it was ended, for people.
    pub reason: String,
    /// Seconds since 1970-01-01 UTC. No two of a room have the same.
    pub ended: u64,
}

impl Default for Stages {
    fn default() -> Self {
        Pipeline::from(pipeline::Pipeline::default()).stages
    }
}

impl From<pipeline::Pipeline> for Pipeline {
    fn from(pipeline: pipeline::Pipeline) -> Self {
        Self {
            stages: Stages {
                extraction: pipeline.choice(Stage::Extraction),
                chunking: pipeline.choice(Stage::Chunking),
                retrieval: pipeline.choice(Stage::Retrieval),
                prompting: pipeline.choice(Stage::Prompting),
                postprocessing: pipeline.choice(Stage::Postprocessing),
                tools: pipeline.choice(Stage::Tools),
            },
            vector_store_ids: pipeline.vector_stores,
            canary: pipeline.canary.map(|canary| Canary {
                percent: canary.percent,
                stages: canary.stages.into(),
            }),
            last_canary: pipeline.last_canary.map(EndedCanary::from),
        }
    }
}

impl From<Pipeline> for pipeline::Pipeline {
    fn from(body: Pipeline) -> Self {
        Self {
            stages: [
                (Stage::Extraction, body.stages.extraction),
                (Stage::Chunking, body.stages.chunking),
                (Stage::Retrieval, body.stages.retrieval),
                (Stage::Prompting, body.stages.prompting),
                (Stage::Postprocessing, body.stages.postprocessing),
                (Stage::Tools, body.stages.tools),
            ]
            .into(),
            vector_stores: body.vector_store_ids,
            canary: body.canary.map(|canary| pipeline::Canary {
                percent: canary.percent,
                stages: canary.stages.into(),
            }),
            last_canary: body.last_canary.map(pipeline::EndedCanary::from),
        }
    }
}

impl From<BTreeMap<Stage, StageChoice>> for CanaryStages {
    fn from(mut stages: BTreeMap<Stage, StageChoice>) -> Self {
        Self {
            extraction: stages.remove(&Stage::Extraction),
            chunking: stages.remove(&Stage::Chunking),
            retrieval: stages.remove(&Stage::Retrieval),
            prompting: stages.remove(&Stage::Prompting),
            postprocessing: stages.remove(&Stage::Postprocessing),
            tools: stages.remove(&Stage::Tools),
        }
    }
}

impl From<CanaryStages> for BTreeMap<Stage, StageChoice> {
    fn from(stages: CanaryStages) -> Self {
        let choices = [
            (Stage::Extraction, stages.extraction),
            (Stage::Chunking, stages.chunking),
            (Stage::Retrieval, stages.retrieval),
            (Stage::Prompting, stages.prompting),
            (Stage::Postprocessing, stages.postprocessing),
            (Stage::Tools, stages.tools),
        ];
        let named = choices.into_iter().filter_map(|(stage, choice)| Some((stage, choice?)));
        named.collect()
    }
}

impl From<pipeline::EndedCanary> for EndedCanary {
    fn from(ended: pipeline::EndedCanary) -> Self {
        Self {
            stages: ended.stages.into(),
            requests: ended.requests,
            failures: ended.failures,
            stable_requests: ended.stable_requests,
            stable_failures: ended.stable_failures,
            reason: ended.reason,
            ended: ended.ended,
        }
    }
}

impl From<EndedCanary> for pipeline::EndedCanary {
    fn from(ended: EndedCanary) -> Self {
        Self {
            stages: ended.stages.into(),
            requests: ended.requests,
            failures: ended.failures,
            stable_requests: ended.stable_requests,
            stable_failures: ended.stable_failures,
            reason: ended.reason,
            ended: ended.ended,
        }
    }
}
