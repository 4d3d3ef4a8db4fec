//! `/v1/pipeline`.

use riad_core::plugin::{self, Stage, StageChoice};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Pipeline {
    pub stages: Stages,
}

/// Each stage is `standard` or `name@sha256:…`; one that is not given is `standard`. The tools, which the model may call while it answers, are
/// `none` or `name@sha256:…`; if they are not given, `none`.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Stages {
    #[schema(value_type = String, example = "standard")]
    pub retrieval: StageChoice,
    #[schema(value_type = String, example = "standard")]
    pub prompting: StageChoice,
    #[schema(value_type = String, example = "standard")]
    pub postprocessing: StageChoice,
    #[schema(value_type = String, example = "none")]
    pub tools: StageChoice,
}

impl Default for Stages {
    fn default() -> Self {
        Pipeline::from(plugin::Pipeline::default()).stages
    }
}

impl From<plugin::Pipeline> for Pipeline {
    fn from(pipeline: plugin::Pipeline) -> Self {
        Self {
            stages: Stages {
                retrieval: pipeline.choice(Stage::Retrieval),
                prompting: pipeline.choice(Stage::Prompting),
                postprocessing: pipeline.choice(Stage::Postprocessing),
                tools: pipeline.choice(Stage::Tools),
            },
        }
    }
}

impl From<Pipeline> for plugin::Pipeline {
    fn from(body: Pipeline) -> Self {
        Self {
            stages: [
                (Stage::Retrieval, body.stages.retrieval),
                (Stage::Prompting, body.stages.prompting),
                (Stage::Postprocessing, body.stages.postprocessing),
                (Stage::Tools, body.stages.tools),
            ]
            .into(),
        }
    }
}
