//! Which format a file has. Bytes decide; names and claims tell formats of text apart, which bytes alone cannot.

use crate::{
    encoding,
    output::{Result, malformed},
    zip::Archive,
};
use riad_sdk::{ExtractionError, Upload};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    Pdf,
    Docx,
    Pptx,
    Xlsx,
    Odt,
    Ods,
    Odp,
    Epub,
    Text(TextFormat),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TextFormat {
    Html,
    Csv,
    Tsv,
    Json,
    Markdown,
    Mail,
    /// With its media type.
    Code(&'static str),
    Plain,
}

/// What files of other types begin with, at an offset.
const SIGNATURES: [(usize, &[u8], &str); 44] = [
    (0, b"{\\rtf", "application/rtf"),
    (0, b"%!PS", "application/postscript"),
    (0, b"\x89PNG\r\n\x1a\n", "image/png"),
    (0, b"\xff\xd8\xff", "image/jpeg"),
    (0, b"GIF8", "image/gif"),
    (8, b"WEBP", "image/webp"),
    (8, b"WAVE", "audio/wav"),
    (8, b"AVI ", "video/x-msvideo"),
    (0, b"II*\x00", "image/tiff"),
    (0, b"MM\x00*", "image/tiff"),
    (0, b"BM", "image/bmp"),
    (0, b"\x00\x00\x01\x00", "image/x-icon"),
    (0, b"8BPS", "image/vnd.adobe.photoshop"),
    (4, b"ftypheic", "image/heic"),
    (4, b"ftypavif", "image/avif"),
    (4, b"ftyp", "video/mp4"),
    (0, b"\x1aE\xdf\xa3", "video/x-matroska"),
    (0, b"ID3", "audio/mpeg"),
    (0, b"\xff\xfb", "audio/mpeg"),
    (0, b"OggS", "application/ogg"),
    (0, b"fLaC", "audio/flac"),
    (0, b"MThd", "audio/midi"),
    (0, b"\x1f\x8b", "application/gzip"),
    (0, b"BZh", "application/x-bzip2"),
    (0, b"\xfd7zXZ\x00", "application/x-xz"),
    (0, b"\x28\xb5\x2f\xfd", "application/zstd"),
    (0, b"7z\xbc\xaf\x27\x1c", "application/x-7z-compressed"),
    (0, b"Rar!\x1a\x07", "application/vnd.rar"),
    (257, b"ustar", "application/x-tar"),
    (0, b"MSCF", "application/vnd.ms-cab-compressed"),
    (0, b"\x7fELF", "application/x-executable"),
    (0, b"MZ", "application/vnd.microsoft.portable-executable"),
    (0, b"\xca\xfe\xba\xbe", "application/java-vm"),
    (0, b"\xcf\xfa\xed\xfe", "application/x-mach-binary"),
    (0, b"\x00asm", "application/wasm"),
    (0, b"SQLite format 3\x00", "application/vnd.sqlite3"),
    (0, b"PAR1", "application/vnd.apache.parquet"),
    (0, b"wOFF", "font/woff"),
    (0, b"wOF2", "font/woff2"),
    (0, b"OTTO", "font/otf"),
    (0, b"\x00\x01\x00\x00\x00", "font/ttf"),
    (0, b"GGUF", "application/vnd.gguf"),
    (0, b"\x80\x02}q", "application/x-pickle"),
    (0, b"AT&TFORM", "image/vnd.djvu"),
];

/// Signatures of letters alone begin texts, too; of these files the rest is none.
const SHORT_SIGNATURE: usize = 4;

/// # Errors
/// `Unsupported` with the type that was found, `Encrypted`, `NoText` for an empty file, `Malformed` for a broken archive.
pub fn detect(upload: &Upload) -> Result<Format> {
    let bytes = &upload.bytes;
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return Err(ExtractionError::NoText("the file is empty".to_string()));
    }
    if is_pdf(bytes) {
        return Ok(Format::Pdf);
    }
    if bytes.starts_with(b"PK\x03\x04") || bytes.starts_with(b"PK\x05\x06") || bytes.starts_with(b"PK\x07\x08") {
        return archive(bytes);
    }
    if bytes.starts_with(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1") {
        return Err(compound_file(bytes));
    }
    if let Some(media_type) = signature(bytes) {
        return Err(ExtractionError::Unsupported(media_type.to_string()));
    }
    if has_zeros_of_no_text(bytes) {
        return Err(ExtractionError::Unsupported("application/octet-stream".to_string()));
    }
    Ok(Format::Text(text_format(upload)))
}

fn is_pdf(bytes: &[u8]) -> bool {
    let head = bytes.get(..bytes.len().min(1024)).unwrap_or(bytes);
    let Some(at) = head.windows(5).position(|window| window == b"%PDF-") else {
        return false;
    };
    // Before it, some programs write lines of their own; a text that speaks of PDF has no objects.
    at == 0 || bytes.windows(4).any(|window| window == b" obj")
}

fn signature(bytes: &[u8]) -> Option<&'static str> {
    let (_, magic, media_type) = SIGNATURES
        .iter()
        .find(|(at, magic, _)| bytes.get(*at..).is_some_and(|rest| rest.starts_with(magic)))?;
    let is_text = magic.len() <= SHORT_SIGNATURE
        && magic.iter().all(u8::is_ascii_graphic)
        && *magic != b"%!PS"
        && std::str::from_utf8(bytes).is_ok_and(|text| !text.contains('\0'));
    (!is_text).then_some(media_type)
}

/// UTF-16 and UTF-32 have zeros where their decoder expects them.
fn has_zeros_of_no_text(bytes: &[u8]) -> bool {
    let head = bytes.get(..bytes.len().min(8192)).unwrap_or(bytes);
    let even = head.get(..head.len() / 4 * 4).unwrap_or_default();
    head.contains(&0) && encoding::decode(even, None).is_err()
}

fn archive(bytes: &[u8]) -> Result<Format> {
    let archive = Archive::open(bytes)?;
    let is_office = archive.has("[Content_Types].xml") && !archive.has("xl/workbook.bin");
    for (folder, format) in [("word/", Format::Docx), ("ppt/", Format::Pptx), ("xl/", Format::Xlsx)] {
        if is_office && archive.names().any(|name| name.starts_with(folder)) {
            return Ok(format);
        }
    }
    if archive.has("META-INF/container.xml") {
        return Ok(Format::Epub);
    }
    if archive.has("mimetype") {
        let mut media_type = Vec::new();
        archive.read("mimetype")?.take_bytes(200, &mut media_type)?;
        let media_type = String::from_utf8_lossy(&media_type);
        let media_type = media_type.trim();
        for (name, format) in [
            ("application/vnd.oasis.opendocument.text", Format::Odt),
            ("application/vnd.oasis.opendocument.spreadsheet", Format::Ods),
            ("application/vnd.oasis.opendocument.presentation", Format::Odp),
        ] {
            // Templates have a type of their own that begins so.
            if media_type == name || media_type.strip_prefix(name) == Some("-template") {
                return Ok(format);
            }
        }
    }
    let found = if archive.has("xl/workbook.bin") {
        "application/vnd.ms-excel.sheet.binary.macroenabled.12"
    } else if archive.has("META-INF/MANIFEST.MF") {
        "application/java-archive"
    } else if archive.is_empty() {
        return Err(malformed("the archive has no files"));
    } else {
        "application/zip"
    };
    Err(ExtractionError::Unsupported(found.to_string()))
}

/// The container of older Office files, and of newer ones with a password. Names of its streams are UTF-16.
fn compound_file(bytes: &[u8]) -> ExtractionError {
    let has = |name: &str| {
        let name: Vec<u8> = name.encode_utf16().flat_map(u16::to_le_bytes).collect();
        bytes.windows(name.len()).any(|window| window == name)
    };
    if has("EncryptedPackage") {
        return ExtractionError::Encrypted;
    }
    let found = [
        ("WordDocument", "application/msword"),
        ("Workbook", "application/vnd.ms-excel"),
        ("PowerPoint Document", "application/vnd.ms-powerpoint"),
        ("__properties_version1.0", "application/vnd.ms-outlook"),
    ];
    let found = found.into_iter().find(|(name, _)| has(name));
    ExtractionError::Unsupported(
        found
            .map_or("application/x-ole-storage", |(_, media_type)| media_type)
            .to_string(),
    )
}

fn text_format(upload: &Upload) -> TextFormat {
    let head = upload
        .bytes
        .get(..upload.bytes.len().min(4096))
        .unwrap_or(&upload.bytes);
    // Tags and names of headers are ASCII in every encoding that is not UTF-16.
    let head: String = String::from_utf8_lossy(head)
        .chars()
        .filter(|character| *character != '\0')
        .collect();
    let head = head.trim_start_matches(['\u{feff}', '\u{fffd}']).trim_start();
    by_content(head, &upload.bytes)
        .or_else(|| by_name(&upload.name))
        .or_else(|| by_claim(&upload.media_type))
        .unwrap_or(if head.starts_with("#!") {
            TextFormat::Code("application/x-sh")
        } else {
            TextFormat::Plain
        })
}

fn by_content(head: &str, bytes: &[u8]) -> Option<TextFormat> {
    let lower = head.to_ascii_lowercase();
    let is_html = lower.starts_with("<!doctype html") || lower.starts_with("<html");
    if is_html || (lower.starts_with("<?xml") || lower.starts_with("<!--")) && lower.contains("<html") {
        return Some(TextFormat::Html);
    }
    if lower.starts_with("<?xml") {
        return Some(TextFormat::Code("application/xml"));
    }
    if is_mail(&lower) {
        return Some(TextFormat::Mail);
    }
    if head.starts_with(['{', '[']) && crate::json::is_json(bytes) {
        return Some(TextFormat::Json);
    }
    None
}

/// Two headers that mail has, among lines that are all headers.
fn is_mail(lower: &str) -> bool {
    const KNOWN: [&str; 11] = [
        "from",
        "to",
        "subject",
        "date",
        "received",
        "return-path",
        "mime-version",
        "message-id",
        "delivered-to",
        "cc",
        "reply-to",
    ];
    let mut known = 0;
    for (index, line) in lower.lines().enumerate() {
        if line.starts_with([' ', '\t']) && index > 0 || index == 0 && line.starts_with("from ") {
            continue;
        }
        let Some((name, _)) = line.split_once(':') else {
            break;
        };
        if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') {
            break;
        }
        known += usize::from(KNOWN.contains(&name));
    }
    // A note that begins with "From:" and "To:" is as good as a mail.
    known >= 3
        || known >= 2
            && (lower.starts_with("received:")
                || lower.starts_with("return-path:")
                || lower.contains("\nmime-version:"))
}

fn by_name(name: &str) -> Option<TextFormat> {
    let name = name.rsplit(['/', '\\']).next().unwrap_or(name).to_ascii_lowercase();
    if matches!(name.as_str(), "makefile" | "dockerfile" | "gnumakefile" | "rakefile") {
        return Some(TextFormat::Code("text/x-makefile"));
    }
    let (_, extension) = name.rsplit_once('.')?;
    Some(match extension {
        "html" | "htm" | "xhtml" | "shtml" => TextFormat::Html,
        "csv" => TextFormat::Csv,
        "tsv" | "tab" => TextFormat::Tsv,
        "json" | "jsonl" | "ndjson" | "geojson" | "ipynb" | "webmanifest" => TextFormat::Json,
        "md" | "markdown" | "mdown" | "mkd" | "mdx" => TextFormat::Markdown,
        "eml" => TextFormat::Mail,
        "txt" | "text" | "log" | "rst" | "adoc" | "asciidoc" | "org" | "srt" | "vtt" => TextFormat::Plain,
        _ => TextFormat::Code(code_media_type(extension)?),
    })
}

fn code_media_type(extension: &str) -> Option<&'static str> {
    Some(match extension {
        "c" | "h" => "text/x-c",
        "cc" | "cpp" | "cxx" | "hh" | "hpp" | "hxx" | "cu" | "ino" => "text/x-c++",
        "cs" => "text/x-csharp",
        "css" | "scss" | "sass" | "less" => "text/css",
        "go" => "text/x-golang",
        "java" | "kt" | "kts" | "scala" | "groovy" | "gradle" => "text/x-java",
        "js" | "mjs" | "cjs" | "jsx" | "vue" | "svelte" => "text/javascript",
        "ts" | "tsx" | "mts" | "cts" => "application/typescript",
        "php" => "text/x-php",
        "py" | "pyi" | "pyx" => "text/x-python",
        "rb" => "text/x-ruby",
        "rs" => "text/x-rust",
        "swift" | "m" | "mm" => "text/x-swift",
        "sh" | "bash" | "zsh" | "fish" | "ps1" | "bat" | "cmd" => "application/x-sh",
        "tex" | "sty" | "bib" => "text/x-tex",
        "sql" => "application/sql",
        "xml" | "xsd" | "xsl" | "xslt" | "svg" | "rss" | "atom" | "plist" | "wsdl" => "application/xml",
        "yaml" | "yml" => "application/yaml",
        "toml" | "ini" | "cfg" | "conf" | "properties" | "env" => "application/toml",
        "lua" | "pl" | "pm" | "r" | "jl" | "hs" | "ml" | "mli" | "ex" | "exs" | "erl" | "clj" | "dart" | "zig"
        | "nim" | "v" | "vhd" | "vhdl" | "asm" | "s" | "f" | "f90" | "pas" | "lisp" | "el" | "scm" | "vb" | "proto"
        | "graphql" | "tf" | "hcl" | "nix" | "cmake" | "mk" | "wit" | "wat" | "diff" | "patch" => "text/x-source",
        _ => return None,
    })
}

fn by_claim(media_type: &str) -> Option<TextFormat> {
    let claimed = media_type
        .split(';')
        .next()
        .unwrap_or_default()
        .trim()
        .to_ascii_lowercase();
    Some(match claimed.as_str() {
        "text/html" | "application/xhtml+xml" => TextFormat::Html,
        "text/csv" | "application/csv" => TextFormat::Csv,
        "text/tab-separated-values" => TextFormat::Tsv,
        "application/json" | "application/jsonl" | "application/x-ndjson" | "application/x-jsonlines" => {
            TextFormat::Json
        }
        "text/markdown" | "text/x-markdown" => TextFormat::Markdown,
        "message/rfc822" => TextFormat::Mail,
        "text/xml" | "application/xml" => TextFormat::Code("application/xml"),
        "text/javascript" | "application/javascript" => TextFormat::Code("text/javascript"),
        "text/css" => TextFormat::Code("text/css"),
        "application/x-sh" => TextFormat::Code("application/x-sh"),
        other if other.starts_with("text/x-") => TextFormat::Code("text/x-source"),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn format(name: &str, claimed: &str, bytes: &[u8]) -> Result<Format> {
        detect(&Upload {
            name: name.to_string(),
            media_type: claimed.to_string(),
            bytes: bytes.to_vec(),
        })
    }

    #[test]
    fn content_decides_and_a_name_does_not() {
        for (name, bytes) in [
            ("a.txt", &b"%PDF-1.4\n"[..]),
            ("a.docx", b"%PDF-1.7"),
            ("a.html", b"junk\n%PDF-1.7\n1 0 obj"),
        ] {
            assert_eq!(format(name, "text/plain", bytes), Ok(Format::Pdf));
        }
        let text = |format: TextFormat| Ok(Format::Text(format));
        assert_eq!(format("a.csv", "", b"<!DOCTYPE html><p>x"), text(TextFormat::Html));
        assert_eq!(
            format("a.pdf", "application/pdf", b"Just words."),
            text(TextFormat::Plain)
        );
        assert_eq!(format("a.md", "", b"{\"a\": 1}"), text(TextFormat::Json));
        assert_eq!(format("a.md", "", b"[a link](http://x)"), text(TextFormat::Markdown));
        assert_eq!(format("", "text/csv; charset=utf-8", b"a,b"), text(TextFormat::Csv));
        assert_eq!(
            format("x/Y.RS", "", b"fn main() {}"),
            text(TextFormat::Code("text/x-rust"))
        );
        assert_eq!(
            format("", "", b"From: a@b.c\nTo: d@e.f\nSubject: x\n\nHello"),
            text(TextFormat::Mail)
        );
        assert_eq!(
            format("", "", b"Dear all: this is about: nothing"),
            text(TextFormat::Plain)
        );
        assert_eq!(format("talk.txt", "", b"%PDF- is how PDF files begin"), Ok(Format::Pdf));
        assert_eq!(
            format("talk.txt", "", b"MZ is how programs begin"),
            text(TextFormat::Plain)
        );
    }

    #[test]
    fn other_types_are_named() {
        for (bytes, expected) in [
            (&b"\x89PNG\r\n\x1a\n\0\0"[..], "image/png"),
            (b"\xff\xd8\xff\xe0JFIF", "image/jpeg"),
            (b"{\\rtf1 x}", "application/rtf"),
            (b"\x7fELF\x02\x01", "application/x-executable"),
            (b"a\0b\0\0\0\x01\x02\x03", "application/octet-stream"),
        ] {
            assert_eq!(
                format("a.txt", "text/plain", bytes),
                Err(ExtractionError::Unsupported(expected.to_string()))
            );
        }
    }

    #[test]
    fn older_office_files_are_named_or_encrypted() {
        let file = |stream: &str| {
            let mut bytes = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1".to_vec();
            bytes.extend(stream.encode_utf16().flat_map(u16::to_le_bytes));
            format("a.docx", "", &bytes)
        };
        assert_eq!(file("EncryptedPackage"), Err(ExtractionError::Encrypted));
        assert_eq!(
            file("WordDocument"),
            Err(ExtractionError::Unsupported("application/msword".to_string()))
        );
    }

    #[test]
    fn an_empty_file_has_no_text() {
        assert!(matches!(format("a.pdf", "", b" \n"), Err(ExtractionError::NoText(_))));
    }
}
