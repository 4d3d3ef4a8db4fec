//! The configuration names what is wrong in it, and the later layer wins.

use super::{setting::Kind, *};

fn load(toml: &str, environment: &[(&str, &str)]) -> Result<Config> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("riad.toml");
    std::fs::write(&file, toml).unwrap();
    Config::load(
        Some(&file),
        environment.iter().map(|(name, value)| (name.into(), value.into())),
        &Overrides::default(),
    )
}

fn keys() -> Vec<setting::Key> {
    let mut keys = Vec::new();
    Config::describe("", "", &mut keys);
    keys
}

#[test]
fn without_any_source_the_defaults_hold() {
    let config = Config::load(None, [], &Overrides::default()).unwrap();
    assert_eq!(config, Config::default());
    assert_eq!(config.server.listen, "127.0.0.1:8080");
}

#[test]
fn an_unknown_key_is_named_with_its_file() {
    for (toml, key) in [
        ("[server]\nlisten_on = \"x\"", "listen_on"),
        ("[sever]\nlisten = \"x\"", "sever"),
        ("[engine.profile]\ncontext = 5", "context"),
        ("[limits]\nqueues = 5", "queues"),
    ] {
        let message = load(toml, &[]).unwrap_err().to_string();
        assert!(message.contains(key) && message.contains("riad.toml"), "{message}");
        assert!(!message.contains('\n'), "{message}");
    }
}

#[test]
fn a_key_of_a_former_version_is_answered_with_its_replacement() {
    for (section, old, new) in [
        ("engine", "lanes", "engine.max_sequences"),
        ("limits", "reply_hours", "limits.idempotency_hours"),
        ("limits", "reply_bytes", "limits.idempotency_bytes"),
    ] {
        assert!(keys().iter().any(|key| key.path == new), "{new}");
        let variable = format!("RIAD_{section}__{old}").to_uppercase();
        for message in [
            load(&format!("[{section}]\n{old} = 4096"), &[])
                .unwrap_err()
                .to_string(),
            load("", &[(&variable, "4096")]).unwrap_err().to_string(),
        ] {
            let expected = format!("`{section}.{old}` was replaced by {new}");
            assert!(message.contains(&expected), "{message}");
        }
    }
}

#[test]
fn a_wrong_type_or_value_is_named() {
    assert!(
        load("[engine]\nmax_sequences = \"two\"", &[])
            .unwrap_err()
            .to_string()
            .contains("max_sequences")
    );
    assert!(
        load("[engine]\ndtype = \"f8\"", &[])
            .unwrap_err()
            .to_string()
            .contains("f8")
    );
    let error = load("[engine]\nquantization = \"q4k\"", &[]).unwrap_err().to_string();
    for word in ["q4k", "none", "q8_0"] {
        assert!(error.contains(word), "{error}");
    }
    assert!(load("not toml", &[]).unwrap_err().to_string().contains("riad.toml"));
    assert_eq!(
        load("[limits]\nqueue = 0", &[]).unwrap_err().param(),
        Some("limits.queue")
    );
    assert!(
        load("[engine]\nid = \"a:b\"", &[])
            .unwrap_err()
            .to_string()
            .contains("engine.id")
    );
}

#[test]
fn the_environment_wins_over_the_file() {
    let config = load(
        "[server]\nlisten = \"1.2.3.4:5\"\ndata = \"kept\"\n[limits]\nqueue = 3",
        &[
            ("RIAD_SERVER__LISTEN", "0.0.0.0:80"),
            ("RIAD_ENGINE__ID", "123"),
            ("RIAD_ENGINE__PROFILE__PASSAGES", "7"),
            ("RIAD_ENGINE__DEVICE", "cpu"),
            ("RIAD_LIMITS__QUEUE", "9"),
            // An option of commands, and another program's variable.
            ("RIAD_KEY", "riad_sk_x"),
            ("OTHER__THING", "x"),
        ],
    )
    .unwrap();
    assert_eq!(config.server.listen, "0.0.0.0:80");
    assert_eq!(config.server.data, Path::new("kept"));
    assert_eq!(config.engine.id.as_deref(), Some("123"));
    assert_eq!(config.engine.profile.passages, Some(7));
    assert_eq!(config.engine.device, Device::Cpu);
    assert_eq!(config.limits.queue, 9);
}

#[test]
fn a_variable_that_names_no_key_is_an_error() {
    for name in ["RIAD_SERVER__LISTEM", "RIAD_LIMITS__QUEUES", "RIAD_ENGINE__PROFILE__ID"] {
        let message = load("", &[(name, "1")]).unwrap_err().to_string();
        assert!(message.contains(name), "{message}");
    }
    let message = load("", &[("RIAD_ENGINE__MAX_SEQUENCES", "two")])
        .unwrap_err()
        .to_string();
    assert!(
        message.contains("RIAD_ENGINE__MAX_SEQUENCES") && message.contains("`two`"),
        "{message}"
    );
}

#[test]
fn the_reference_is_a_configuration_with_the_defaults() {
    let reference = Config::reference();
    assert_eq!(load(&reference, &[]).unwrap(), Config::default());
}

#[test]
fn every_key_can_be_set_and_every_default_belongs_to_a_key() {
    for key in keys() {
        let value = match key.kind {
            Kind::Text => "x",
            Kind::Number => "7",
            Kind::Fraction => "0.5",
            Kind::Flag => "true",
            Kind::List => "x,y",
        };
        let name = layers::variable(&key.path);
        // A value may be wrong for its key ("x" is no dtype), but the key is known to the table and to the struct.
        if let Err(error) = load("", &[(&name, value)]) {
            let message = error.to_string();
            assert!(
                !message.contains("unknown field") && !message.contains("no configuration key"),
                "{message}"
            );
        }
    }
    let defaults = toml::Table::try_from(Config::default()).unwrap();
    let mut below: Vec<(String, &toml::Table)> = vec![(String::new(), &defaults)];
    while let Some((path, table)) = below.pop() {
        for (name, value) in table {
            let path = setting::join(&path, name);
            match value.as_table() {
                Some(table) => below.push((path, table)),
                None => assert!(keys().iter().any(|key| key.path == path), "{path}"),
            }
        }
    }
}

#[test]
fn the_nearest_key_is_suggested() {
    for (toml, nearest) in [
        ("[server]\nlisten_on = \"x\"", "`server.listen`"),
        ("[sever]\nlisten = \"x\"", "`server.listen`"),
        ("[server]\nqueue = 5", "`limits.queue`"),
        ("[engine.profile]\ncontext = 5", "`engine.profile.context_tokens`"),
        ("queue = 5", "`limits.queue`"),
        ("[limits]\nfoo = 5", "`riad serve --show-config` lists the keys"),
    ] {
        let message = load(toml, &[]).unwrap_err().to_string();
        assert!(message.contains(nearest), "{message}");
    }
    let message = load("", &[("RIAD_SERVER__LISTEM", "x")]).unwrap_err().to_string();
    assert!(message.contains("did you mean RIAD_SERVER__LISTEN?"), "{message}");
}

#[test]
fn a_value_of_another_type_is_never_taken() {
    for (toml, key) in [
        ("server = 5", "server"),
        ("[server.listen]\nport = 5", "server.listen"),
        ("[engine]\ndevice = 1", "engine.device"),
        ("[engine]\nmax_sequences = \"2\"", "engine.max_sequences"),
        ("[telemetry]\ntenant_label = 1", "telemetry.tenant_label"),
        ("[auth]\ntenants = [1]", "auth.tenants"),
        ("[limits]\nqueue = 4294967296", "limits.queue"),
        ("[limits]\nqueue = -1", "limits.queue"),
    ] {
        let message = load(toml, &[]).unwrap_err().to_string();
        assert!(message.contains(key) && message.contains("riad.toml"), "{message}");
        assert!(!message.contains('\n'), "{message}");
    }
    // A whole number is a number.
    assert!(load("[telemetry]\nsample_ratio = 1", &[]).is_ok());
}

#[test]
fn the_command_line_wins_and_is_named_in_errors() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("riad.toml");
    std::fs::write(&file, "[server]\nlisten = \"1.2.3.4:5\"\ndata = \"kept\"").unwrap();
    let load = |listen: Option<&str>| {
        let environment = [("RIAD_SERVER__LISTEN".into(), "0.0.0.0:80".into())];
        let overrides =
            Overrides::default()
                .set("server.listen", "--listen", listen)
                .set("server.data", "--data", None::<&str>);
        Config::load(Some(&file), environment, &overrides)
    };
    assert_eq!(load(None).unwrap().server.listen, "0.0.0.0:80");
    let config = load(Some("127.0.0.1:9")).unwrap();
    assert_eq!(config.server.listen, "127.0.0.1:9");
    assert_eq!(config.server.data, Path::new("kept"));
    let error = load(Some("localhost")).unwrap_err();
    assert!(
        error.message().starts_with("--listen: server.listen is `localhost`"),
        "{error}"
    );
}

#[test]
fn keys_change_the_shipped_models_profile() {
    let config = load("[engine.profile]\npassages = 3", &[]).unwrap();
    let profile = profile(&config, Path::new("")).unwrap();
    assert_eq!((profile.context_tokens, profile.prompt_tokens), (1024, 260));
    assert_eq!(
        (profile.passages, profile.sentences, profile.completion_tokens),
        (3, 2, 128)
    );
}

#[test]
fn a_real_models_profile_comes_from_its_config() {
    let folder = tempfile::tempdir().unwrap();
    let model = folder.path().join("Llama-9");
    std::fs::create_dir(&model).unwrap();
    std::fs::write(model.join("config.json"), r#"{"max_position_embeddings": 131072}"#).unwrap();
    let mut config = Config::default();
    config.engine.model = Some(model.display().to_string());
    let known = profile(&config, &model).unwrap();
    assert_eq!(known.id, "Llama-9");
    assert_eq!((known.context_tokens, known.prompt_tokens), (131_072, 8192));
    assert_eq!((known.passages, known.sentences, known.completion_tokens), (8, 6, 512));

    std::fs::write(model.join("config.json"), "{}").unwrap();
    let error = profile(&config, &model).unwrap_err();
    assert_eq!(error.param(), Some("engine.profile.context_tokens"));
    config.engine.profile.context_tokens = Some(4096);
    assert_eq!(profile(&config, &model).unwrap().prompt_tokens, 2048);
    // A snapshot's folder is named after its commit.
    config.engine.model = Some("owner/Llama-9@feature/x".into());
    assert_eq!(profile(&config, &model).unwrap().id, "Llama-9");
}

#[test]
fn a_profile_that_cannot_work_is_named() {
    for (toml, key) in [
        ("prompt_tokens = 1024", "engine.profile.prompt_tokens"),
        ("completion_tokens = 900", "engine.profile.completion_tokens"),
        ("passages = 0", "engine.profile.passages"),
        ("sentences = 0", "engine.profile.sentences"),
    ] {
        let config = load(&format!("[engine.profile]\n{toml}"), &[]).unwrap();
        assert_eq!(profile(&config, Path::new("")).unwrap_err().param(), Some(key));
    }
}

#[test]
fn a_model_folder_that_is_not_there_is_named() {
    let mut config = Config::default();
    config.engine.model = Some("/no/such/folder".into());
    assert!(
        model_source(&config.engine)
            .unwrap_err()
            .to_string()
            .contains("/no/such/folder")
    );
    config.engine.model = None;
    let ModelSource::Folder(shipped) = model_source(&config.engine).unwrap() else {
        panic!("the shipped model is a folder");
    };
    assert!(shipped.ends_with("chat/base"));
}

#[test]
fn a_hub_id_may_have_a_revision() {
    let mut config = Config::default();
    for model in ["owner/name", "owner/name@v1", "owner/name@refs/pr/1"] {
        config.engine.model = Some(model.into());
        let ModelSource::Hub(hub) = model_source(&config.engine).unwrap() else {
            panic!("{model} is a hub id");
        };
        assert_eq!(hub.to_string(), model);
    }
    for (model, words) in [
        ("owner/name@a..b", "`a..b` cannot be a revision"),
        ("owner/na me", "not a hub id"),
        ("owner/name/more", "no folder `owner/name/more`"),
    ] {
        config.engine.model = Some(model.into());
        let error = model_source(&config.engine).unwrap_err();
        assert_eq!(error.param(), Some("engine.model"));
        assert!(error.message().contains(words), "{error}");
    }
}

#[test]
fn the_example_at_the_root_is_the_reference() {
    let path = concat!(env!("RIAD_SOURCE"), "/riad.example.toml");
    assert_eq!(
        std::fs::read_to_string(path).unwrap(),
        Config::reference(),
        "the reference has changed; write it with `cargo run --release -- serve --show-config > riad.example.toml` and review the \
         difference"
    );
}

#[test]
fn every_default_in_the_reference_is_the_one_in_force() {
    // The example says so in words; a key that is commented out must have no value.
    let defaults = toml::Table::try_from(Config::default()).unwrap();
    let mut section = toml::Table::new();
    for line in Config::reference().lines() {
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            section = name.split('.').fold(defaults.clone(), |table, part| {
                table
                    .get(part)
                    .and_then(|below| below.as_table())
                    .cloned()
                    .unwrap_or_default()
            });
        } else if let Some(name) = line.strip_prefix('#').and_then(|rest| rest.strip_suffix(" =")) {
            assert!(!section.contains_key(name), "{name} has a default");
        } else if let Some((name, _)) = line.split_once(" = ").filter(|_| !line.starts_with('#')) {
            assert!(section.contains_key(name), "{name} has no default");
        }
    }
}

#[test]
fn lists_and_flags_are_read_from_the_environment() {
    let config = load(
        "[auth]\njwks = \"keys.json\"\nissuer = \"https://id.test\"\naudience = \"riad\"",
        &[
            ("RIAD_AUTH__TENANTS", "acme, globex,"),
            ("RIAD_TELEMETRY__TENANT_LABEL", "true"),
            ("RIAD_TELEMETRY__SAMPLE_RATIO", "0.25"),
            ("RIAD_SCHEDULER__POLICY", "fifo"),
        ],
    )
    .unwrap();
    let tenants: Vec<_> = config.auth.tenants.iter().map(ToString::to_string).collect();
    assert_eq!(tenants, ["acme", "globex"]);
    assert!(config.telemetry.tenant_label);
    assert!((config.telemetry.sample_ratio - 0.25).abs() < f64::EPSILON);
    assert_eq!(config.scheduler.policy, SchedulerPolicy::Fifo);
    for (name, value) in [
        ("RIAD_TELEMETRY__TENANT_LABEL", "yes"),
        ("RIAD_AUTH__TENANTS", "no such/tenant"),
        ("RIAD_SCHEDULER__POLICY", "random"),
        ("RIAD_LIMITS__QUEUE", "-1"),
    ] {
        let message = load("", &[(name, value)]).unwrap_err().to_string();
        assert!(message.contains(name), "{message}");
    }
}

#[test]
fn an_invalid_value_names_its_key_and_its_source() {
    for (toml, key) in [
        ("[server]\nlisten = \"localhost\"", "server.listen"),
        ("[server]\ntls_certificate = \"c.pem\"", "server.tls_certificate"),
        ("[cell]\nname = \"a\"", "cell.name"),
        ("[cell]\nmap = \"cells.toml\"", "cell.map"),
        ("[cell]\nmap = \"cells.toml\"\nname = \"A\"", "cell.name"),
        ("[server]\ntls_key = \"k.pem\"", "server.tls_key"),
        ("[server]\ncors_origins = [\"chat.example\"]", "server.cors_origins"),
        (
            "[server]\ncors_origins = [\"https://chat.example/\"]",
            "server.cors_origins",
        ),
        (
            "[server]\ncors_origins = [\"https://*.example\"]",
            "server.cors_origins",
        ),
        // A list in the form of JSON, in a variable whose lists are separated by commas.
        (
            "[server]\ncors_origins = ['[\"https://chat.example\"]']",
            "server.cors_origins",
        ),
        ("[auth]\njwks = \"keys.json\"\nissuer = \"x\"", "auth.jwks"),
        ("[auth]\njwks = \"keys.json\"\naudience = \"x\"", "auth.jwks"),
        ("[auth]\njwks = \" \"\nissuer = \"x\"\naudience = \"x\"", "auth.jwks"),
        ("[auth]\nissuer = \"x\"", "auth.issuer"),
        ("[auth]\ntenants = [\"acme\"]", "auth.tenants"),
        ("[auth]\ntenant_claim = \"\"", "auth.tenant_claim"),
        ("[auth]\nleeway_seconds = 301", "auth.leeway_seconds"),
        (
            "[scheduler]\ntarget_first_token_ms = 0",
            "scheduler.target_first_token_ms",
        ),
        ("[metering]\ncurrency = \"EUR\"", "metering.currency"),
        ("[metering]\ncurrency = \"euro\"", "metering.currency"),
        ("[metering]\naccrual_ms = 0", "metering.accrual_ms"),
        ("[engine]\nprefill_slowdown = 0.5", "engine.prefill_slowdown"),
        ("[engine]\nprefill_slowdown = -1", "engine.prefill_slowdown"),
        ("[engine]\nprefill_slowdown = inf", "engine.prefill_slowdown"),
        ("[telemetry]\nsample_ratio = 1.5", "telemetry.sample_ratio"),
        ("[telemetry]\nsample_ratio = nan", "telemetry.sample_ratio"),
        (
            "[telemetry]\notlp_endpoint = \"localhost:4318\"",
            "telemetry.otlp_endpoint",
        ),
        ("[telemetry]\nmax_tenants = 0", "telemetry.max_tenants"),
        ("[limits]\nconnections = 0", "limits.connections"),
    ] {
        let error = load(toml, &[]).expect_err(toml);
        assert_eq!(error.param(), Some(key), "{error}");
        assert!(
            error.message().contains("riad.toml") && error.message().contains(key),
            "{error}"
        );
    }
    let error = load("[limits]\nqueue = 5", &[("RIAD_LIMITS__QUEUE", "0")]).unwrap_err();
    assert!(error.message().starts_with("RIAD_LIMITS__QUEUE: "), "{error}");
}

#[test]
fn sources_name_the_file_and_the_variables() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("riad.toml");
    std::fs::write(&file, "[limits]\nqueue = 5").unwrap();
    let environment = [("RIAD_SERVER__DATA", "elsewhere"), ("RIAD_KEY", "riad_sk_x")];
    let (_, sources) = Config::load_with_sources(
        Some(&file),
        environment.map(|(name, value)| (name.into(), value.into())),
        &Overrides::default(),
    )
    .unwrap();
    assert_eq!(sources.file, Some(file));
    let variables: Vec<_> = sources.variables.into_iter().collect();
    assert_eq!(variables, [("server.data".to_owned(), "RIAD_SERVER__DATA".to_owned())]);
}

#[test]
fn secrets_come_from_the_environment_and_do_not_print() {
    let read =
        |variables: &[(&str, &str)]| Secrets::read(variables.iter().map(|(name, value)| (name.into(), value.into())));
    let secrets = read(&[
        ("RIAD_OPERATOR_KEY", "riad_op_0123456789"),
        ("RIAD_METRICS_KEY", "metrics-0123456789"),
        ("RIAD_WEBHOOK_SECRET", ""),
        ("RIAD_KEY", "not a secret of the server"),
    ])
    .unwrap();
    assert_eq!(secrets.set(), ["RIAD_OPERATOR_KEY", "RIAD_METRICS_KEY"]);
    assert!(!format!("{secrets:?}").contains("0123456789"));
    for (name, _) in Secrets::VARIABLES {
        let message = read(&[(name, "hunter2")]).unwrap_err().to_string();
        assert!(message.contains(name) && !message.contains("hunter2"), "{message}");
    }
}
