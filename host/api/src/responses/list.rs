//! The queries about kept responses, and pages of their input.

use super::answer::hide_results;
use riad_api_types::responses::{ResponseItem, ResponseItemList, ResponseItemParams, ResponseParams};
use riad_core::{Error, Result};

/// What may be in `include`.
pub(super) const LOGPROBS: &str = "message.output_text.logprobs";
pub(super) const RESULTS: &str = "file_search_call.results";
/// OpenAI's bounds.
const ITEMS: u32 = 20;
const ITEMS_MAX: u32 = 100;

/// # Errors
/// `InvalidRequest` names the parameter that is not supported.
pub(super) fn check_response_params(params: &ResponseParams) -> Result<()> {
    check_include(&params.include)?;
    let refused = |name: &str| {
        let text = format!("{name} is not supported, because a response that is kept is complete; leave it out");
        Err(Error::invalid(text).with_param(name))
    };
    if params.stream == Some(true) {
        return refused("stream");
    }
    if params.starting_after.is_some() {
        return refused("starting_after");
    }
    Ok(())
}

/// # Errors
/// `InvalidRequest` names what is not supported.
pub(super) fn check_include(include: &[String]) -> Result<()> {
    match include
        .iter()
        .find(|include| ![LOGPROBS, RESULTS].contains(&include.as_str()))
    {
        Some(other) => {
            let text = format!("include may have {LOGPROBS} and {RESULTS}, and not {other:?}");
            Err(Error::invalid(text).with_param("include"))
        }
        None => Ok(()),
    }
}

/// Whether a client asks for what was found in vector stores.
pub(super) fn shows_results(include: &[String]) -> bool {
    include.iter().any(|include| include == RESULTS)
}

/// Which items a client asks for.
pub(super) struct Page {
    limit: usize,
    ascending: bool,
    after: Option<String>,
    shows_results: bool,
}

impl Page {
    /// # Errors
    /// `InvalidRequest` names the parameter at fault.
    pub fn read(params: &ResponseItemParams) -> Result<Self> {
        check_include(&params.include)?;
        let limit = params.limit.unwrap_or(ITEMS);
        if !(1..=ITEMS_MAX).contains(&limit) {
            return Err(Error::invalid(format!("limit must be 1 to {ITEMS_MAX}")).with_param("limit"));
        }
        let ascending = match params.order.as_deref() {
            None | Some("desc") => false,
            Some("asc") => true,
            Some(_) => return Err(Error::invalid("order must be asc or desc").with_param("order")),
        };
        Ok(Self {
            limit: limit as usize,
            ascending,
            after: params.after.clone(),
            shows_results: shows_results(&params.include),
        })
    }

    /// # Errors
    /// `InvalidRequest` if no item has the id in `after`.
    pub fn of(self, mut items: Vec<ResponseItem>) -> Result<ResponseItemList> {
        if !self.ascending {
            items.reverse();
        }
        let begin = match &self.after {
            None => 0,
            Some(after) => {
                let found = items.iter().position(|item| item.id() == after);
                found.ok_or_else(|| {
                    Error::invalid(format!("this response has no input item {after:?}")).with_param("after")
                })? + 1
            }
        };
        let has_more = items.len() > begin.saturating_add(self.limit);
        let mut data: Vec<_> = items.into_iter().skip(begin).take(self.limit).collect();
        if !self.shows_results {
            hide_results(&mut data);
        }
        let id = |item: Option<&ResponseItem>| item.map(|item| item.id().to_owned());
        Ok(ResponseItemList {
            object: "list".into(),
            first_id: id(data.first()),
            last_id: id(data.last()),
            has_more,
            data,
        })
    }
}
