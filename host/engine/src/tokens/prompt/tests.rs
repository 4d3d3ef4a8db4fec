//! Messages hold text, and nothing but text, whatever they look like; what holds no control token is encoded as the tokenizer alone does.

use super::*;
use serde_json::{Value, json};
use std::{collections::BTreeSet, path::Path};
use tokenizers::{AddedToken, Model};

const SHIPPED: &str = "{% for m in messages %}<|{{ m['role'] }}|>{{ m['content'] | trim }}<|end|>{% endfor %}\
                       {% if add_generation_prompt %}<|assistant|>{% endif %}";
const CHATML: &str = "{% for message in messages %}{{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n'}}\
                      {% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n<think>\n' }}{% endif %}\
                      {% if tools %}<tool_call></tool_call>{% endif %}";
const LLAMA_3: &str = "{% set loop_messages = messages %}{% for message in loop_messages %}\
    {% set content = '<|start_header_id|>' + message['role'] + '<|end_header_id|>\n\n'+ message['content'] | trim + '<|eot_id|>' %}\
    {% if loop.index0 == 0 %}{% set content = bos_token + content %}{% endif %}{{ content }}{% endfor %}\
    {% if add_generation_prompt %}{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{% endif %}";
const MISTRAL: &str = "{{ bos_token }}{% for message in messages %}{% if message['role'] != 'assistant' %}\
    {{ '[INST] ' + message['content'] + '[/INST]' }}{% else %}{{ ' ' + message['content'] + eos_token }}{% endif %}{% endfor %}";

/// Texts without any control token of these families.
const PLAIN: [&str; 12] = [
    "",
    "x",
    "Hello, how are you?",
    "  Two spaces,\n\n\ttabs  and a trailing one ",
    "if a < b && c > d { x[0] = <T>::new(); } // <|",
    "<p>HTML</p> <|not_one|> < |im_end|> <|im_end| > [ INST ] [INST",
    "Zürich, 東京, \u{1F600}, e\u{301}",
    "</ s> <s <s<s <|<|<| [[[ ]]] [1][2]",
    "{\"role\": \"system\", \"content\": [\"x\"]}",
    "<<SYS>> ### Instruction: \\n {{ bos_token }} {% raw %}",
    "\u{0}\u{FEFF}\u{FFFD}\r\n",
    "<",
];

struct Family {
    name: &'static str,
    encoder: PromptEncoder,
    tokenizer: Arc<Tokenizer>,
}

impl Family {
    fn new(name: &'static str, tokenizer: Tokenizer, template: &str, bos: Option<&str>, eos: &str) -> Self {
        let config = json!({"chat_template": template, "bos_token": bos, "eos_token": eos});
        let template: ChatTemplate = serde_json::from_value(config).unwrap();
        let tokenizer = Arc::new(tokenizer);
        Self {
            name,
            encoder: PromptEncoder::new(Arc::new(template), &tokenizer).unwrap(),
            tokenizer,
        }
    }

    fn tokens(&self, contents: &[&str]) -> Vec<u32> {
        self.encoder.encode(&messages(contents)).unwrap().tokens
    }

    /// The prompt as text, with the messages as they are.
    fn rendered(&self, contents: &[&str]) -> String {
        let template = &self.encoder.template;
        let entry = |message: &Message| {
            IndexMap::from([
                ("role".to_owned(), Either::Left(message.role.as_str().to_owned())),
                ("content".to_owned(), Either::Left(message.content.clone())),
            ])
        };
        let messages = messages(contents).iter().map(entry).collect();
        let text = template.chat_template.as_ref().unwrap();
        let (bos, eos) = (template.bos_tok(), template.eos_tok());
        apply_chat_template_to(messages, true, None, None, text, bos, eos, None, Vec::new()).unwrap()
    }

    /// What the tokenizer alone makes of the prompt.
    fn unguarded(&self, contents: &[&str]) -> Vec<u32> {
        let encoding = self.tokenizer.encode_fast(self.rendered(contents), false).unwrap();
        encoding.get_ids().to_vec()
    }

    fn added(&self) -> BTreeSet<String> {
        let added = self.tokenizer.get_added_tokens_decoder();
        added.into_values().map(|token| token.content).collect()
    }

    /// The added tokens of a prompt, in their order.
    fn control(&self, tokens: &[u32]) -> Vec<u32> {
        let added = self.tokenizer.get_added_tokens_decoder();
        tokens
            .iter()
            .copied()
            .filter(|token| added.contains_key(token))
            .collect()
    }

    /// Checks that the template alone made control tokens, and that the model still reads the text.
    fn check(&self, contents: &[&str]) {
        let harmless = vec!["x"; contents.len()];
        let tokens = self.tokens(contents);
        assert_eq!(
            self.control(&tokens),
            self.control(&self.tokens(&harmless)),
            "{}: {contents:?}",
            self.name
        );
        let text = self.tokenizer.decode(&tokens, false).unwrap();
        assert_eq!(text, self.rendered(contents), "{}", self.name);
    }
}

fn messages(contents: &[&str]) -> Vec<Message> {
    let roles = [Role::System, Role::User, Role::Assistant, Role::User];
    let message = |(role, content): (Role, &&str)| Message {
        role,
        content: (*content).to_owned(),
    };
    roles.into_iter().zip(contents).map(message).collect()
}

fn shipped() -> Tokenizer {
    let folder = Path::new(env!("RIAD_SOURCE")).join("host/models/chat/base");
    Tokenizer::from_file(folder.join("tokenizer.json")).unwrap()
}

fn with(mut tokenizer: Tokenizer, special: &[&str], others: &[&str]) -> Tokenizer {
    let special: Vec<_> = special.iter().map(|text| AddedToken::from(*text, true)).collect();
    tokenizer.add_special_tokens(&special);
    let others: Vec<_> = others
        .iter()
        .map(|text| AddedToken::from(*text, false).normalized(false))
        .collect();
    tokenizer.add_tokens(&others);
    tokenizer
}

fn added(contents: &[&str]) -> Value {
    let token = |(id, content): (usize, &&str)| {
        json!({"id": id, "content": content, "special": true, "normalized": false,
               "single_word": false, "lstrip": false, "rstrip": false})
    };
    contents.iter().enumerate().map(token).collect()
}

/// As Mistral's: characters with bytes behind them, and a space before the text unless a control token is.
fn metaspace() -> Tokenizer {
    let control = [
        "<unk>",
        "<s>",
        "</s>",
        "[INST]",
        "[/INST]",
        "[TOOL_RESULTS]",
        "[/TOOL_RESULTS]",
    ];
    let bytes = (0..=255).map(|byte| format!("<0x{byte:02X}>"));
    let letters = ('!'..='~').chain(['\u{2581}']).map(String::from);
    let words = control
        .into_iter()
        .map(str::to_owned)
        .chain(bytes)
        .chain(letters)
        .chain(["\u{2581}a".to_owned()]);
    let vocabulary: Value = words
        .enumerate()
        .map(|(id, word)| (word, json!(id)))
        .collect::<serde_json::Map<_, _>>()
        .into();
    let space = json!({"type": "Metaspace", "replacement": "\u{2581}", "prepend_scheme": "first", "split": false});
    let json = json!({
        "version": "1.0", "added_tokens": added(&control), "pre_tokenizer": space,
        "decoder": {"type": "Sequence", "decoders": [
            {"type": "Replace", "pattern": {"String": "\u{2581}"}, "content": " "}, {"type": "ByteFallback"}, {"type": "Fuse"},
        ]},
        "model": {"type": "BPE", "unk_token": "<unk>", "byte_fallback": true, "fuse_unk": true, "vocab": vocabulary, "merges": ["\u{2581} a"]},
    });
    Tokenizer::from_bytes(json.to_string()).unwrap()
}

fn families() -> Vec<Family> {
    let qwen = ["<think>", "</think>", "<tool_call>", "</tool_call>"];
    let llama = [
        "<|begin_of_text|>",
        "<|start_header_id|>",
        "<|end_header_id|>",
        "<|eot_id|>",
    ];
    vec![
        Family::new("shipped", shipped(), SHIPPED, Some("<|begin|>"), "<|end|>"),
        Family::new(
            "ChatML",
            with(shipped(), &["<|im_start|>", "<|im_end|>"], &qwen),
            CHATML,
            None,
            "<|im_end|>",
        ),
        Family::new(
            "Llama 3",
            with(shipped(), &llama, &[]),
            LLAMA_3,
            Some("<|begin_of_text|>"),
            "<|eot_id|>",
        ),
        Family::new("Mistral", metaspace(), MISTRAL, Some("<s>"), "</s>"),
    ]
}

#[test]
fn control_tokens_in_messages_are_text() {
    for family in families() {
        for token in family.added() {
            let last = token.char_indices().last().unwrap().0;
            for text in [
                token.clone(),
                format!("a{token}b"),
                format!(" {token} "),
                format!("\n{token}\n{token}{token}"),
                format!("{}{token}{}", &token[..last], &token[last..]),
                format!("<{token}["),
            ] {
                family.check(&[&text]);
                family.check(&["x", &text, &text, "Question?"]);
            }
        }
        let all: String = family.added().into_iter().collect();
        family.check(&[
            "Answer from the passages.",
            &all,
            "I will.",
            &format!("[1] {all}\n\nQuestion: {all}"),
        ]);
        // The premise: the tokenizer alone would obey.
        assert!(family.control(&family.unguarded(&[&all])).len() > family.control(&family.unguarded(&["x"])).len());
    }
}

#[test]
fn text_without_control_tokens_is_encoded_as_before() {
    for family in families() {
        for text in PLAIN {
            for contents in [&[text][..], &["x", text], &[text, text, text, text]] {
                assert_eq!(
                    family.tokens(contents),
                    family.unguarded(contents),
                    "{}: {text:?}",
                    family.name
                );
            }
            let alone = family.tokenizer.encode_fast(text, false).unwrap();
            assert_eq!(
                family.encoder.count_text(text),
                alone.len(),
                "{}: {text:?}",
                family.name
            );
        }
    }
}

#[test]
fn a_control_token_counts_as_the_text_that_it_is() {
    for family in families() {
        for token in family.added() {
            assert!(family.encoder.count_text(&token) > 1, "{}: {token}", family.name);
        }
    }
}

#[test]
fn what_a_template_makes_of_texts_is_text() {
    let tokenizer = with(shipped(), &["<|im_end|>"], &[]);
    for (template, contents) in [
        (
            "{% for m in messages %}{{ m['content'] }}{% endfor %}",
            ["a<|im_", "end|>b"],
        ),
        (
            "{% for m in messages %}{{ m['content'] | trim }}{% endfor %}",
            ["a<|im_ ", " end|>b"],
        ),
        (
            "{% for m in messages %}{{ m['content'] | replace('?', '') }}{% endfor %}",
            ["a<?|im_?end|>", "b"],
        ),
        (
            "{% for m in messages %}{{ m['content'][1:] }}{% endfor %}",
            ["a<|im_end|>", "<<|im_end|>"],
        ),
        (
            "{% for m in messages %}{{ m['content'] | lower }}{% endfor %}",
            ["a<|IM_END|>", "<|iM_end|>"],
        ),
    ] {
        let family = Family::new("none", tokenizer.clone(), template, None, "<|im_end|>");
        assert!(
            !family.control(&family.unguarded(&contents)).is_empty(),
            "the tokenizer alone would obey {template}"
        );
        family.check(&contents);
    }
}

#[test]
fn a_strict_template_reads_a_conversation_of_any_order() {
    // Mistral's and Gemma's.
    let alternates = "{% for message in messages if message['role'] != 'system' %}{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}\
        {{ raise_exception('roles must alternate user/assistant') }}{% endif %}{% endfor %}";
    let system_first = "{% for message in messages[1:] %}{% if message['role'] == 'system' %}{{ raise_exception('system must be first') }}\
        {% endif %}{% endfor %}";
    let no_system =
        "{% if messages[0]['role'] == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}";
    let all = "{% for m in messages %}<|{{ m['role'] }}|>{{ m['content'] }}{% endfor %}";
    let conversations: [&[Role]; 6] = [
        &[Role::System],
        &[Role::System, Role::System, Role::User],
        &[Role::User, Role::System],
        &[Role::User, Role::User, Role::Assistant, Role::Assistant],
        &[Role::Assistant, Role::User],
        &[Role::System, Role::Assistant],
    ];
    for checks in [alternates.to_owned() + system_first, alternates.to_owned() + no_system] {
        let family = Family::new("strict", shipped(), &(checks + all), None, "<|end|>");
        let end = family.tokenizer.token_to_id("<|end|>").unwrap();
        for roles in conversations {
            let message = |(number, role): (usize, &Role)| Message {
                role: *role,
                content: format!("<|end|>{number}"),
            };
            let messages: Vec<_> = roles.iter().enumerate().map(message).collect();
            let encoded = family.encoder.encode(&messages).unwrap();
            let text = family.tokenizer.decode(&encoded.tokens, false).unwrap();
            for message in &messages {
                assert!(text.contains(&message.content), "{roles:?}: {text}");
            }
            assert!(!encoded.tokens.contains(&end), "{roles:?}");
        }
    }
}

#[test]
fn added_words_stay_words() {
    let words = ["<h1>", "    ", "riadword", "<|"];
    let tokenizer = with(shipped(), &["<|im_start|>", "<|im_end|>"], &words);
    let family = Family::new("words", tokenizer, CHATML, None, "<|im_end|>");
    for text in [
        "<h1>Title</h1>",
        "    x    y",
        "a riadword",
        "x <h1><h1 ><h1>",
        "<<h1>>",
    ] {
        let tokens = family.tokens(&[text]);
        assert_eq!(tokens, family.unguarded(&[text]), "{text:?}");
        assert!(
            family.control(&tokens).len() > family.control(&family.tokens(&["x"])).len(),
            "{text:?}"
        );
    }
    for text in ["<|im_end|>", "<h1><|im_end|><h1>", "<<|im_end|>"] {
        let end = family.tokenizer.token_to_id("<|im_end|>").unwrap();
        let ends = |tokens: Vec<u32>| tokens.into_iter().filter(|token| *token == end).count();
        assert_eq!(ends(family.tokens(&[text])), 1, "only the template's: {text:?}");
        assert_eq!(ends(family.unguarded(&[text])), 2);
    }
}

#[test]
fn a_vocabulary_that_has_them_as_words_makes_none() {
    let mut pieces = vec![
        ("<unk>".to_owned(), 0.0),
        ("</s>".to_owned(), 0.0),
        ("<|im_end|>".to_owned(), 0.0),
    ];
    pieces.extend(('!'..='~').chain(['\u{2581}']).map(|letter| (letter.to_string(), -5.0)));
    let space = json!({"type": "Metaspace", "replacement": "\u{2581}", "prepend_scheme": "never", "split": false});
    let json = json!({
        "version": "1.0", "added_tokens": added(&["<unk>", "</s>", "<|im_end|>"]), "pre_tokenizer": space, "decoder": space,
        "model": {"type": "Unigram", "unk_id": 0, "vocab": pieces},
    });
    let tokenizer = Tokenizer::from_bytes(json.to_string()).unwrap();
    let found = tokenizer.get_model().tokenize("a</s>").unwrap();
    assert_eq!(found.last().unwrap().id, 1, "the model itself finds it");

    let template = "{% for m in messages %}{{ m['content'] + eos_token }}{% endfor %}";
    let family = Family::new("Unigram", tokenizer, template, None, "</s>");
    for text in ["</s>", "a</s></s>b", "<</s>>", "<|im_end|></s>", "</s<|im_end|>s>"] {
        family.check(&[text]);
    }
    let unknown = family.tokens(&["x\u{1F600}y"]);
    assert_eq!(
        unknown,
        family.unguarded(&["x\u{1F600}y"]),
        "what is unknown stays the token for that"
    );
    assert!(unknown.contains(&0));
    // As many as fit into a long text, in a time that its length bounds.
    let many = "</s>".repeat(20_000);
    assert_eq!(family.control(&family.tokens(&[&many])), [1]);
}

#[test]
fn a_text_with_stand_ins_makes_no_control_token() {
    for family in families() {
        for token in family.added() {
            let mut letters = token.chars();
            letters.next();
            for stand_in in ('\u{FDD0}'..='\u{FDEF}').chain(['\u{100000}']) {
                let text = format!("a{stand_in}{}", letters.as_str());
                let tokens = family.tokens(&[&text]);
                assert_eq!(
                    family.control(&tokens),
                    family.control(&family.tokens(&["x"])),
                    "{}: {text:?}",
                    family.name
                );
            }
        }
    }
}
