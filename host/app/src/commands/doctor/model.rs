//! Checks of the models' files without loading them, and of the memory that they need.

use crate::{
    commands::{
        check::Check,
        model::{self, ChatModel, MEMORY, MODEL, search_models::SearchModels},
    },
    config::Config,
};
use riad_engine::memory;

pub(super) fn check(config: &Config, in_use: bool) -> Vec<Check> {
    let search_models = SearchModels::open(config);
    let mut checks = Vec::new();
    match ChatModel::open(config) {
        Err(error) => {
            checks.push(Check::fail(MODEL, error.message()));
            checks.push(Check::skip(MEMORY, "the model's size is not known"));
        }
        Ok(model) => {
            checks.push(Check::ok(MODEL, model.summary()));
            checks.push(match in_use {
                true => Check::skip(MEMORY, "a running server has its memory already"),
                false => model::memory(config, &model, search_models.bytes(), memory::available_bytes()),
            });
        }
    }
    checks.extend(search_models.checks());
    checks
}
