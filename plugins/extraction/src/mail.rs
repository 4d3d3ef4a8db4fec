//! Mail: its headers, its text, else its HTML. Attachments are named in warnings. Not here: reading them, which an upload of their own does.

use crate::{
    html,
    output::{Output, Result, malformed},
    text,
};
use mail_parser::{Address, Message, MessageParser, MessagePart, MimeHeaders, PartType};
use riad_sdk::{Extracted, ExtractionOptions, SectionKind};

/// Attachments that are named.
const NAMED: usize = 10;
/// Addresses of one header.
const ADDRESSES: usize = 50;

/// # Errors
/// `Malformed`, `NoText`, `TooLarge`.
pub fn extract(bytes: &[u8], options: ExtractionOptions) -> Result<Extracted> {
    // A mailbox's separator is no header.
    let bytes = match bytes.strip_prefix(b"From ") {
        Some(_) => bytes
            .iter()
            .position(|byte| *byte == b'\n')
            .and_then(|end| bytes.get(end + 1..))
            .unwrap_or_default(),
        None => bytes,
    };
    let message = MessageParser::default()
        .parse(bytes)
        .ok_or_else(|| malformed("the file is no mail"))?;
    let mut output = Output::new("message/rfc822", options);
    headers(&message, &mut output)?;
    let plain: Vec<&MessagePart<'_>> = message
        .text_bodies()
        .filter(|part| matches!(part.body, PartType::Text(_)))
        .collect();
    let has_plain = plain
        .iter()
        .any(|part| part.text_contents().is_some_and(|text| !text.trim().is_empty()));
    if has_plain {
        for part in plain {
            let body = text::normalize(part.text_contents().unwrap_or_default().to_string());
            warn_of_problem(part, &mut output);
            output.begin_kind(SectionKind::Prose)?;
            output.paragraph(&body)?;
        }
    } else {
        for part in message
            .html_bodies()
            .filter(|part| matches!(part.body, PartType::Html(_)))
        {
            warn_of_problem(part, &mut output);
            let title = std::mem::take(&mut output.title);
            html::write(part.text_contents().unwrap_or_default(), &mut output)?;
            output.title = title;
        }
    }
    attachments(&message, &mut output);
    output.finish("the mail has no text")
}

fn headers(message: &Message<'_>, output: &mut Output) -> Result<()> {
    let mut lines = String::new();
    let subject = message.subject().unwrap_or_default();
    output.suggest_title(subject);
    output.metadata.set("subject", subject);
    for (label, key, address) in [
        ("From", "from", message.from()),
        ("To", "to", message.to()),
        ("Cc", "cc", message.cc()),
    ] {
        let names = names(address);
        if !names.is_empty() {
            output.metadata.set(key, &names);
            lines.push_str(&format!("{label}: {names}\n"));
        }
    }
    if let Some(name) = message.from().and_then(Address::first) {
        output
            .metadata
            .set("author", name.name().or(name.address()).unwrap_or_default());
    }
    if let Some(date) = message.date().filter(|date| date.is_valid()) {
        let date = date.to_rfc3339();
        output.metadata.set_date("created", &date);
        lines.push_str(&format!("Date: {date}\n"));
    }
    if !subject.is_empty() {
        lines.push_str(&format!("Subject: {subject}\n"));
    }
    output.paragraph(&lines)
}

fn names(address: Option<&Address<'_>>) -> String {
    let Some(address) = address else {
        return String::new();
    };
    let names = address
        .iter()
        .take(ADDRESSES)
        .filter_map(|one| match (one.name(), one.address()) {
            (Some(name), Some(address)) => Some(format!("{name} <{address}>")),
            (name, address) => name.or(address).map(str::to_string),
        });
    names.collect::<Vec<_>>().join(", ")
}

fn warn_of_problem(part: &MessagePart<'_>, output: &mut Output) {
    if part.is_encoding_problem || part.text_contents().is_some_and(|text| text.contains('\u{fffd}')) {
        output.warn("a part of the mail is not in the encoding that it declares");
    }
}

fn attachments(message: &Message<'_>, output: &mut Output) {
    for part in message.attachments().take(NAMED) {
        output.warn(&format!(
            "the attachment {} was not read",
            part.attachment_name().unwrap_or("without a name")
        ));
    }
    let more = message.attachment_count().saturating_sub(NAMED);
    if more > 0 {
        output.warn(&format!("{more} more attachments were not read"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use riad_sdk::ExtractionError;

    const OPTIONS: ExtractionOptions = ExtractionOptions {
        max_text_bytes: 1 << 20,
        max_sections: 1000,
    };
    const MAIL: &str = "From: =?utf-8?Q?J=C3=B6rg?= <j@example.com>\r\nTo: a@example.com, Bea <b@example.com>\r\n\
        Subject: =?iso-8859-1?Q?Angebot_f=FCr_M=E4rz?=\r\nDate: Mon, 02 Mar 2026 10:00:00 +0100\r\nMIME-Version: 1.0\r\n\
        Content-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\nContent-Type: multipart/alternative; boundary=y\r\n\r\n\
        --y\r\nContent-Type: text/plain; charset=iso-8859-1\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n\
        Hallo,\r\n\r\nim Anhang das Angebot =FCber 5 Mark.\r\n--y\r\nContent-Type: text/html\r\n\r\n<p>Hallo HTML\r\n--y--\r\n\
        --x\r\nContent-Type: application/pdf\r\nContent-Disposition: attachment; filename=\"offer.pdf\"\r\n\
        Content-Transfer-Encoding: base64\r\n\r\nJVBERi0=\r\n--x--\r\n";

    #[test]
    fn a_mail_is_its_headers_and_its_text() {
        let extracted = extract(MAIL.as_bytes(), OPTIONS).unwrap();
        assert_eq!(extracted.title, "Angebot für März");
        assert_eq!(
            extracted.sections[0].text,
            "From: Jörg <j@example.com>\nTo: a@example.com, Bea <b@example.com>\nDate: 2026-03-02T10:00:00+01:00\n\
             Subject: Angebot für März\n\nHallo,\n\nim Anhang das Angebot über 5 Mark."
        );
        assert!(extracted.metadata.contains(r#""created":"2026-03-02T10:00:00+01:00""#));
        assert_eq!(extracted.warnings, ["the attachment offer.pdf was not read"]);
    }

    #[test]
    fn html_is_read_where_there_is_no_text() {
        let mail =
            "From: a@example.com\nSubject: x\nMIME-Version: 1.0\nContent-Type: text/html\n\n<h1>One</h1><p>two</p>";
        let extracted = extract(mail.as_bytes(), OPTIONS).unwrap();
        assert_eq!(extracted.sections[1].heading, ["One"]);
        assert_eq!(extracted.sections[1].text, "two");
    }

    #[test]
    fn hostile_mail_ends() {
        let parts: String = (0..20_000)
            .map(|n| format!("Content-Type: multipart/mixed; boundary=b{n}\n\n--b{n}\n"))
            .collect();
        let nested = format!("From: a@b.c\nMIME-Version: 1.0\n{parts}hi");
        let message = format!(
            "Subject: x\nMIME-Version: 1.0\n{}",
            "Content-Type: message/rfc822\n\n".repeat(20_000)
        );
        let headers = "From: a@b.c\n".repeat(200_000);
        for mail in [nested, message, headers] {
            match extract(mail.as_bytes(), OPTIONS) {
                Ok(extracted) => assert!(
                    extracted
                        .sections
                        .iter()
                        .map(|section| section.text.len())
                        .sum::<usize>()
                        < 1 << 20
                ),
                Err(error) => assert!(!matches!(error, ExtractionError::Failed(_))),
            }
        }
    }
}
