//! The manifest in a component: JSON in a custom section of the component's top level. The component is untrusted: every length
//! is checked against what is left, nothing is copied but the section itself, and the walk takes one step per section.

use super::Manifest;
use crate::{Error, Result};

/// The section's name.
pub const SECTION: &str = "riad-manifest";

/// `\0asm`, and the version and layer of a component.
const HEADER: [u8; 8] = [0, b'a', b's', b'm', 0x0d, 0, 1, 0];
/// A section that has a name instead of a meaning.
const CUSTOM: u8 = 0;

/// The manifest of a component; `None` if it has none, as those that were built for the API 0.1.
///
/// # Errors
/// `InvalidRequest` for what is no component, one whose sections do not fit into it, two manifests, or one that cannot be used.
pub fn read_section(component: &[u8]) -> Result<Option<Manifest>> {
    let mut found = None;
    for section in Sections::of(component)? {
        if let Some(json) = section?.manifest {
            if found.is_some() {
                return Err(Error::invalid(format!(
                    "the component has two sections `{SECTION}`; build it again with `riad plugin build`"
                )));
            }
            found = Some(json);
        }
    }
    found.map(Manifest::from_json).transpose()
}

/// The component with this manifest, in place of one that it may have.
///
/// # Errors
/// As [`read_section`], and `Internal` for a manifest that cannot be written.
pub fn write_section(component: &[u8], manifest: &Manifest) -> Result<Vec<u8>> {
    let mut written = HEADER.to_vec();
    for section in Sections::of(component)? {
        let section = section?;
        if section.manifest.is_none() {
            written.extend_from_slice(section.whole);
        }
    }
    let json = manifest.to_json()?;
    let mut content = Vec::with_capacity(json.len() + SECTION.len() + 1);
    write_length(&mut content, SECTION.len())?;
    content.extend_from_slice(SECTION.as_bytes());
    content.extend_from_slice(json.as_bytes());
    written.push(CUSTOM);
    write_length(&mut written, content.len())?;
    written.extend_from_slice(&content);
    Ok(written)
}

struct Section<'a> {
    /// With its id and length.
    whole: &'a [u8],
    /// The content behind the name, if it is ours.
    manifest: Option<&'a [u8]>,
}

/// The sections of a component's top level. Those of components and modules within it are content here.
struct Sections<'a>(&'a [u8]);

impl<'a> Sections<'a> {
    fn of(component: &'a [u8]) -> Result<Self> {
        match component.strip_prefix(&HEADER) {
            Some(sections) => Ok(Self(sections)),
            None => Err(Error::invalid("this is not a WebAssembly component")),
        }
    }
}

impl<'a> Iterator for Sections<'a> {
    type Item = Result<Section<'a>>;

    fn next(&mut self) -> Option<Self::Item> {
        let (id, rest) = self.0.split_first()?;
        let section = read_length(rest).and_then(|(length, rest)| rest.split_at_checked(length));
        let Some((content, rest)) = section else {
            // Whatever follows cannot be told apart.
            self.0 = &[];
            return Some(Err(Error::invalid(
                "this is not a WebAssembly component: a section is longer than what is left of the file",
            )));
        };
        let (whole, _) = self.0.split_at(self.0.len() - rest.len());
        self.0 = rest;
        let manifest = match *id {
            CUSTOM => read_length(content)
                .and_then(|(length, rest)| rest.split_at_checked(length))
                .filter(|(name, _)| *name == SECTION.as_bytes())
                .map(|(_, json)| json),
            _ => None,
        };
        Some(Ok(Section { whole, manifest }))
    }
}

/// An unsigned number of 32 bits in LEB128, of at most five bytes, and what follows it.
fn read_length(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let mut value = 0_u64;
    for (index, byte) in bytes.iter().take(5).enumerate() {
        value |= u64::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            let value = u32::try_from(value).ok()?;
            return Some((usize::try_from(value).ok()?, bytes.get(index + 1..)?));
        }
    }
    None
}

fn write_length(out: &mut Vec<u8>, length: usize) -> Result<()> {
    let mut left = u32::try_from(length).map_err(Error::internal)?;
    loop {
        let byte = u8::try_from(left & 0x7f).map_err(Error::internal)?;
        left >>= 7;
        if left == 0 {
            out.push(byte);
            return Ok(());
        }
        out.push(byte | 0x80);
    }
}
