//! Checks of the models' files without loading them, and of the memory that they need.

use crate::{
    commands::{
        check::Check,
        model::{self, ChatModel, MEMORY, MODEL},
    },
    config::Config,
};
use riad_engine::memory;

pub(super) fn check(config: &Config, in_use: bool) -> Vec<Check> {
    let embeddings = model::embeddings::bytes(config);
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
                false => model::memory(
                    config,
                    &model,
                    embeddings.as_ref().ok().copied(),
                    memory::available_bytes(),
                ),
            });
        }
    }
    checks.push(model::embeddings_check(&embeddings));
    checks
}
