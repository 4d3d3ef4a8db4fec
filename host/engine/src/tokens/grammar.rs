//! Completions that are JSON of a given schema, or calls of tools: which tokens may come next. Schemas are compiled by llguidance, whose masks
//! are computed in the engine's step, and are bounded. Not here: which schemas it gets (`schema`), which token is chosen (`sampling`).

mod schema;

use super::engine_error;
use mistralrs::core::llguidance::{
    Logger, Matcher, ParserFactory,
    api::{GrammarInit, ParserLimits, TopLevelGrammar},
    toktrie::InferenceCapabilities,
};
use riad_core::{
    Error, Result,
    chat::{Grammar, OutputFormat, Tool},
};
use serde_json::{Value, json};
use std::sync::Arc;

/// Space between the parts of a JSON text. Without a bound a model may write nothing else until its tokens are used up.
const SPACE: &str = r"[ \t\n\r]{1,8}";

/// In llguidance's units; comments say what they are worth, about. A mask is the first that needs them: it is computed when the grammar is.
fn limits() -> ParserLimits {
    ParserLimits {
        // 20 ms to compile.
        initial_lexer_fuel: 1_000_000,
        max_grammar_size: 100_000,
        // A millisecond or two for a mask.
        step_lexer_fuel: 20_000,
        step_max_items: 5_000,
        // 20 MB.
        max_lexer_states: 10_000,
        verbose_errors: false,
        ..ParserLimits::default()
    }
}

/// Compiles formats for one model's tokens.
#[derive(Clone)]
pub(crate) struct GrammarCompiler {
    factory: Arc<ParserFactory>,
    end_tokens: Arc<[u32]>,
}

/// Nothing is written yet.
struct Compiled(ActiveGrammar);

/// The grammar of a sequence, as far as its text is.
pub(crate) struct ActiveGrammar {
    matcher: Matcher,
    /// llguidance's token for the end, in whose place the model's own end a completion.
    end: u32,
    end_tokens: Arc<[u32]>,
}

impl GrammarCompiler {
    pub fn new(factory: Arc<ParserFactory>, end_tokens: &[u32]) -> Self {
        Self {
            factory,
            end_tokens: end_tokens.into(),
        }
    }

    pub fn compile(&self, format: &OutputFormat) -> Result<Grammar> {
        let grammar = match format {
            OutputFormat::JsonObject => TopLevelGrammar::from_json_schema(configured(&json!({"type": "object"}))?),
            OutputFormat::JsonSchema(schema) => TopLevelGrammar::from_json_schema(configured(schema)?),
            OutputFormat::ToolCalls { tools, parallel } => TopLevelGrammar::from_lark(tool_calls(tools, *parallel)?),
        };
        let parser = self.factory.create_parser_from_init_ext(
            GrammarInit::Serialized(grammar),
            Logger::new(0, 0),
            InferenceCapabilities::default(),
            limits(),
        );
        let parser = parser.map_err(|error| llguidance_refused(&format!("{error:#}")))?;
        let mut matcher = Matcher::new(Ok(parser));
        // Here and not in a step: it is the longest, and what is too much for one is found before anything is paid.
        let mask = matcher
            .compute_mask()
            .map_err(|error| llguidance_refused(&error.to_string()))?;
        if let Some(first) = mask.iter().next() {
            let advanced = matcher.deep_clone().consume_token(first);
            advanced.map_err(|error| llguidance_refused(&error.to_string()))?;
        }
        Ok(Grammar::new(Compiled(ActiveGrammar {
            matcher,
            end: self.factory.tok_env().tok_trie().eos_token(),
            end_tokens: Arc::clone(&self.end_tokens),
        })))
    }
}

fn refused(why: impl std::fmt::Display) -> Error {
    Error::invalid(format!("this schema cannot be followed: {why}"))
}

/// Bytes of llguidance's own words that are passed on: some of its errors have whole automata in them.
const REASON_BYTES: usize = 200;

fn llguidance_refused(reason: &str) -> Error {
    if reason.starts_with("panic") {
        return engine_error("could not compile a schema", reason.to_owned());
    }
    let end = reason
        .char_indices()
        .map(|(at, _)| at)
        .take_while(|at| *at <= REASON_BYTES)
        .last()
        .unwrap_or(0);
    let short = if reason.len() <= REASON_BYTES {
        reason
    } else {
        reason.get(..end).unwrap_or_default()
    };
    refused(format!("{short}; leave that out, or make the schema simpler"))
}

/// The schema with llguidance's settings, which are a keyword of its own.
fn configured(schema: &Value) -> Result<Value> {
    schema::check(schema)?;
    let mut schema = schema.clone();
    schema::close(&mut schema);
    let Value::Object(mut members) = schema else {
        return Err(refused("it must be an object"));
    };
    let settings = json!({"whitespace_flexible": true, "whitespace_pattern": SPACE});
    match members.insert("x-guidance".into(), settings) {
        Some(_) => Err(refused("the keyword \"x-guidance\" is not supported; leave it out")),
        None => Ok(Value::Object(members)),
    }
}

/// Calls as `tool_calls` reads them, in llguidance's variant of Lark's language. Each schema is a document of its own, so that its
/// references are its own.
fn tool_calls(tools: &[Tool], parallel: bool) -> Result<String> {
    let more = if parallel { " (\"\\n\" call)*" } else { "" };
    let calls: Vec<_> = (0..tools.len()).map(|number| format!("call_{number}")).collect();
    let mut grammar = format!("start: call{more}\ncall: {}\n", calls.join(" | "));
    for (number, tool) in tools.iter().enumerate() {
        let name = &tool.name;
        let begin = json!(format!("<tool_call>\n{{\"name\": \"{name}\", \"arguments\": "));
        let end = json!("}\n</tool_call>");
        let schema = configured(&tool.parameters).map_err(|error| refused(format!("{name}: {}", error.message())))?;
        grammar += &format!("call_{number}: {begin} arguments_{number} {end}\narguments_{number}: %json {schema}\n");
    }
    Ok(grammar)
}

impl ActiveGrammar {
    pub fn start(grammar: &Grammar) -> Result<Self> {
        let compiled = grammar.compiled::<Compiled>();
        let Compiled(grammar) =
            compiled.ok_or_else(|| engine_error("got a grammar", "that another engine has compiled"))?;
        Ok(Self {
            matcher: grammar.matcher.deep_clone(),
            end: grammar.end,
            end_tokens: Arc::clone(&grammar.end_tokens),
        })
    }

    /// Gives the logits of tokens that may not come next no chance. At its end only tokens that end the completion may.
    pub fn restrict(&mut self, logits: &mut [f32], allowed_besides: Option<u32>) -> Result<()> {
        let mask = self.matcher.compute_mask_or_eos().map_err(too_costly)?;
        let has = |token: u32| (token as usize) < mask.len() && mask.is_allowed(token);
        let may_end = has(self.end);
        for (token, logit) in (0..).zip(logits) {
            let is_allowed = match self.end_tokens.contains(&token) {
                true => may_end,
                false => token != self.end && has(token),
            };
            if !is_allowed && allowed_besides != Some(token) {
                *logit = f32::NEG_INFINITY;
            }
        }
        Ok(())
    }

    /// The token was chosen.
    pub fn advance(&mut self, token: u32) -> Result<()> {
        match self.end_tokens.contains(&token) {
            true => Ok(()),
            false => self.matcher.consume_token(token).map_err(too_costly),
        }
    }
}

fn too_costly(error: impl std::fmt::Display) -> Error {
    llguidance_refused(&error.to_string())
}
