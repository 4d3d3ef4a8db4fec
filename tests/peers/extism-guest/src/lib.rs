//! The plugin for Extism: a call that does nothing, and one that masks its input. Not here: the masking (`tests/guests/masking`).

use extism_pdk::{FnResult, plugin_fn};

#[plugin_fn]
pub fn empty(_input: String) -> FnResult<String> {
    Ok(String::new())
}

#[plugin_fn]
pub fn mask(input: String) -> FnResult<String> {
    Ok(masking::mask(&input))
}
