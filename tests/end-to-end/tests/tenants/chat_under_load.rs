//! Thirty-two chats at once, over two tenants and the base with two adapters: each answer is what it is alone.
//! Not here: streams as such (`streaming`).

use futures::future::join_all;
use riad_end_to_end::{
    Chat, Stream, Tenant, TestHost,
    files::{self, Adapter},
};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

const QUESTIONS: [&str; 3] = [
    "What is the refund window?",
    "How long is the warranty of the Kestrel drill?",
    "What is the notice period of the Meridian contract?",
];
const ALIASES: [&str; 2] = ["prose", "json"];
const CHATS: usize = 32;

/// Tenant, model and question, by their places.
type Which = (usize, usize, usize);

/// What of an answer may not depend on who else asks.
#[derive(Debug, PartialEq)]
struct Said {
    text: String,
    finish: Value,
    usage: Value,
    passages: Value,
    citations: Value,
    receipt: Value,
}

struct House {
    tenants: [Tenant; 2],
    /// By alias: generation and tensors.
    adapters: BTreeMap<&'static str, (String, u64)>,
    /// The digest of who serves prompting and postprocessing, by tenant.
    plugins: [String; 2],
}

async fn furnish(host: &TestHost) -> House {
    let (acme, globex) = host.neighbors().await;
    let mut adapters = BTreeMap::new();
    for (alias, files) in ALIASES.into_iter().zip([Adapter::acme(), Adapter::globex()]) {
        let tensors = files.tensors().len() as u64;
        for tenant in [&acme, &globex] {
            let made = tenant.put_adapter(alias, &files).await.ok();
            assert_eq!(made["tensors"], tensors);
            let generation = made["generation"].as_str().unwrap().to_owned();
            adapters.insert(alias, (generation, tensors));
        }
    }
    let version = acme
        .deploy("desk", files::PRICE_DESK, &["prompting", "postprocessing"])
        .await;
    assert_eq!(version, files::digest(files::PRICE_DESK));
    House {
        tenants: [acme, globex],
        adapters,
        plugins: [version, files::digest(files::STANDARD)],
    }
}

impl House {
    fn chat(&self, (_, model, question): Which) -> Chat {
        let chat = Chat::new(QUESTIONS[question]);
        match model {
            0 => chat,
            model => chat.adapter(ALIASES[model - 1]),
        }
    }

    async fn ask(&self, which: Which, streamed: bool) -> Said {
        let (tenant, chat) = (&self.tenants[which.0], self.chat(which));
        if !streamed {
            let answer = tenant.chat(&chat).await;
            let choice = &answer["choices"][0];
            return Said::new(&choice["message"]["content"], choice, &answer["usage"], &answer["riad"]);
        }
        let chat = chat.with("stream_options", json!({"include_usage": true}));
        let events = tenant.stream(&chat).await.rest().await;
        let last = events
            .iter()
            .find(|event| event["choices"][0]["finish_reason"].is_string());
        let usage = events.iter().find(|event| event["usage"].is_object()).unwrap();
        let text = Stream::text(&events, 0).into();
        Said::new(
            &text,
            &last.unwrap()["choices"][0],
            &usage["usage"],
            &Stream::riad(&events),
        )
    }

    /// The receipt names who was asked, what answered, and what was used.
    fn check(&self, which: Which, said: &Said) {
        let receipt = &said.receipt;
        assert_eq!(receipt["tenant"], self.tenants[which.0].id);
        assert_eq!(receipt["model"], self.chat(which).model());
        let (generation, tensors) = match which.1 {
            0 => (Value::Null, 0),
            model => {
                let (generation, tensors) = &self.adapters[ALIASES[model - 1]];
                (generation.as_str().into(), *tensors)
            }
        };
        assert_eq!(receipt["adapter_generation"], generation);
        assert_eq!(receipt["adapter_tensors"], tensors);
        let replaced = &self.plugins[which.0];
        assert_eq!(
            receipt["plugins"],
            json!({"retrieval": files::digest(files::STANDARD), "prompting": replaced, "postprocessing": replaced})
        );
        for tokens in ["prompt_tokens", "completion_tokens"] {
            assert_eq!(receipt[tokens], said.usage[tokens]);
            assert!(receipt[tokens].as_u64().unwrap() > 0);
        }
        let sum = receipt["prompt_tokens"].as_u64().unwrap() + receipt["completion_tokens"].as_u64().unwrap();
        assert_eq!(said.usage["total_tokens"], sum);
        assert!(receipt["index_watermark"].as_u64().unwrap() >= files::ACME.len() as u64);
    }
}

impl Said {
    fn new(text: &Value, choice: &Value, usage: &Value, riad: &Value) -> Self {
        let mut receipt = riad["receipt"].clone();
        // How much the filter computes depends on how the answer was cut into pieces.
        let fuel = receipt.as_object_mut().unwrap().remove("fuel");
        assert!(fuel.unwrap().as_u64().unwrap() > 0);
        // New for each request.
        for name in ["number", "request", "jws"] {
            assert!(receipt.as_object_mut().unwrap().remove(name).is_some());
        }
        // What the prefix cache had depends on the requests before.
        let mut usage = usage.clone();
        let details = usage.as_object_mut().unwrap().remove("prompt_tokens_details").unwrap();
        let cached = receipt.as_object_mut().unwrap().remove("cached_tokens");
        assert_eq!(cached.as_ref(), Some(&details["cached_tokens"]));
        Self {
            text: text.as_str().unwrap().to_owned(),
            finish: choice["finish_reason"].clone(),
            usage,
            passages: riad["passages"].clone(),
            citations: riad["citations"].clone(),
            receipt,
        }
    }
}

/// Both tenants, all models and questions, streamed and not, spread over the chats.
fn which(chat: usize) -> (Which, bool) {
    ((chat % 2, chat / 2 % 3, chat / 6 % 3), (chat / 2).is_multiple_of(2))
}

#[tokio::test(flavor = "multi_thread")]
async fn each_of_32_concurrent_chats_is_answered_as_if_it_were_alone() {
    let host = TestHost::builder().max_sequences(4).start().await;
    let house = furnish(&host).await;

    let mut alone = BTreeMap::new();
    let wanted: BTreeSet<Which> = (0..CHATS).map(|chat| which(chat).0).collect();
    for which in wanted {
        let said = house.ask(which, false).await;
        house.check(which, &said);
        alone.insert(which, said);
    }
    // Else "the same" would say nothing: tenants and models do answer differently.
    let texts = |which: &dyn Fn(&Which) -> bool| -> BTreeSet<&str> {
        let chosen = alone.iter().filter(|(key, _)| which(key));
        chosen.map(|(_, said)| said.text.as_str()).collect()
    };
    assert!(
        texts(&|key| key.0 == 0 && key.2 == 0).len() == 3,
        "the models say the same: {alone:?}"
    );
    assert!(
        texts(&|key| key.1 == 0 && key.2 == 0).len() == 2,
        "the tenants say the same: {alone:?}"
    );

    for _ in 0..2 {
        let together = join_all(
            (0..CHATS)
                .map(which)
                .map(|(which, streamed)| house.ask(which, streamed)),
        )
        .await;
        for (chat, said) in together.iter().enumerate() {
            let (which, streamed) = which(chat);
            assert_eq!(*said, alone[&which], "chat {chat}, streamed: {streamed}");
            house.check(which, said);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn replacing_an_alias_changes_only_later_answers() {
    let host = TestHost::builder().max_sequences(2).start().await;
    let tenant = host.tenant("acme").await;
    for (title, text) in files::ACME {
        tenant.add_document(title, text).await;
    }
    let chat = Chat::new(QUESTIONS[0]).adapter("house");
    let receipt = |answer: &Value| answer["riad"]["receipt"]["adapter_generation"].clone();
    let text = |answer: &Value| answer["choices"][0]["message"]["content"].clone();

    let first = tenant.put_adapter("house", &Adapter::acme()).await.ok();
    let old = tenant.chat(&chat).await;
    assert_eq!(receipt(&old), first["generation"]);
    let second = tenant.put_adapter("house", &Adapter::globex()).await.ok();
    assert_ne!(first["generation"], second["generation"]);
    let new = tenant.chat(&chat).await;
    assert_eq!(receipt(&new), second["generation"]);
    assert_ne!(text(&old), text(&new));

    tenant.put_adapter("house", &Adapter::acme()).await.ok();
    assert_eq!(text(&tenant.chat(&chat).await), text(&old));
    tenant.delete("/v1/adapters/house").await.ok();
    let gone = tenant.try_chat(&chat).await;
    assert_eq!((gone.status.as_u16(), gone.code().as_str()), (404, "model_not_found"));
    assert_eq!(receipt(&tenant.chat(&Chat::new(QUESTIONS[0])).await), Value::Null);
}
