//! `/v1/pipeline`.

use riad_core::plugin::{self, Stage, StageChoice};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Pipeline {
    pub stages: Stages,
}

/// Each stage is `standard` or `name@sha256:…`; one that is not given is `standard`.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
#[derive(Default)]
pub struct Stages {
    #[schema(value_type = String, example = "standard")]
    pub retrieval: StageChoice,
    #[schema(value_type = String, example = "standard")]
    pub prompting: StageChoice,
    #[schema(value_type = String, example = "standard")]
    pub postprocessing: StageChoice,
}

impl From<plugin::Pipeline> for Pipeline {
    fn from(pipeline: plugin::Pipeline) -> Self {
        Self {
            stages: Stages {
                retrieval: pipeline.choice(Stage::Retrieval),
                prompting: pipeline.choice(Stage::Prompting),
                postprocessing: pipeline.choice(Stage::Postprocessing),
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
            ]
            .into(),
        }
    }
}
