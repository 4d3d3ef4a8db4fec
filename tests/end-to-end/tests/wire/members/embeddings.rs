//! The members of `/v1/embeddings`: OpenAI's, and those of other servers that would change a vector.

use super::table::{Operation, ignored, read, refused, required};
use riad_end_to_end::{EMBEDDER, TestHost};
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn each_member_of_embeddings_is_served_or_refused() {
    let host = TestHost::builder().max_sequences(1).start().await;
    let tenant = host.tenant("acme").await;
    let operation = Operation {
        path: "/v1/embeddings",
        body: json!({"model": EMBEDDER, "input": "A refund"}),
        answer: "/data/0/embedding",
    };
    let members = vec![
        required("/model", json!(EMBEDDER), json!(5)),
        required("/input", json!("A refund"), json!({"text": "A refund"})),
        read("/encoding_format", json!("base64"), json!("int8")),
        read("/dimensions", json!(64), json!("many")),
        ignored("/user", json!("ann")),
        // Of other servers.
        ignored("/input_type", json!("query")),
        ignored("/truncate", json!("END")),
        refused("/instruction", json!("Represent this:"), [json!("")]),
        refused("/normalize", json!(false), [json!(true)]),
        refused("/output_dimension", json!(64), []),
        refused("/output_dtype", json!("int8"), [json!("float")]),
    ];
    operation.check(&tenant, members).await;
}
