//! The names of files as clients send them.

use axum::extract::multipart::Field;
use percent_encoding::percent_decode_str;

/// Without folders, which some clients send; empty if it has none.
pub(crate) fn of(field: &Field<'_>) -> String {
    let name = extended_name(field).or_else(|| field.file_name().map(unescaped));
    without_folders(&name.unwrap_or_default())
}

/// Some clients send a path.
pub(crate) fn without_folders(name: &str) -> String {
    name.rsplit(['/', '\\']).next().unwrap_or_default().to_owned()
}

/// Clients write a quote in a name as forms of HTML do.
fn unescaped(name: &str) -> String {
    name.replace("%22", "\"")
}

/// `filename*` of RFC 8187: a name in UTF-8, which some clients send for other letters than ASCII's, alone or beside `filename`.
fn extended_name(field: &Field<'_>) -> Option<String> {
    let header = field.headers().get("content-disposition")?.as_bytes();
    let header = std::str::from_utf8(header).ok()?;
    let (_, value) = header
        .split(';')
        .filter_map(|parameter| parameter.trim().split_once('='))
        .find(|(name, _)| name.trim().eq_ignore_ascii_case("filename*"))?;
    let (charset, rest) = value.trim().trim_matches('"').split_once('\'')?;
    let (_, name) = rest.split_once('\'')?;
    let name = percent_decode_str(name);
    match charset.eq_ignore_ascii_case("utf-8") {
        true => name.decode_utf8().ok().map(Into::into),
        false => Some(name.map(char::from).collect()),
    }
}
