//! Members of OpenAI's requests and of other servers' that would change what a client gets, and that Riad does not have. They are
//! refused by name, unless their value is the one that changes nothing. Members that are in no table are ignored, because clients send
//! many. Not here: members that Riad has, which never come here.

use riad_core::{Error, Result};
use serde_json::{Map, Value};

/// A member's name, the values that change nothing, and what to do instead.
type Row = (&'static str, fn(&Value) -> bool, &'static str);

const LEAVE_OUT: &str = "leave it out";
const USE_FORMAT: &str = "use response_format with a json_schema instead";
const USE_ADAPTER: &str = "name the adapter in model, as <base>:<alias>";

/// Of `/v1/chat/completions`.
pub(crate) const CHAT: &[&[Row]] = &[SAMPLING, OUTPUT, CONVERSATION];
/// Of `/v1/completions`.
pub(crate) const COMPLETION: &[&[Row]] = &[SAMPLING, OUTPUT, TEXTS];
/// Of `/v1/tokenize`.
pub(crate) const TOKENIZE: &[&[Row]] = &[TOKENS];
/// Of `/v1/embeddings`.
pub(crate) const EMBEDDINGS: &[&[Row]] = &[VECTORS];

/// How tokens are chosen.
const SAMPLING: &[Row] = &[
    ("allowed_token_ids", is_off, LEAVE_OUT),
    ("bad_words", is_off, "use logit_bias instead"),
    ("best_of", is_one, LEAVE_OUT),
    ("custom_logit_processor", is_off, LEAVE_OUT),
    ("dry_multiplier", is_off, LEAVE_OUT),
    ("dynatemp_range", is_off, LEAVE_OUT),
    ("early_stopping", is_off, LEAVE_OUT),
    ("epsilon_cutoff", is_off, LEAVE_OUT),
    ("eta_cutoff", is_off, LEAVE_OUT),
    ("ignore_eos", is_off, LEAVE_OUT),
    ("length_penalty", is_one, LEAVE_OUT),
    ("logits_processors", is_off, LEAVE_OUT),
    ("min_new_tokens", is_off, LEAVE_OUT),
    ("min_tokens", is_off, LEAVE_OUT),
    ("mirostat", is_off, LEAVE_OUT),
    ("mirostat_mode", is_off, LEAVE_OUT),
    ("no_repeat_ngram_size", is_off, LEAVE_OUT),
    ("num_beams", is_one, LEAVE_OUT),
    ("num_predict", never, "use max_completion_tokens instead"),
    ("n_predict", never, "use max_completion_tokens instead"),
    ("max_new_tokens", never, "use max_completion_tokens instead"),
    ("random_seed", never, "use seed instead"),
    ("repeat_penalty", is_one, "use repetition_penalty instead"),
    ("samplers", is_off, LEAVE_OUT),
    ("smoothing_factor", is_off, LEAVE_OUT),
    ("stop_regex", is_off, LEAVE_OUT),
    ("stop_token_ids", is_off, "use stop instead"),
    ("tfs", is_one, LEAVE_OUT),
    ("tfs_z", is_one, LEAVE_OUT),
    ("top_a", is_off, LEAVE_OUT),
    ("top_n_sigma", is_not_positive, LEAVE_OUT),
    ("typical_p", is_one, LEAVE_OUT),
    ("use_beam_search", is_off, LEAVE_OUT),
    ("xtc_probability", is_off, LEAVE_OUT),
];

/// What an answer must be, and what of it is told.
const OUTPUT: &[Row] = &[
    ("ebnf", is_off, USE_FORMAT),
    ("format", is_off, USE_FORMAT),
    ("grammar", is_off, USE_FORMAT),
    ("guided_choice", is_off, USE_FORMAT),
    ("guided_grammar", is_off, USE_FORMAT),
    ("guided_json", never, USE_FORMAT),
    ("guided_json_object", is_off, USE_FORMAT),
    ("guided_regex", is_off, USE_FORMAT),
    ("guided_whitespace_pattern", is_off, LEAVE_OUT),
    ("include_stop_str_in_output", is_off, LEAVE_OUT),
    ("json_schema", never, USE_FORMAT),
    ("n_probs", is_off, "use logprobs and top_logprobs instead"),
    ("no_stop_trim", is_off, LEAVE_OUT),
    ("prompt_logprobs", is_off, LEAVE_OUT),
    ("regex", is_off, USE_FORMAT),
    ("return_hidden_states", is_off, LEAVE_OUT),
    ("return_token_ids", is_off, LEAVE_OUT),
    ("return_tokens_as_token_ids", is_off, LEAVE_OUT),
    ("skip_special_tokens", is_on, LEAVE_OUT),
    ("spaces_between_special_tokens", is_on, LEAVE_OUT),
    ("store", is_off, LEAVE_OUT),
    ("structural_tag", is_off, USE_FORMAT),
    ("structured_outputs", is_off, USE_FORMAT),
    ("prediction", is_off, LEAVE_OUT),
];

/// What the model is asked, and how it is to think about it.
const CONVERSATION: &[Row] = &[
    ("add_generation_prompt", is_on, LEAVE_OUT),
    ("add_special_tokens", is_off, LEAVE_OUT),
    ("audio", is_off, LEAVE_OUT),
    ("chat_template", is_off, LEAVE_OUT),
    ("chat_template_kwargs", is_off, LEAVE_OUT),
    ("continue_final_message", is_off, LEAVE_OUT),
    ("data_sources", is_off, "add documents at /v1/documents instead"),
    ("deferred", is_off, LEAVE_OUT),
    ("documents", is_off, "add documents at /v1/documents instead"),
    ("echo", is_off, LEAVE_OUT),
    ("enable_search", is_off, LEAVE_OUT),
    ("enable_thinking", never, LEAVE_OUT),
    ("function_call", is_no_call, "use tool_choice instead"),
    ("functions", is_off, "use tools instead"),
    ("include_reasoning", is_on, LEAVE_OUT),
    ("lora", is_off, USE_ADAPTER),
    ("lora_path", is_off, USE_ADAPTER),
    ("lora_request", is_off, USE_ADAPTER),
    ("mm_processor_kwargs", is_off, LEAVE_OUT),
    ("modalities", is_text_only, LEAVE_OUT),
    ("prompt_mode", is_off, LEAVE_OUT),
    ("reasoning", is_off, LEAVE_OUT),
    ("reasoning_budget", never, LEAVE_OUT),
    ("reasoning_effort", never, LEAVE_OUT),
    ("reasoning_format", never, LEAVE_OUT),
    ("safe_prompt", is_off, LEAVE_OUT),
    ("search_parameters", is_off, LEAVE_OUT),
    ("separate_reasoning", is_on, LEAVE_OUT),
    ("system", is_off, "use a message of the role system instead"),
    ("think", never, LEAVE_OUT),
    ("thinking", never, LEAVE_OUT),
    ("thinking_budget", never, LEAVE_OUT),
    ("thinking_token_budget", never, LEAVE_OUT),
    ("truncate_prompt_tokens", never, LEAVE_OUT),
    ("verbosity", is_medium, LEAVE_OUT),
    ("web_search_options", never, LEAVE_OUT),
];

/// What is continued.
const TEXTS: &[Row] = &[
    ("add_special_tokens", is_on, "send the tokens that /v1/tokenize gives"),
    ("chat_template", is_off, LEAVE_OUT),
    ("input_extra", is_off, LEAVE_OUT),
    ("input_prefix", is_off, LEAVE_OUT),
    ("input_suffix", is_off, LEAVE_OUT),
    ("lora", is_off, USE_ADAPTER),
    ("lora_path", is_off, USE_ADAPTER),
    ("lora_request", is_off, USE_ADAPTER),
    ("prompt_embeds", never, "send the text or its tokens"),
    ("response_format", is_text, "use /v1/chat/completions for a format"),
    ("suffix", is_off, LEAVE_OUT),
    ("truncate_prompt_tokens", never, LEAVE_OUT),
];

/// What is made tokens of.
const TOKENS: &[Row] = &[
    ("chat_template", never, LEAVE_OUT),
    ("chat_template_kwargs", never, LEAVE_OUT),
    ("continue_final_message", is_off, LEAVE_OUT),
    ("tools", is_off, LEAVE_OUT),
];

/// What a vector is of, and how it is written.
const VECTORS: &[Row] = &[
    ("embed_dtype", is_float, LEAVE_OUT),
    ("embedding_type", is_float, LEAVE_OUT),
    ("embedding_types", is_float, LEAVE_OUT),
    ("endianness", is_little, LEAVE_OUT),
    ("instruction", is_off, "write it before the text"),
    ("late_chunking", is_off, LEAVE_OUT),
    ("normalize", is_on, LEAVE_OUT),
    ("output_dimension", never, "use dimensions instead"),
    ("output_dtype", is_float, LEAVE_OUT),
    ("prompt", is_off, "write it before the text"),
    ("prompt_name", is_off, LEAVE_OUT),
    ("truncate_prompt_tokens", never, LEAVE_OUT),
];

/// # Errors
/// `InvalidRequest` names the first member that is in one of the tables with a value that would change something.
pub(crate) fn refuse(members: &Map<String, Value>, tables: &[&[Row]]) -> Result<()> {
    let rows = tables.iter().flat_map(|rows| rows.iter());
    for (name, changes_nothing, instead) in rows {
        if members
            .get(*name)
            .is_some_and(|value| !value.is_null() && !changes_nothing(value))
        {
            return Err(error(name, instead));
        }
    }
    Ok(())
}

/// For a member that is found elsewhere, by its place in the request.
pub(crate) fn leave_out(name: &str) -> Error {
    error(name, LEAVE_OUT)
}

fn error(name: &str, instead: &str) -> Error {
    Error::invalid(format!("{name} is not supported; {instead}")).with_param(name)
}

fn never(_: &Value) -> bool {
    false
}

fn is_off(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::Bool(true) => false,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::String(text) => text.is_empty(),
        Value::Array(list) => list.is_empty(),
        Value::Object(members) => members.is_empty(),
    }
}

fn is_on(value: &Value) -> bool {
    *value == true
}

fn is_one(value: &Value) -> bool {
    value.as_f64() == Some(1.0)
}

fn is_not_positive(value: &Value) -> bool {
    value.as_f64().is_some_and(|number| number <= 0.0)
}

fn is_no_call(value: &Value) -> bool {
    is_off(value) || value == "none" || value == "auto"
}

fn is_text_only(value: &Value) -> bool {
    let texts = value.as_array().map(|list| list.iter().all(|item| item == "text"));
    texts.unwrap_or(false)
}

fn is_text(value: &Value) -> bool {
    value.get("type").is_some_and(|kind| kind == "text")
}

fn is_medium(value: &Value) -> bool {
    value == "medium"
}

fn is_float(value: &Value) -> bool {
    match value {
        Value::String(text) => text == "float" || text == "float32",
        Value::Array(list) => list.iter().all(is_float),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => false,
    }
}

fn is_little(value: &Value) -> bool {
    value == "little" || value == "native"
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use std::collections::BTreeSet;

    fn refused(member: &str, value: Value) -> Option<String> {
        let members = Map::from_iter([(member.to_owned(), value)]);
        let error = refuse(&members, CHAT).err()?;
        Some(error.param().unwrap_or_default().to_owned())
    }

    #[test]
    fn a_value_that_changes_nothing_is_accepted() {
        for (name, harmless, changing) in [
            ("min_tokens", json!(0), json!(1)),
            ("best_of", json!(1), json!(2)),
            ("length_penalty", json!(1.0), json!(0.5)),
            ("ignore_eos", json!(false), json!(true)),
            ("skip_special_tokens", json!(true), json!(false)),
            ("stop_token_ids", json!([]), json!([2])),
            ("chat_template_kwargs", json!({}), json!({"enable_thinking": false})),
            ("top_n_sigma", json!(-1), json!(1)),
            ("function_call", json!("auto"), json!({"name": "f"})),
            ("modalities", json!(["text"]), json!(["text", "audio"])),
            ("verbosity", json!("medium"), json!("low")),
            ("store", json!(false), json!(true)),
        ] {
            for harmless in [harmless, Value::Null] {
                assert_eq!(refused(name, harmless.clone()), None, "{name}: {harmless}");
            }
            assert_eq!(refused(name, changing).as_deref(), Some(name));
        }
    }

    #[test]
    fn what_is_in_no_table_is_ignored() {
        for name in ["user", "metadata", "chat_id", "litellm_call_id", "usage", "min_token"] {
            assert_eq!(refused(name, json!({"any": 1})), None, "{name}");
        }
        let members = Map::from_iter([("normalize".to_owned(), json!(false))]);
        assert!(refuse(&members, CHAT).is_ok());
        assert!(refuse(&members, EMBEDDINGS).is_err());
    }

    #[test]
    fn each_member_has_one_row() {
        for tables in [CHAT, COMPLETION, TOKENIZE, EMBEDDINGS] {
            let names: Vec<&str> = tables.iter().flat_map(|rows| rows.iter().map(|row| row.0)).collect();
            assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len());
        }
    }
}
