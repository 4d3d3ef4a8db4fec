//! Reads a part of an archive as XML events, in constant memory. Not here: what elements mean.

use crate::{
    limits,
    output::{Result, malformed, too_large},
    zip::{Archive, Part, read_error},
};
use quick_xml::{
    Reader, XmlVersion,
    events::{BytesStart, Event},
};
use std::{
    cell::Cell,
    io::{self, BufRead, BufReader, Read},
};

const LONG_NODE: &str = "one node over the limit";

/// Names are without their prefix. An empty element is a start and an end.
pub enum Xml<'a> {
    Start(&'a str, &'a BytesStart<'a>),
    End(&'a str),
    Text(&'a str),
}

/// Calls `handle` for each event of a part.
///
/// # Errors
/// `Malformed`, `TooLarge`, `Encrypted`, and what `handle` fails with.
pub fn read(archive: &Archive<'_>, part: &str, handle: impl FnMut(Xml<'_>) -> Result<()>) -> Result<()> {
    let run = Cell::new(0);
    let source = NodeBound {
        inner: BufReader::with_capacity(16 << 10, archive.read(part)?),
        run: &run,
    };
    events(&mut Reader::from_reader(source), &run, part, handle)
}

fn events(
    reader: &mut Reader<NodeBound<'_, BufReader<Part<'_>>>>,
    run: &Cell<usize>,
    part: &str,
    mut handle: impl FnMut(Xml<'_>) -> Result<()>,
) -> Result<()> {
    // Programs close elements wrongly; what matters here is where texts are.
    let config = reader.config_mut();
    config.check_end_names = false;
    config.allow_unmatched_ends = true;
    config.allow_dangling_amp = true;
    let mut buffer = Vec::new();
    let mut depth = 0_usize;
    loop {
        buffer.clear();
        buffer.shrink_to(256 << 10);
        run.set(0);
        match reader
            .read_event_into(&mut buffer)
            .map_err(|error| xml_error(&error, part))?
        {
            Event::Start(start) => {
                depth += 1;
                if depth > limits::DEPTH {
                    return Err(too_large(format!(
                        "{part} has more than {} elements in each other",
                        limits::DEPTH
                    )));
                }
                handle(Xml::Start(start.local_name().as_ref(), &start))?;
            }
            Event::Empty(start) => {
                handle(Xml::Start(start.local_name().as_ref(), &start))?;
                handle(Xml::End(start.local_name().as_ref()))?;
            }
            Event::End(end) => {
                depth = depth.saturating_sub(1);
                handle(Xml::End(end.local_name().as_ref()))?;
            }
            Event::Text(text) => handle(Xml::Text(&text))?,
            Event::CData(text) => handle(Xml::Text(&text))?,
            Event::GeneralRef(reference) => {
                // Entities that a document declares are left out, so that none can grow.
                let character = reference
                    .resolve_char_ref()
                    .ok()
                    .flatten()
                    .filter(|character| *character != '\0');
                let mut utf_8 = [0; 4];
                let text = match &character {
                    Some(character) => &*character.encode_utf8(&mut utf_8),
                    None => quick_xml::escape::resolve_html5_entity(&reference).unwrap_or_default(),
                };
                handle(Xml::Text(text))?;
            }
            Event::Eof => return Ok(()),
            Event::Comment(_) | Event::Decl(_) | Event::PI(_) | Event::DocType(_) => {}
        }
    }
}

/// An attribute by its name without prefix, its entities resolved. `None` if there is none.
pub fn attribute(element: &BytesStart<'_>, name: &str) -> Option<String> {
    find_attribute(element, |attribute| attribute.key.local_name().as_ref() == name)
}

/// An attribute with a prefix, such as `r:id`, whose local name another has, too.
pub fn prefixed_attribute(element: &BytesStart<'_>, name: &str) -> Option<String> {
    find_attribute(element, |attribute| {
        attribute.key.local_name().as_ref() == name && attribute.key.as_ref().len() > name.len()
    })
}

fn find_attribute(
    element: &BytesStart<'_>,
    is_it: impl Fn(&quick_xml::events::attributes::Attribute<'_>) -> bool,
) -> Option<String> {
    // With checks, each attribute is compared with all before it.
    let found = element.attributes().with_checks(false).flatten().find(is_it)?;
    let value = found
        .normalized_value(XmlVersion::Implicit1_0)
        .unwrap_or_else(|_| found.value.clone());
    Some(value.into_owned())
}

fn xml_error(error: &quick_xml::Error, part: &str) -> riad_sdk::ExtractionError {
    if let quick_xml::Error::Io(error) = error {
        if error.to_string().contains(LONG_NODE) {
            return too_large(format!(
                "{part} has a text or tag of more than {} bytes",
                limits::XML_NODE_BYTES
            ));
        }
        return read_error(error);
    }
    malformed(format!("{part} is no XML: {error}"))
}

/// Fails when more than the limit is read without an event: the reader holds all of it.
struct NodeBound<'a, R> {
    inner: R,
    run: &'a Cell<usize>,
}

impl<R: BufRead> Read for NodeBound<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.run.set(self.run.get().saturating_add(count));
        Ok(count)
    }
}

impl<R: BufRead> BufRead for NodeBound<'_, R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.run.get() > limits::XML_NODE_BYTES {
            return Err(io::Error::other(LONG_NODE));
        }
        self.inner.fill_buf()
    }

    fn consume(&mut self, amount: usize) {
        self.run.set(self.run.get().saturating_add(amount));
        self.inner.consume(amount);
    }
}
