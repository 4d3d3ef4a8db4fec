//! What a client may say of vector stores and their files: OpenAI's bounds.

use riad_core::{
    Error, Result,
    document::Metadata,
    search_scope,
    vector_store::{ChunkSize, NewVectorStoreFile},
};
use serde_json::Value;
use std::{collections::HashSet, ops::RangeInclusive};

const PAGE_MAX: u32 = 100;
const NAME_MAX: usize = 256;
const EXPIRY_DAYS: RangeInclusive<u32> = 1..=365;
const METADATA_MEMBERS: usize = 16;
const KEY_MAX: usize = 64;
const VALUE_MAX: usize = 512;
const CHUNK_TOKENS: RangeInclusive<u32> = 100..=4_096;

pub(super) fn limit(of_page: u32) -> Result<u32> {
    match (1..=PAGE_MAX).contains(&of_page) {
        true => Ok(of_page),
        false => Err(Error::invalid(format!("limit must be 1 to {PAGE_MAX}")).with_param("limit")),
    }
}

pub(super) fn description(description: Option<&str>) -> Result<()> {
    match description.is_none_or(|text| text.chars().count() <= VALUE_MAX) {
        true => Ok(()),
        false => {
            Err(Error::invalid(format!("a description may have {VALUE_MAX} characters")).with_param("description"))
        }
    }
}

pub(super) fn store(name: Option<&str>, metadata: Option<&Metadata>, expires_after_days: Option<u32>) -> Result<()> {
    if name.is_some_and(|name| name.chars().count() > NAME_MAX || name.chars().any(char::is_control)) {
        let text = format!("a name may have {NAME_MAX} characters, none of them a control character");
        return Err(Error::invalid(text).with_param("name"));
    }
    if expires_after_days.is_some_and(|days| !EXPIRY_DAYS.contains(&days)) {
        let text = format!("days must be {} to {}", EXPIRY_DAYS.start(), EXPIRY_DAYS.end());
        return Err(Error::invalid(text).with_param("expires_after.days"));
    }
    let Some(metadata) = metadata else { return Ok(()) };
    members("metadata", metadata)?;
    match metadata.values().all(Value::is_string) {
        true => Ok(()),
        false => Err(Error::invalid("the values of metadata must be texts").with_param("metadata")),
    }
}

/// `param` is the member of a request that names them.
pub(super) fn files(new_files: &[NewVectorStoreFile], most: usize, param: &str) -> Result<()> {
    if new_files.len() > most {
        return Err(Error::invalid(format!("at most {most} files can be added at once")).with_param(param));
    }
    let mut seen = HashSet::new();
    for (index, new) in new_files.iter().enumerate() {
        if !seen.insert(&new.file) {
            let text = format!("the file {} is named twice", new.file);
            return Err(Error::invalid(text).with_param(format!("{param}[{index}]")));
        }
        // Those of `file_ids` are beside it, the same for all.
        file(new).map_err(|error| match (param, error.param().map(str::to_owned)) {
            ("files", Some(member)) => error.with_param(format!("{param}[{index}].{member}")),
            _ => error,
        })?;
    }
    Ok(())
}

pub(super) fn file(new: &NewVectorStoreFile) -> Result<()> {
    attributes(&new.attributes)?;
    new.chunk_size.map_or(Ok(()), chunk_size)
}

pub(super) fn attributes(given: &Metadata) -> Result<()> {
    members("attributes", given)?;
    let is_value = |value: &Value| value.is_string() || value.is_number() || value.is_boolean();
    if !given.values().all(is_value) {
        let text = "the values of attributes must be texts, numbers or booleans";
        return Err(Error::invalid(text).with_param("attributes"));
    }
    let is_exact = |value: &Value| {
        value
            .as_number()
            .is_none_or(|number| search_scope::exact(number).is_some())
    };
    match given.iter().find(|(_, value)| !is_exact(value)) {
        None => Ok(()),
        Some((key, _)) => Err(Error::invalid(format!(
            "the attribute {key:?} is a number that cannot be compared exactly; numbers are {}, send others as texts",
            search_scope::NUMBERS
        ))
        .with_param("attributes")),
    }
}

fn members(param: &str, given: &Metadata) -> Result<()> {
    let is_long = |(key, value): (&String, &Value)| {
        key.chars().count() > KEY_MAX || value.as_str().is_some_and(|text| text.chars().count() > VALUE_MAX)
    };
    if given.len() > METADATA_MEMBERS || given.iter().any(is_long) {
        let text = format!(
            "{param} may have {METADATA_MEMBERS} members, with names of {KEY_MAX} and texts of {VALUE_MAX} characters at most"
        );
        return Err(Error::invalid(text).with_param(param));
    }
    Ok(())
}

pub(super) fn chunk_size(size: ChunkSize) -> Result<()> {
    if !CHUNK_TOKENS.contains(&size.max_tokens) || size.overlap_tokens > size.max_tokens / 2 {
        let text = format!(
            "max_chunk_size_tokens must be {} to {}, and chunk_overlap_tokens half of it at most",
            CHUNK_TOKENS.start(),
            CHUNK_TOKENS.end()
        );
        return Err(Error::invalid(text).with_param("chunking_strategy"));
    }
    Ok(())
}
