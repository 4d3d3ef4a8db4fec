//! Which requests are rejected, and the field that the error names.

use super::*;

fn profile() -> ModelProfile {
    ModelProfile {
        id: "tiny".into(),
        context_tokens: 100,
        prompt_tokens: 80,
        passages: 3,
        sentences: 3,
        completion_tokens: 64,
        temperature: 0.5,
    }
}

fn message(role: &str, content: &str) -> ChatMessage {
    ChatMessage {
        role: role.into(),
        content: Some(content.into()),
        ..ChatMessage::default()
    }
}

fn request() -> ChatRequest {
    ChatRequest {
        model: "tiny".into(),
        messages: vec![message("developer", "Be brief."), message("user", "Hello?")],
        ..ChatRequest::default()
    }
}

fn check(request: ChatRequest) -> Result<ValidRequest> {
    check_for(request, &TenantLimits::default())
}

fn check_for(request: ChatRequest, tenant: &TenantLimits) -> Result<ValidRequest> {
    ValidRequest::check(request, &profile(), &Limits::default(), tenant)
}

#[test]
fn a_plain_request_gets_the_defaults() {
    let valid = check(request()).unwrap();
    assert_eq!(valid.messages()[0].role, riad_core::chat::Role::System);
    assert_eq!(valid.choices(), 1);
    assert_eq!(valid.max_tokens(), 64);
    assert_eq!(valid.sampling.temperature, 0.5, "the model's own");
    assert_eq!(valid.model().adapter(), None);
}

#[test]
fn values_out_of_range_are_rejected_with_the_fields_name() {
    type Change = fn(&mut ChatRequest);
    let table: &[(&str, Change)] = &[
        ("messages", |r| r.messages.clear()),
        ("messages[0].role", |r| r.messages[0].role = "robot".into()),
        ("max_tokens", |r| r.max_tokens = Some(0)),
        ("service_tier", |r| r.service_tier = Some(Tier::Priority)),
        ("temperature", |r| r.temperature = Some(2.1)),
        ("temperature", |r| r.temperature = Some(-0.1)),
        ("temperature", |r| r.temperature = Some(f32::NAN)),
        ("top_p", |r| r.top_p = Some(-0.1)),
        ("top_p", |r| r.top_p = Some(1.1)),
        ("top_k", |r| r.top_k = Some(-2)),
        ("top_k", |r| r.top_k = Some(1 << 32)),
        ("min_p", |r| r.min_p = Some(-0.1)),
        ("min_p", |r| r.min_p = Some(1.1)),
        ("frequency_penalty", |r| r.frequency_penalty = Some(2.5)),
        ("presence_penalty", |r| r.presence_penalty = Some(-2.5)),
        ("repetition_penalty", |r| r.repetition_penalty = Some(0.0)),
        ("repetition_penalty", |r| r.repetition_penalty = Some(f32::MIN_POSITIVE)),
        ("stop", |r| r.stop = vec![String::new()]),
        ("stop", |r| r.stop = vec!["x".into(); 17]),
        ("stop", |r| r.stop = vec!["x".repeat(257)]),
        ("top_logprobs", |r| {
            (r.logprobs, r.top_logprobs) = (Some(true), Some(21));
        }),
        ("top_logprobs", |r| r.top_logprobs = Some(1)),
        ("logit_bias", |r| r.logit_bias = [("5".into(), -100.5)].into()),
        ("logit_bias", |r| r.logit_bias = [("5".into(), f32::NAN)].into()),
        ("logit_bias", |r| r.logit_bias = [("+5".into(), 1.0)].into()),
        ("logit_bias", |r| {
            r.logit_bias = (0..301).map(|token| (token.to_string(), 1.0)).collect();
        }),
        ("n", |r| r.n = Some(0)),
        ("n", |r| r.n = Some(9)),
    ];
    for (param, change) in table {
        let mut request = request();
        change(&mut request);
        let error = check(request).unwrap_err();
        assert_eq!(
            (error.kind(), error.param()),
            (ErrorKind::InvalidRequest, Some(*param)),
            "{error}"
        );
    }
}

#[test]
fn the_ends_of_the_ranges_are_allowed() {
    let valid = check(ChatRequest {
        max_tokens: Some(99),
        temperature: Some(2.0),
        top_p: Some(1.0),
        top_k: Some(1),
        min_p: Some(0.0),
        frequency_penalty: Some(-2.0),
        presence_penalty: Some(2.0),
        repetition_penalty: Some(2.0),
        stop: vec!["x".into(); 16],
        n: Some(8),
        logprobs: Some(true),
        top_logprobs: Some(20),
        logit_bias: [("0".into(), -100.0), ("5".into(), 100.0)].into(),
        ..request()
    });
    assert!(valid.is_ok());
}

#[test]
fn values_that_switch_a_cut_off_do() {
    let sampling = |change: fn(&mut ChatRequest)| {
        let mut request = request();
        change(&mut request);
        check(request).unwrap().sampling
    };
    for top_k in [
        |r: &mut ChatRequest| r.top_k = Some(0),
        |r: &mut ChatRequest| r.top_k = Some(-1),
    ] {
        assert_eq!(sampling(top_k), sampling(|_| {}));
    }
    assert_eq!(
        sampling(|r| r.top_p = Some(0.0)),
        sampling(|r| r.temperature = Some(0.0))
    );
}

#[test]
fn an_unknown_model_is_named() {
    let error = check(ChatRequest {
        model: "gpt-4o".into(),
        ..request()
    })
    .unwrap_err();
    assert_eq!((error.kind(), error.param()), (ErrorKind::ModelNotFound, Some("model")));
    assert!(error.message().contains("gpt-4o"));
}

#[test]
fn only_a_default_max_tokens_shrinks_to_fit_the_context() {
    let unsaid = check(request()).unwrap();
    assert_eq!(unsaid.fit(10, 100).unwrap().max_tokens, 64);
    assert_eq!(unsaid.fit(90, 100).unwrap().max_tokens, 10);
    assert_eq!(unsaid.fit(99, 100).unwrap().max_tokens, 1);
    let error = unsaid.fit(100, 100).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ContextTooLong);

    let said = check(ChatRequest {
        max_tokens: Some(50),
        ..request()
    })
    .unwrap();
    assert_eq!(said.fit(50, 100).unwrap().max_tokens, 50);
    let error = said.fit(51, 100).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ContextTooLong);
    assert!(
        error.message().contains("100") && error.message().contains("101"),
        "{error}"
    );
}

#[test]
fn max_tokens_that_fill_the_context_alone_are_too_long() {
    let error = check(ChatRequest {
        max_tokens: Some(100),
        ..request()
    })
    .unwrap_err();
    assert_eq!(
        (error.kind(), error.param()),
        (ErrorKind::ContextTooLong, Some("max_tokens"))
    );
}

#[test]
fn a_tenants_limits_hold_before_the_models() {
    let tenant = TenantLimits {
        context_tokens: Some(40),
        completion_tokens: Some(20),
        service_tier: Tier::Flex,
        ..TenantLimits::default()
    };
    let unsaid = check_for(request(), &tenant).unwrap();
    assert_eq!((unsaid.max_tokens(), unsaid.tier()), (20, Tier::Flex));
    assert_eq!(unsaid.fit(30, 100).unwrap().max_tokens, 10);
    let error = unsaid.fit(40, 100).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ContextTooLong);
    assert!(error.message().contains("this tenant's limit"), "{error}");
    assert!(error.message().contains("40 tokens"), "{error}");

    let asks = |max_tokens, service_tier| {
        let request = ChatRequest {
            max_tokens,
            service_tier,
            ..request()
        };
        check_for(request, &tenant)
    };
    assert!(asks(Some(20), Some(Tier::Flex)).is_ok());
    let error = asks(Some(21), None).unwrap_err();
    assert_eq!(error.param(), Some("max_tokens"));
    assert!(error.message().contains("at most 20"), "{error}");
    let error = asks(None, Some(Tier::Default)).unwrap_err();
    assert_eq!(error.param(), Some("service_tier"));
    assert!(error.message().contains("at most flex"), "{error}");
}

#[test]
fn a_limit_above_the_models_context_changes_nothing() {
    let tenant = TenantLimits {
        context_tokens: Some(1000),
        service_tier: Tier::Priority,
        ..TenantLimits::default()
    };
    let valid = check_for(request(), &tenant).unwrap();
    assert_eq!(valid.tier(), Tier::Default, "the default tier needs no request");
    let error = valid.fit(100, 100).unwrap_err();
    assert!(
        error.message().contains("this model's maximum context length is 100"),
        "{error}"
    );
}
