//! Adapters that do not fit: the tensor at fault is named, and the alias keeps its generation.

use super::case::{Body, Case, check_all};
use bytes::Bytes;
use reqwest::{
    Method,
    multipart::{Form, Part},
};
use riad_end_to_end::{
    Tenant, TestHost,
    files::{Adapter, Tensors},
};
use safetensors::Dtype;
use serde_json::{Value, json};

const CONFIG: &str = "adapter_config.json";
const WEIGHTS: &str = "adapter_model.safetensors";
const Q: &str = "base_model.model.model.layers.0.self_attn.q_proj";

fn form(files: &[(&'static str, &Bytes)]) -> Form {
    let add = |form: Form, (name, bytes): &(&'static str, &Bytes)| form.part(*name, Part::bytes(bytes.to_vec()));
    files.iter().fold(Form::new(), add)
}

fn put(adapter: &Adapter) -> Case {
    let form = form(&[(CONFIG, &adapter.config), (WEIGHTS, &adapter.weights)]);
    Case::new(Method::PUT, "/v1/adapters/house", Body::Form(form))
}

async fn tenant(host: &TestHost) -> (Tenant, Value) {
    let tenant = host.tenant("acme").await;
    tenant.put_adapter("house", &Adapter::acme()).await.ok();
    let listed = tenant.get("/v1/adapters").await.ok();
    (tenant, listed)
}

/// The tensor of a layer's half.
fn half(letter: char) -> String {
    format!("{Q}.lora_{letter}.weight")
}

/// A tensor of zeros.
fn zeros(shape: &[usize]) -> (Dtype, Vec<usize>, Vec<u8>) {
    (Dtype::F32, shape.to_vec(), vec![0; shape.iter().product::<usize>() * 4])
}

#[tokio::test(flavor = "multi_thread")]
async fn weights_that_do_not_fit_name_the_tensor_and_change_nothing() {
    let host = TestHost::builder().max_sequences(1).start().await;
    let (tenant, before) = tenant(&host).await;
    let good = Adapter::acme();
    let (a, b) = (half('A'), half('B'));
    let shapes: Vec<Vec<usize>> = [&a, &b].map(|name| good.tensors()[name].1.clone()).into();
    let (rank, width) = (shapes[0][0], shapes[0][1]);
    assert_eq!(rank, 8);
    let with = |change: &dyn Fn(&mut Tensors)| put(&good.clone().with_tensors(|tensors| change(tensors)));
    let insert = |name: &str, tensor: (Dtype, Vec<usize>, Vec<u8>)| {
        let case = with(&|tensors| drop(tensors.insert(name.to_owned(), tensor.clone())));
        case.param(WEIGHTS).says(&[name])
    };
    let strange = "base_model.model.model.layers.99.self_attn.q_proj.lora_A.weight";
    let wide = format!("[{rank}, {}]", width + 1);
    let (narrow, wanted) = (format!("[4, {width}]"), format!("[{rank}, {width}]"));
    check_all(
        &tenant,
        vec![
            // Wrong shapes: a layer of another width, halves that are swapped, another rank than the configuration's.
            insert(&a, zeros(&[rank, width + 1])).says(&[&wide, &wanted]),
            insert(&a, zeros(&[width, rank])),
            insert(&a, zeros(&[4, width])).says(&[&narrow, &wanted]),
            insert(&a, zeros(&[rank * width])),
            put(&good.clone().with_config("r", 4))
                .param(WEIGHTS)
                .says(&["lora_A.weight", "r in adapter_config.json"]),
            // Tensors that no layer would use.
            insert(strange, zeros(&[rank, width])).says(&["model.layers.99.self_attn.q_proj"]),
            insert("base_model.model.lm_head.lora_A.weight", zeros(&[rank, width])).says(&["lm_head"]),
            insert(
                "base_model.model.model.embed_tokens.lora_embedding_A",
                zeros(&[rank, width]),
            ),
            insert(&format!("{Q}.lora_magnitude_vector"), zeros(&[width])),
            insert("model.layers.0.self_attn.q_proj.lora_A.weight", zeros(&[rank, width])).says(&["base_model.model."]),
            // A half without the other.
            with(&|tensors| drop(tensors.remove(&b)))
                .param(WEIGHTS)
                .says(&[&a, "lora_B"]),
            with(&|tensors| drop(tensors.remove(&a)))
                .param(WEIGHTS)
                .says(&[&b, "lora_A"]),
            insert(&a, (Dtype::I64, vec![rank, width], vec![0; rank * width * 8])).says(&["I64", "F32"]),
            with(&Tensors::clear).param(WEIGHTS).says(&["no tensors"]),
        ],
    )
    .await;
    let mut broken = good.clone();
    broken.weights = Bytes::from_static(b"not a file of tensors");
    put(&broken)
        .param(WEIGHTS)
        .says(&["cannot be read"])
        .check(&tenant)
        .await;
    broken.weights = good.weights.slice(..good.weights.len() / 2);
    put(&broken)
        .param(WEIGHTS)
        .says(&["cannot be read"])
        .check(&tenant)
        .await;

    assert_eq!(tenant.get("/v1/adapters").await.ok(), before);
    let answer = tenant.chat(&riad_end_to_end::Chat::new("Hello").adapter("house")).await;
    assert_eq!(
        answer["riad"]["receipt"]["adapter_generation"],
        before["data"][0]["generation"]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_configuration_that_means_other_arithmetic_is_refused() {
    let host = TestHost::builder().max_sequences(1).start().await;
    let (tenant, before) = tenant(&host).await;
    let with = |name: &str, value: Value| {
        put(&Adapter::acme().with_config(name, value))
            .param(CONFIG)
            .says(&[name])
    };
    let mut junk = Adapter::acme();
    junk.config = Bytes::from_static(b"{");
    check_all(
        &tenant,
        vec![
            with("peft_type", "IA3".into()).says(&["LORA"]),
            with("r", 0.into()).says(&["1 to 1024"]),
            with("r", 5000.into()).says(&["1 to 1024"]),
            with("lora_alpha", 0.into()),
            with("use_dora", true.into()).says(&["not supported"]),
            with("bias", "all".into()).says(&["not supported"]),
            with("modules_to_save", json!(["lm_head"])).says(&["not supported"]),
            with("rank_pattern", json!(["q_proj"])).says(&["rank_pattern", "object"]),
            with("alpha_pattern", json!({"q_proj": 0})).says(&["alpha_pattern.q_proj"]),
            with("target_modules", json!("(q_proj")).says(&["target_modules", "expression"]),
            put(&junk).param(CONFIG).says(&["not a PEFT configuration"]),
        ],
    )
    .await;
    assert_eq!(tenant.get("/v1/adapters").await.ok(), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_form_that_is_no_adapter_is_refused() {
    let host = TestHost::builder()
        .max_sequences(1)
        .limits(|limits| limits.adapter_bytes = 600_000)
        .start()
        .await;
    let (tenant, before) = tenant(&host).await;
    let good = Adapter::acme();
    let case = |alias: &str, form: Form| Case::new(Method::PUT, &format!("/v1/adapters/{alias}"), Body::Form(form));
    let both = || form(&[(CONFIG, &good.config), (WEIGHTS, &good.weights)]);
    let (large, huge) = (Bytes::from(vec![0; 650_000]), Bytes::from(vec![0; 900_000]));
    check_all(
        &tenant,
        vec![
            case("House", both()).says(&["adapter alias", "a-z"]),
            case("a%20b", both()).says(&["adapter alias"]),
            case("house", form(&[(WEIGHTS, &good.weights)]))
                .param(CONFIG)
                .says(&["lacks"]),
            case("house", form(&[(CONFIG, &good.config)]))
                .param(WEIGHTS)
                .says(&["lacks"]),
            case("house", both().text("alpha", "16"))
                .param("alpha")
                .says(&[CONFIG, WEIGHTS]),
            case("house", both().text(CONFIG, "{}")).param(CONFIG).says(&["twice"]),
            Case::put("/v1/adapters/house", json!({})).says(&["multipart/form-data"]),
            Case::delete("/v1/adapters/nobody")
                .is(404, "not_found")
                .says(&["nobody"]),
            Case::delete("/v1/adapters/No%20Body").is(404, "not_found"),
            case("house", form(&[(CONFIG, &good.config), (WEIGHTS, &large)]))
                .is(413, "too_large")
                .param(WEIGHTS)
                .says(&["650000", "600000"]),
            case("house", form(&[(CONFIG, &good.config), (WEIGHTS, &huge)]))
                .is(413, "too_large")
                .says(&["larger"]),
            case(
                "house",
                form(&[(CONFIG, &Bytes::from(vec![b' '; 70_000])), (WEIGHTS, &good.weights)]),
            )
            .is(413, "too_large")
            .param(CONFIG),
        ],
    )
    .await;
    assert_eq!(tenant.get("/v1/adapters").await.ok(), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_adapter_over_the_highest_rank_is_refused() {
    let host = TestHost::builder()
        .max_sequences(1)
        .limits(|limits| limits.adapter_rank = 7)
        .start()
        .await;
    let acme = host.tenant("acme").await;
    let refused = acme.put_adapter("desk", &Adapter::acme()).await;
    assert_eq!(
        (refused.status.as_u16(), refused.text("/error/param")),
        (400, "adapter_config.json".into())
    );
    for words in ["rank 8", "up to 7"] {
        assert!(refused.message().contains(words), "{}", refused.message());
    }
    assert_eq!(acme.get("/v1/adapters").await.ok()["data"], serde_json::json!([]));
}
