//! A room's pipeline: what serves each stage, and the canary that serves a share of the requests instead.

use crate::{
    Digest, Error, ErrorKind, Result, VectorStoreId,
    plugin::{Stage, StageChoice},
    search_scope,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A room's choice per stage. A stage without an entry is served by its default: the standard pipeline, or for the tools nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pipeline {
    pub stages: BTreeMap<Stage, StageChoice>,
    /// What the guests of a chat search, unless the request names others; none for the room's documents. At most 8.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub vector_stores: Vec<VectorStoreId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub canary: Option<Canary>,
    /// The canary that the server ended last. In a pipeline that a client puts: the one that it has read of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_canary: Option<EndedCanary>,
}

/// Choices that serve a share of the room's requests instead of those in [`Pipeline::stages`], all of them together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Canary {
    /// Of the requests, 1 to 100.
    pub percent: u32,
    /// The stages that differ, at least one.
    pub stages: BTreeMap<Stage, StageChoice>,
}

/// A canary that failed more often than the stages that it was to replace. The counts are halved now and then, so that the latest requests weigh the most.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EndedCanary {
    pub stages: BTreeMap<Stage, StageChoice>,
    /// Requests that the canary served.
    pub requests: u32,
    /// Those of them that failed because of a plugin.
    pub failures: u32,
    /// Requests that it did not serve.
    pub stable_requests: u32,
    pub stable_failures: u32,
    /// For people.
    pub reason: String,
    /// Seconds since 1970-01-01 UTC. No two of a room have the same.
    pub ended: u64,
}

impl Pipeline {
    #[must_use]
    pub fn choice(&self, stage: Stage) -> StageChoice {
        self.stages
            .get(&stage)
            .cloned()
            .unwrap_or_else(|| StageChoice::default_of(stage))
    }

    /// The same pipeline, with every stage named.
    #[must_use]
    pub fn complete(self) -> Self {
        Self {
            stages: Stage::ALL.map(|stage| (stage, self.choice(stage))).into(),
            ..self
        }
    }

    /// The pipeline of a request that the canary serves; as it is if there is none.
    #[must_use]
    pub fn of_canary(&self) -> Self {
        let mut pipeline = self.clone();
        pipeline
            .stages
            .extend(self.canary.iter().flat_map(|canary| canary.stages.clone()));
        pipeline
    }

    /// What a canary is tried in: its stages and those that it is compared with. Another percentage is the same trial.
    #[must_use]
    pub fn trial(&self) -> Option<Digest> {
        self.canary.as_ref()?;
        let texts = [self, &self.of_canary()]
            .map(|pipeline| Stage::ALL.map(|stage| pipeline.choice(stage).to_string()))
            .concat();
        let parts: Vec<&[u8]> = texts.iter().map(String::as_bytes).collect();
        Some(Digest::of_parts(&parts))
    }

    /// # Errors
    /// `InvalidRequest` for a choice that cannot serve its stage, and for a canary without a share or without a difference. The param
    /// names the member.
    pub fn check(&self) -> Result<()> {
        for (param, stage, choice) in self.choices() {
            choice.check(stage).map_err(|error| error.with_param(param))?;
        }
        if !self.vector_stores.is_empty() {
            search_scope::check_stores(&self.vector_stores)?;
        }
        let Some(canary) = &self.canary else {
            return Ok(());
        };
        if !(1..=100).contains(&canary.percent) {
            let error = Error::invalid("percent must be 1 to 100; leave the canary out to end it");
            return Err(error.with_param("canary.percent"));
        }
        if canary
            .stages
            .iter()
            .all(|(stage, choice)| self.choice(*stage) == *choice)
        {
            let error = Error::invalid(
                "the canary has nothing that does not serve all requests already; name another version for a stage",
            );
            return Err(error.with_param("canary.stages"));
        }
        Ok(())
    }

    /// Checks that this pipeline may replace `stored`: that whoever wrote it knew how the canary ended that the server ended last.
    ///
    /// # Errors
    /// `Conflict` if its `last_canary` is another one; or if it has none and names, for a stage that something else serves, what the ended
    /// canary had there. That is what a client writes that has read the pipeline before the end, and would bring the canary back or promote it.
    pub fn check_replaces(&self, stored: &Self) -> Result<()> {
        let conflict = |text: String| Err(Error::new(ErrorKind::Conflict, text).with_param("last_canary"));
        match (&self.last_canary, &stored.last_canary) {
            (Some(_), None) => conflict(
                "the server has ended no canary in this room, so this last_canary is another room's; leave it out, or change what GET \
                 /v1/pipeline answers now"
                    .to_owned(),
            ),
            (Some(read), Some(last)) if read.ended != last.ended => conflict(last.since_it_was_read()),
            (None, Some(last)) if self.names_of(last, stored) => conflict(last.since_it_was_read()),
            (Some(_) | None, _) => Ok(()),
        }
    }

    /// Whether it has a choice of the ended canary's, for all requests or as a canary, that does not serve the stage in `stored`.
    fn names_of(&self, ended: &EndedCanary, stored: &Self) -> bool {
        ended.stages.iter().any(|(stage, choice)| {
            let tried = self.canary.as_ref().and_then(|canary| canary.stages.get(stage));
            let is_named = self.choice(*stage) == *choice || tried == Some(choice);
            is_named && stored.choice(*stage) != *choice
        })
    }

    /// All that the pipeline names, with the member that names it: `stages.retrieval`, `canary.stages.retrieval`.
    pub fn choices(&self) -> impl Iterator<Item = (String, Stage, &StageChoice)> {
        let named = |prefix: &'static str| {
            move |(stage, choice): (&Stage, _)| -> (String, Stage, &StageChoice) {
                (format!("{prefix}.{stage}"), *stage, choice)
            }
        };
        let canary = self.canary.iter().flat_map(|canary| &canary.stages);
        self.stages
            .iter()
            .map(named("stages"))
            .chain(canary.map(named("canary.stages")))
    }
}

impl EndedCanary {
    /// As `riad pipeline set` takes them: `retrieval=desk@sha256:…`.
    #[must_use]
    pub fn settings(&self) -> String {
        let stages = self.stages.iter().map(|(stage, choice)| format!("{stage}={choice}"));
        stages.collect::<Vec<_>>().join(" ")
    }

    fn since_it_was_read(&self) -> String {
        format!(
            "the server has ended the canary {} since this pipeline was read: {}; read /v1/pipeline again, and put what you change with the \
             last_canary that it has then",
            self.settings(),
            self.reason
        )
    }
}

impl Canary {
    /// Whether the canary serves a request, by the request's id: the receipt has the id, so the choice can be checked afterwards.
    #[must_use]
    pub fn serves(&self, trial: &Digest, request: &str) -> bool {
        let digest = Digest::of_parts(&[request.as_bytes(), trial.as_bytes()]);
        let number = digest.as_bytes().iter().take(8);
        let number = number.fold(0, |number: u64, byte| number << 8 | u64::from(*byte));
        number % 100 < u64::from(self.percent)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn choice(version: &[u8]) -> StageChoice {
        StageChoice::Plugin {
            name: "desk".parse().unwrap(),
            version: Digest::of(version),
        }
    }

    fn with_canary(percent: u32, stage: Stage, version: &[u8]) -> Pipeline {
        Pipeline {
            stages: [(Stage::Prompting, choice(b"one"))].into(),
            canary: Some(Canary {
                percent,
                stages: [(stage, choice(version))].into(),
            }),
            last_canary: None,
            vector_stores: Vec::new(),
        }
    }

    #[test]
    fn a_canary_serves_about_its_share_of_the_requests() {
        for percent in [1, 10, 50, 99, 100] {
            let pipeline = with_canary(percent, Stage::Prompting, b"two");
            let (canary, trial) = (pipeline.canary.as_ref().unwrap(), pipeline.trial().unwrap());
            let serves = |number: u32| canary.serves(&trial, &format!("req_{number}"));
            let served = u32::try_from((0..10_000).filter(|number| serves(*number)).count()).unwrap();
            // Five standard deviations of the binomial distribution are 250 at most.
            assert!(served.abs_diff(percent * 100) <= 250, "{percent}: {served}");
            assert!((0..100).all(|number| serves(number) == serves(number)));
        }
    }

    #[test]
    fn a_larger_share_has_the_requests_of_a_smaller_one() {
        let (small, large) = (
            with_canary(10, Stage::Prompting, b"two"),
            with_canary(30, Stage::Prompting, b"two"),
        );
        let trial = small.trial().unwrap();
        assert_eq!(large.trial(), Some(trial), "another percentage is the same trial");
        for number in 0..1000 {
            let request = format!("req_{number}");
            let serves = |pipeline: &Pipeline| pipeline.canary.as_ref().unwrap().serves(&trial, &request);
            assert!(serves(&large) || !serves(&small), "{request}");
        }
    }

    #[test]
    fn a_trial_is_another_with_other_stages_on_either_side() {
        let trial = with_canary(10, Stage::Prompting, b"two").trial();
        assert_ne!(with_canary(10, Stage::Prompting, b"three").trial(), trial);
        assert_ne!(with_canary(10, Stage::Retrieval, b"two").trial(), trial);
        let mut changed = with_canary(10, Stage::Prompting, b"two");
        changed.stages.insert(Stage::Prompting, choice(b"zero"));
        assert_ne!(changed.trial(), trial);
        changed = with_canary(10, Stage::Prompting, b"two").complete();
        assert_eq!(changed.trial(), trial, "what is not named has a default");
        changed.canary = None;
        assert_eq!(changed.trial(), None);
    }

    #[test]
    fn the_canary_replaces_its_stages_and_no_others() {
        let pipeline = with_canary(10, Stage::Retrieval, b"two").of_canary();
        assert_eq!(pipeline.choice(Stage::Retrieval), choice(b"two"));
        assert_eq!(pipeline.choice(Stage::Prompting), choice(b"one"));
        assert_eq!(pipeline.choice(Stage::Postprocessing), StageChoice::Standard);
    }

    #[test]
    fn a_canary_without_share_or_difference_is_refused() {
        with_canary(1, Stage::Prompting, b"two").check().unwrap();
        with_canary(100, Stage::Prompting, b"two").check().unwrap();
        let refused = |pipeline: &Pipeline| pipeline.check().unwrap_err().param().unwrap().to_owned();
        for percent in [0, 101, u32::MAX] {
            assert_eq!(
                refused(&with_canary(percent, Stage::Prompting, b"two")),
                "canary.percent"
            );
        }
        let mut none = with_canary(10, Stage::Prompting, b"one");
        assert_eq!(refused(&none), "canary.stages", "it serves already");
        none.canary.as_mut().unwrap().stages.clear();
        assert_eq!(refused(&none), "canary.stages");
        none.canary
            .as_mut()
            .unwrap()
            .stages
            .insert(Stage::Tools, StageChoice::Standard);
        assert_eq!(refused(&none), "canary.stages.tools");
    }

    fn ended_at(seconds: u64) -> EndedCanary {
        EndedCanary {
            stages: [(Stage::Prompting, choice(b"two"))].into(),
            requests: 8,
            failures: 8,
            stable_requests: 9,
            stable_failures: 0,
            reason: "it failed".into(),
            ended: seconds,
        }
    }

    #[test]
    fn a_pipeline_from_before_a_canary_ended_replaces_nothing() {
        let read = with_canary(10, Stage::Prompting, b"two");
        let stored = Pipeline {
            canary: None,
            last_canary: Some(ended_at(7)),
            ..read.clone()
        };
        let knowing = |pipeline: &Pipeline| Pipeline {
            last_canary: stored.last_canary.clone(),
            ..pipeline.clone()
        };
        let promoted = Pipeline {
            stages: [(Stage::Prompting, choice(b"two"))].into(),
            ..Pipeline::default()
        };
        let other_stage = Pipeline {
            stages: [(Stage::Prompting, choice(b"one")), (Stage::Retrieval, choice(b"three"))].into(),
            ..read.clone()
        };
        for put in [&read, &promoted, &other_stage] {
            let refused = put.check_replaces(&stored).unwrap_err();
            assert_eq!(
                (refused.kind(), refused.param()),
                (ErrorKind::Conflict, Some("last_canary"))
            );
            let two = choice(b"two").to_string();
            for words in [two.as_str(), "it failed", "read /v1/pipeline again"] {
                assert!(refused.message().contains(words), "{refused}");
            }
            knowing(put).check_replaces(&stored).unwrap();
        }
        // One that was read between two ends, whatever it names.
        let between = Pipeline {
            last_canary: Some(ended_at(6)),
            ..Pipeline::default()
        };
        assert!(between.check_replaces(&stored).is_err());
    }

    #[test]
    fn a_pipeline_that_names_nothing_of_the_ended_canary_needs_not_know_it() {
        let stored = Pipeline {
            canary: None,
            last_canary: Some(ended_at(7)),
            ..with_canary(10, Stage::Prompting, b"two")
        };
        with_canary(10, Stage::Prompting, b"three")
            .check_replaces(&stored)
            .unwrap();
        Pipeline::default().check_replaces(&stored).unwrap();
        // Promoted by somebody who knew: it serves, and goes on serving.
        let promoted = Pipeline {
            stages: [(Stage::Prompting, choice(b"two"))].into(),
            ..stored
        };
        let again = Pipeline {
            last_canary: None,
            ..promoted.clone()
        };
        again.check_replaces(&promoted).unwrap();
        // Where none was ended, there is none to know.
        let fresh = with_canary(10, Stage::Prompting, b"two");
        fresh.check_replaces(&Pipeline::default()).unwrap();
        assert!(promoted.check_replaces(&fresh).is_err(), "another room's");
    }

    #[test]
    fn a_pipeline_of_an_older_version_is_read() {
        let stored = r#"{"stages":{"tools":"none"}}"#;
        let pipeline: Pipeline = serde_json::from_str(stored).unwrap();
        assert_eq!((&pipeline.canary, &pipeline.last_canary), (&None, &None));
        assert_eq!(
            serde_json::to_string(&pipeline).unwrap(),
            stored,
            "and written as it was"
        );
    }
}
