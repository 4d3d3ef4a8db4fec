//! Text to tokens, where only the chat template makes control tokens: what looks like one in a message is text, whoever wrote it. Else a
//! retrieved document could end its turn and open one of the system. Not here: the template (`prompt`).

use super::{engine_error, reasoning};
use aho_corasick::{AhoCorasick, MatchKind};
use riad_core::Result;
use std::{
    collections::{BTreeSet, HashMap},
    path::{Path, PathBuf},
    sync::Arc,
};
use tokenizers::{
    AddedToken, DecoderWrapper, Model, NormalizedString, Normalizer, PostProcessorWrapper, PreTokenizerWrapper, Token,
    Tokenizer, TokenizerImpl, models::TrainerWrapper,
};

/// The model's tokenizer, with another order of work: control tokens are found while those of the messages are hidden by stand-ins, then
/// the text is as it was.
pub(crate) struct PromptTokenizer {
    tokenizer: TokenizerImpl<TextModel, Reveal, PreTokenizerWrapper, PostProcessorWrapper, DecoderWrapper>,
    stand_ins: StandIns,
    /// Added tokens that are text, though they begin as a control token does: Gemma has some for HTML.
    words: AhoCorasick,
}

impl PromptTokenizer {
    /// `control` are texts that make an added token a control token, and `templates` what the chat template consists of.
    pub fn new(tokenizer: &Arc<Tokenizer>, control: &[String], templates: &[&str]) -> Result<Self> {
        let mut added: Vec<_> = tokenizer.get_added_tokens_decoder().into_iter().collect();
        added.sort_unstable_by_key(|(id, _)| *id);
        let (control, words): (Vec<_>, Vec<_>) = added
            .into_iter()
            .partition(|(_, token)| control.contains(&token.content) || is_control(token, templates));
        let stand_ins = StandIns::new(control.iter().map(|(_, token)| token.content.as_str()));
        let visible = words.iter().map(|(_, token)| token.content.as_str()).filter(|word| {
            let mut letters = word.chars();
            letters.next().is_some_and(|first| stand_ins.hides(first))
                && !letters.any(|letter| stand_ins.hides(letter))
                && !control
                    .iter()
                    .any(|(_, token)| token.content.starts_with(word) || word.starts_with(&token.content))
        });
        let failed = |e| engine_error("cannot use the model's tokenizer", e);
        let words_of_text = AhoCorasick::builder()
            .match_kind(MatchKind::LeftmostLongest)
            .build(visible)
            .map_err(failed)?;
        let model = TextModel {
            tokenizer: Arc::clone(tokenizer),
            control: control.iter().map(|(id, token)| (*id, token.content.clone())).collect(),
        };
        let mut prompts = TokenizerImpl::new(model);
        prompts
            .with_normalizer(Some(Reveal {
                stand_ins: stand_ins.clone(),
                tokenizer: Arc::clone(tokenizer),
            }))
            .with_pre_tokenizer(tokenizer.get_pre_tokenizer().cloned());
        // Found before the text is normalized, which is when the stand-ins are still there.
        let found_first = control.into_iter().map(|(_, token)| token.normalized(false));
        let tokens: Vec<_> = found_first.chain(words.into_iter().map(|(_, token)| token)).collect();
        prompts.add_tokens(&tokens);
        Ok(Self {
            tokenizer: prompts,
            stand_ins,
            words: words_of_text,
        })
    }

    /// The text of a message, as the template may have it: nothing in it, and nothing that the template makes of its parts, is a control
    /// token for [`Self::encode`]. It has as many characters as before.
    pub fn hide(&self, text: &str) -> String {
        let mut hidden = String::with_capacity(text.len());
        let mut end = 0;
        for word in self.words.find_iter(text) {
            let before = text.get(end..word.start()).unwrap_or_default();
            hidden.extend(before.chars().map(|letter| self.stand_ins.hide(letter)));
            hidden.push_str(text.get(word.range()).unwrap_or_default());
            end = word.end();
        }
        let rest = text.get(end..).unwrap_or_default();
        hidden.extend(rest.chars().map(|letter| self.stand_ins.hide(letter)));
        hidden
    }

    /// The tokens of a text whose untrusted parts are hidden. Nothing is added at its ends.
    pub fn encode(&self, text: &str) -> tokenizers::Result<Vec<u32>> {
        Ok(self.tokenizer.encode_fast(text, false)?.get_ids().to_vec())
    }

    /// The text of tokens, control tokens too. `None` if one of them is not in the vocabulary.
    pub fn text_of(&self, tokens: &[u32]) -> Option<String> {
        let model = self.tokenizer.get_model();
        if tokens.iter().any(|token| model.id_to_token(*token).is_none()) {
            return None;
        }
        model.tokenizer.decode(tokens, false).ok()
    }
}

/// Whether only a template should write it. A tokenizer need not call all of them special: Qwen's for tools and reasoning are not. Other
/// added tokens are words and runs of spaces, which the text of a message may well have.
fn is_control(token: &AddedToken, templates: &[&str]) -> bool {
    let content = token.content.as_str();
    let is_word = |letter: char| letter.is_alphanumeric() || letter.is_whitespace();
    if content.trim().is_empty() {
        return false;
    }
    token.special
        || reasoning::is_marker(content)
        || (content.starts_with("<|") && content.ends_with("|>"))
        || (content.chars().count() > 2
            && !content.chars().all(is_word)
            && templates.iter().any(|template| template.contains(content)))
}

/// For each character that a control token begins with, another that no text has.
#[derive(Clone)]
struct StandIns(Vec<(char, char)>);

impl StandIns {
    fn new<'a>(control: impl Iterator<Item = &'a str>) -> Self {
        let first: BTreeSet<_> = control.filter_map(|content| content.chars().next()).collect();
        // Code points that Unicode keeps for the inside of programs, then private ones.
        let stand_ins = ('\u{FDD0}'..='\u{FDEF}').chain('\u{100000}'..='\u{10FFFD}');
        Self(first.into_iter().zip(stand_ins).collect())
    }

    fn hides(&self, letter: char) -> bool {
        self.0.iter().any(|(hidden, _)| *hidden == letter)
    }

    fn hide(&self, letter: char) -> char {
        for (hidden, stand_in) in &self.0 {
            if letter == *hidden {
                return *stand_in;
            }
            if letter == *stand_in {
                return char::REPLACEMENT_CHARACTER;
            }
        }
        letter
    }

    fn reveal(&self, letter: char) -> char {
        let pair = self.0.iter().find(|(_, stand_in)| letter == *stand_in);
        pair.map_or(letter, |(hidden, _)| *hidden)
    }
}

/// Takes the stand-ins away, then does what the tokenizer's own normalizer does.
struct Reveal {
    stand_ins: StandIns,
    tokenizer: Arc<Tokenizer>,
}

impl Normalizer for Reveal {
    fn normalize(&self, text: &mut NormalizedString) -> tokenizers::Result<()> {
        let is_stand_in = |letter| self.stand_ins.reveal(letter) != letter;
        if text.get().chars().any(is_stand_in) {
            text.map(|letter| self.stand_ins.reveal(letter));
        }
        match self.tokenizer.get_normalizer() {
            Some(normalizer) => normalizer.normalize(text),
            None => Ok(()),
        }
    }
}

/// The tokenizer's model, which makes no control token of a text: some vocabularies have them among the words.
struct TextModel {
    tokenizer: Arc<Tokenizer>,
    control: HashMap<u32, String>,
}

impl TextModel {
    /// The byte behind the first character of each control token. One that stands for something else, as for what is unknown, is none.
    fn cuts(&self, tokens: &[Token], sequence: &str) -> Vec<usize> {
        let cut = |token: &Token| {
            let (start, end) = token.offsets;
            let content = self.control.get(&token.id)?;
            let first = content.chars().next()?.len_utf8();
            let is_written = sequence.get(start..end) == Some(content) && content.len() > first;
            is_written.then_some(start + first)
        };
        tokens.iter().filter_map(cut).collect()
    }
}

impl Model for TextModel {
    type Trainer = TrainerWrapper;

    fn tokenize(&self, sequence: &str) -> tokenizers::Result<Vec<Token>> {
        let mut tokens = Vec::new();
        // What is left to do, the first part last.
        let mut parts = vec![(0, sequence)];
        while let Some((at, part)) = parts.pop() {
            let of_part = self.tokenizer.get_model().tokenize(part)?;
            let cuts = self.cuts(&of_part, part);
            if cuts.is_empty() {
                tokens.extend(of_part.into_iter().map(|mut token| {
                    token.offsets = (token.offsets.0 + at, token.offsets.1 + at);
                    token
                }));
                continue;
            }
            let mut end = part.len();
            for cut in cuts.into_iter().rev() {
                parts.push((at + cut, part.get(cut..end).unwrap_or_default()));
                end = cut;
            }
            parts.push((at, part.get(..end).unwrap_or_default()));
        }
        Ok(tokens)
    }

    /// Of the whole tokenizer, so that an added token keeps its number.
    fn token_to_id(&self, token: &str) -> Option<u32> {
        self.tokenizer.token_to_id(token)
    }

    fn id_to_token(&self, id: u32) -> Option<String> {
        self.tokenizer.id_to_token(id)
    }

    fn get_vocab(&self) -> HashMap<String, u32> {
        self.tokenizer.get_vocab(true)
    }

    fn get_vocab_size(&self) -> usize {
        self.tokenizer.get_vocab_size(true)
    }

    fn save(&self, folder: &Path, prefix: Option<&str>) -> tokenizers::Result<Vec<PathBuf>> {
        self.tokenizer.get_model().save(folder, prefix)
    }

    fn get_trainer(&self) -> TrainerWrapper {
        self.tokenizer.get_model().get_trainer()
    }
}
