//! Parameters of queries: every operation that has some names the one at fault, in words of the server's own.

use reqwest::Method;
use riad_end_to_end::{Answer, Caller, TestHost};
use serde_json::{Value, json};

/// An operation with parameters in its query.
struct Operation {
    method: Method,
    path: String,
    /// Names and types.
    parameters: Vec<(String, String)>,
}

async fn operations(caller: &Caller) -> Vec<Operation> {
    let document = caller.get("/openapi.json").await.ok();
    let mut operations = Vec::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            let parameters = operation["parameters"].as_array().cloned().unwrap_or_default();
            let of_query = parameters.iter().filter(|parameter| parameter["in"] == "query");
            let parameters: Vec<_> = of_query
                .map(|parameter| (text(&parameter["name"]), r#type(parameter)))
                .collect();
            if !parameters.is_empty() {
                operations.push(Operation {
                    method: method.to_uppercase().parse().unwrap(),
                    // No id has to be there: a query is read before what is at the path.
                    path: path.replace(['{', '}'], ""),
                    parameters,
                });
            }
        }
    }
    operations
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

/// The first of its types: others say that it may be left out.
fn r#type(parameter: &Value) -> String {
    let kind = &parameter["schema"]["type"];
    text(kind.as_array().map_or(kind, |types| &types[0]))
}

async fn ask(host: &TestHost, tenant: &Caller, operation: &Operation, query: &str) -> Answer {
    let caller = if operation.path.starts_with("/operator") {
        &host.operator
    } else {
        tenant
    };
    let request = caller.request(operation.method.clone(), &format!("{}?{query}", operation.path));
    caller
        .send(request.json(&json!({"title": "T", "text": "A text."})))
        .await
}

#[tokio::test(flavor = "multi_thread")]
async fn every_operation_names_the_parameter_at_fault() {
    let host = TestHost::builder().max_sequences(1).start().await;
    let tenant = host.tenant("acme").await;
    let operations = operations(&tenant).await;
    assert!(operations.len() >= 18, "{} operations have a query", operations.len());
    for operation in &operations {
        let mut wrong = vec![("perhaps".to_owned(), "perhaps=1".to_owned(), "is no parameter")];
        for (name, r#type) in &operation.parameters {
            let cases: &[(&str, &str)] = match r#type.as_str() {
                "integer" => &[("x", "whole number"), ("-1", "whole number"), ("", "whole number")],
                "boolean" => &[("perhaps", "true or false"), ("", "true or false")],
                "array" => continue,
                _ => &[],
            };
            wrong.extend(
                cases
                    .iter()
                    .map(|(value, says)| (name.clone(), format!("{name}={value}"), *says)),
            );
            let twice = match r#type.as_str() {
                "boolean" => format!("{name}=true&{name}=true"),
                _ => format!("{name}=1&{name}=1"),
            };
            wrong.push((name.clone(), twice, "several times"));
        }
        for (param, query, says) in wrong {
            let at = format!("{} {}?{query}", operation.method, operation.path);
            let refused = ask(&host, &tenant, operation, &query).await;
            assert_eq!(refused.status, 400, "{at}: {}", refused.body);
            assert_eq!(refused.text("/error/param"), param, "{at}: {}", refused.body);
            assert_eq!(refused.text("/error/type"), "invalid_request_error", "{at}");
            assert!(refused.message().contains(says), "{at}: {}", refused.message());
            for foreign in [
                "deserialize",
                "query string",
                "invalid digit",
                "missing field",
                "unknown field",
            ] {
                assert!(!refused.message().contains(foreign), "{at}: {}", refused.message());
            }
        }
    }
    // One that must be there.
    let missing = tenant.get("/v1/usage").await.refused(400, "");
    assert_eq!(missing.text("/error/param"), "start_time");
    // A list is a parameter that is there several times.
    for query in ["include=file_search_call.results&include=x", "include[]=x"] {
        let refused = tenant
            .get(&format!("/v1/responses/resp_0?{query}"))
            .await
            .refused(400, "");
        assert_eq!(refused.text("/error/param"), "include", "{}", refused.body);
    }
    let two = "include[]=file_search_call.results&include[]=message.output_text.logprobs";
    tenant
        .get(&format!("/v1/responses/resp_0?{two}"))
        .await
        .refused(404, "not_found");
}
