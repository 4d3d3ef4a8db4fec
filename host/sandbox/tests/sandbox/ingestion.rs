//! The stages of a document: what its guests return, the limits of their own, and what they cannot reach. Not here: the server's own
//! extractor, which takes a while to compile (end-to-end tests).

use crate::{
    guests::{Component, guest, plugin, text},
    host::{Host, PLENTY},
    room::Room,
};
use riad_core::{
    Account, ErrorKind, Limits, Result,
    ingestion::{ChunkingOptions, Extracted, ExtractionOptions, Piece, Section, SectionKind, Upload},
    manifest::Capability,
    plugin::Stage,
    ports::{IngestionRun, PipelinePlan, Sandbox},
};
use std::sync::Arc;

const EXTRACTION: ExtractionOptions = ExtractionOptions {
    max_text_bytes: 1 << 20,
    max_sections: 100,
};
const CHUNKING: ChunkingOptions = ChunkingOptions {
    max_characters: 64,
    overlap_characters: 0,
    max_pieces: 1000,
};
const FUEL: u64 = 2_000_000_000;

fn plan(component: &Component, account: u64, stage: Stage) -> PipelinePlan {
    PipelinePlan {
        account: Account::new(account),
        weight: 1,
        stages: [(stage, component.planned())].into(),
        granted: Capability::ALL.into(),
    }
}

async fn start(host: &Host, component: &Component, stage: Stage, fuel: u64) -> Result<Box<dyn IngestionRun>> {
    let plan = plan(component, 1, stage);
    host.sandbox
        .start_ingestion(&plan, Room::empty().capabilities(), fuel)
        .await
}

async fn extract(host: &Host, component: &Component, bytes: &[u8]) -> Result<Extracted> {
    let upload = Upload {
        name: "plan.note".into(),
        media_type: String::new(),
        bytes: bytes.to_vec().into(),
    };
    let run = start(host, component, Stage::Extraction, FUEL).await?;
    run.extract(upload, EXTRACTION).await
}

fn sections(texts: &[&str]) -> Arc<[Section]> {
    let section = |text: &&str| Section {
        heading: Vec::new(),
        page: None,
        kind: SectionKind::Prose,
        text: (*text).into(),
    };
    texts.iter().map(section).collect()
}

async fn chunk(host: &Host, component: &Component, title: &str, texts: &[&str], fuel: u64) -> Result<Vec<Piece>> {
    let run = start(host, component, Stage::Chunking, fuel).await?;
    run.chunk(title.into(), sections(texts), CHUNKING).await
}

#[tokio::test]
async fn a_file_becomes_sections_and_sections_become_pieces() {
    let host = Host::new();
    let notes = guest("notes");
    let extracted = extract(&host, &notes, b"NOTE|Shifts|Ada on Monday.\nBob on Friday.")
        .await
        .unwrap();
    assert_eq!(
        (extracted.title.as_str(), extracted.media_type.as_str()),
        ("Shifts", "text/x-note")
    );
    assert_eq!(extracted.sections[0].kind, SectionKind::Rows);
    let texts: Vec<_> = extracted.sections.iter().map(|section| section.text.as_str()).collect();
    let pieces = chunk(&host, &notes, &extracted.title, &texts, FUEL).await.unwrap();
    let places: Vec<_> = pieces.iter().map(|piece| (piece.start, piece.text.as_str())).collect();
    assert_eq!(places, [(0, "Ada on Monday."), (15, "Bob on Friday.")]);
    let refused = extract(&host, &notes, b"%PDF-1.7").await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::UnsupportedFile);
    assert!(refused.message().contains("no note"), "{refused}");
}

#[tokio::test]
async fn the_servers_chunker_cuts_a_text_of_any_shape() {
    let host = Host::new();
    let chunker = plugin("chunker");
    for text in [
        "One sentence. Another one, which is longer than the first. And a third one.".repeat(20),
        "word ".repeat(400),
        "x".repeat(2000),
        "日本語の文章。".repeat(200),
        "\n\na\n\n".repeat(300),
    ] {
        let pieces = chunk(&host, &chunker, "T", &[&text, "The last section."], PLENTY)
            .await
            .unwrap();
        let longest = pieces.iter().map(|piece| piece.text.chars().count()).max().unwrap();
        assert!(longest <= 64, "{longest}");
        let shown: usize = pieces
            .iter()
            .map(|piece| piece.text.chars().filter(|c| !c.is_whitespace()).count())
            .sum();
        let all = text
            .chars()
            .chain("The last section.".chars())
            .filter(|c| !c.is_whitespace())
            .count();
        assert_eq!(shown, all, "nothing is lost and nothing doubled");
        assert_eq!(pieces.last().unwrap().section, 1);
    }
}

#[tokio::test]
async fn a_guest_that_fails_fails_alone_and_says_how() {
    let host = Host::with(|limits| limits.ingestion_memory_bytes = 16 << 20);
    let notes = guest("notes");
    for (title, kind, words) in [
        ("trap", ErrorKind::PluginFailed, "trapped"),
        ("loop", ErrorKind::PluginLimit, "more than 50000000 fuel"),
        ("memory", ErrorKind::PluginLimit, "more than 16 MiB of memory"),
        ("invent", ErrorKind::PluginFailed, "does not stand in its section"),
        ("empty", ErrorKind::PluginFailed, "no piece"),
    ] {
        let error = chunk(&host, &notes, title, &["x"], 50_000_000).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{title}: {error}");
        assert!(error.message().contains(words), "{title}: {error}");
        assert!(error.message().contains("the chunking stage of plugin"), "{error}");
    }
    chunk(&host, &notes, "fine", &["x"], FUEL).await.unwrap();
}

#[tokio::test]
async fn its_memory_is_counted_in_instances_and_never_more_than_there_are() {
    let limits = |limits: &mut Limits| {
        limits.guest_instances = 6;
        limits.ingestion_memory_bytes = 4 * limits.guest_memory_bytes;
    };
    let host = Host::with(limits);
    let run = start(&host, &guest("notes"), Stage::Chunking, FUEL).await.unwrap();
    assert_eq!(host.busy(), 4);
    drop(run);
    let host = Host::with(|all| {
        limits(all);
        all.guest_instances = 2;
    });
    let run = start(&host, &guest("notes"), Stage::Chunking, FUEL).await.unwrap();
    assert_eq!(host.busy(), 2);
    drop(run);
}

#[tokio::test]
async fn what_reads_files_may_import_nothing_that_reaches_further() {
    let host = Host::new();
    let component = |import: &str| {
        text(&format!(
            r#"(component
                (import "{import}" (instance (export "f" (func))))
                (instance $nothing)
                (export "riad:ingestion/chunking@0.1.0" (instance $nothing)))"#
        ))
    };
    for (import, capability) in [
        ("riad:kv/kv@0.1.0", "kv"),
        ("riad:http/http@0.1.0", "http"),
        ("riad:documents/documents@0.2.0", "documents"),
        ("riad:store/store@0.1.0", "store"),
        ("wasi:random/random@0.2.0", "random"),
    ] {
        let refused = host.sandbox.compile(None, component(import).bytes).await.unwrap_err();
        let words = format!("exports the stage chunking and imports the capability `{capability}`");
        assert!(refused.message().contains(&words), "{refused}");
    }
    // These it may; what is wrong is only what this component is made of.
    for import in ["riad:settings/settings@0.1.0", "riad:logging/logging@0.1.0"] {
        let refused = host.sandbox.compile(None, component(import).bytes).await.unwrap_err();
        assert!(!refused.message().contains("imports the capability"), "{refused}");
    }
}
