//! Looks for what would cost a parser much more than its bytes, before one runs: streams that inflate without end, forms that draw each
//! other, page trees with more pages than bytes. The parser cannot be stopped while it works.

use crate::{
    limits,
    output::{Result, malformed, too_large},
};
use flate2::{Decompress, FlushDecompress, Status};
use hayro_interpret::hayro_syntax::{
    Pdf,
    object::{Array, Dict, ObjectIdentifier, Stream},
    page::{Page, Resources},
};
use std::collections::{HashMap, HashSet};

/// Inflated bytes of one stream that is no image, and of all.
const STREAM_BYTES: u64 = 64 << 20;
const FILE_BYTES: u64 = 192 << 20;
/// Graphics states that are saved in each other.
const SAVED_STATES: u32 = 10_000;
/// Filters of one stream.
const FILTERS: usize = 4;
/// Bytes before a stream in which its dictionary is looked for.
const DICTIONARY_BYTES: usize = 1_024;
/// Forms that a page may draw, those in forms included.
const DRAWN_FORMS: u64 = 100_000;
/// Nodes of the page tree for each page.
const TREE_NODES: usize = 4;

/// Inflates every stream that is no image, to count.
///
/// # Errors
/// `TooLarge`.
pub fn check_streams(bytes: &[u8]) -> Result<()> {
    let mut file_left = FILE_BYTES;
    let mut at = 0;
    while let Some(found) = find(bytes.get(at..).unwrap_or_default(), b"stream") {
        let keyword = at + found;
        at = keyword + 6;
        let is_end = keyword >= 3 && bytes.get(keyword - 3..keyword) == Some(b"end");
        let data = match bytes.get(at..) {
            Some([b'\r', b'\n', data @ ..] | [b'\n' | b'\r', data @ ..]) if !is_end => data,
            _ => continue,
        };
        let dictionary = bytes
            .get(keyword.saturating_sub(DICTIONARY_BYTES)..keyword)
            .unwrap_or_default();
        let dictionary = find_last(dictionary, b"obj")
            .and_then(|start| dictionary.get(start..))
            .unwrap_or(dictionary);
        if find(dictionary, b"/Image").is_some() {
            continue;
        }
        let filters = count(dictionary, b"FlateDecode");
        if filters > FILTERS {
            return Err(too_large(format!(
                "the PDF has a stream with more than {FILTERS} filters"
            )));
        }
        if filters == 0 {
            let end = find(data, b"endstream").unwrap_or(data.len());
            let data = data.get(..end).unwrap_or(data);
            let mut states = States::default();
            states.read(data)?;
            at += data.len();
            continue;
        }
        at += check_stream(data, filters, &mut file_left)?;
    }
    Ok(())
}

/// Returns how many bytes of `data` the stream has.
fn check_stream(data: &[u8], filters: usize, file_left: &mut u64) -> Result<usize> {
    let mut layer = data.to_vec();
    if filters == 1 {
        layer.clear();
    }
    let mut used = 0;
    for filter in 0..filters {
        let is_last = filter + 1 == filters;
        let source = if filter == 0 { data } else { &layer };
        let mut inflated = Vec::new();
        let mut states = States::default();
        let consumed = inflate(source, file_left, |block| {
            if is_last {
                states.read(block)
            } else {
                inflated.extend_from_slice(block);
                Ok(())
            }
        })?;
        if filter == 0 {
            used = consumed;
        }
        layer = inflated;
    }
    Ok(used)
}

/// Calls `handle` for each block of what a zlib stream holds, up to its end or its first error. Returns the bytes that were used.
fn inflate(data: &[u8], file_left: &mut u64, mut handle: impl FnMut(&[u8]) -> Result<()>) -> Result<usize> {
    let mut decoder = Decompress::new(true);
    let mut block = vec![0; 32 << 10];
    let mut stream_left = STREAM_BYTES;
    loop {
        let used = usize::try_from(decoder.total_in()).unwrap_or(usize::MAX);
        let before = decoder.total_out();
        let status = decoder.decompress(data.get(used..).unwrap_or_default(), &mut block, FlushDecompress::None);
        let written = decoder.total_out() - before;
        let left = stream_left.checked_sub(written).zip(file_left.checked_sub(written));
        let Some((of_stream, of_file)) = left else {
            return Err(too_large(format!(
                "the PDF has streams of more than {STREAM_BYTES} bytes, or of more than {FILE_BYTES} together"
            )));
        };
        (stream_left, *file_left) = (of_stream, of_file);
        handle(block.get(..usize::try_from(written).unwrap_or(0)).unwrap_or_default())?;
        let used = usize::try_from(decoder.total_in()).unwrap_or(usize::MAX);
        let goes_on = matches!(status, Ok(Status::Ok)) && (written > 0 || used < data.len());
        if !goes_on {
            return Ok(used);
        }
    }
}

/// Counts the operators `q` and `Q`, which save and restore the graphics state.
#[derive(Default)]
struct States {
    saved: u32,
    /// The last two bytes.
    before: [u8; 2],
}

impl States {
    fn read(&mut self, block: &[u8]) -> Result<()> {
        for byte in block {
            let [first, operator] = self.before;
            if byte.is_ascii_whitespace() && (first.is_ascii_whitespace() || first == 0) {
                match operator {
                    b'q' => self.saved += 1,
                    b'Q' => self.saved = self.saved.saturating_sub(1),
                    _ => {}
                }
                if self.saved > SAVED_STATES {
                    return Err(too_large(format!(
                        "the PDF saves more than {SAVED_STATES} graphics states in each other"
                    )));
                }
            }
            self.before = [operator, *byte];
        }
        Ok(())
    }
}

/// Walks the page tree as far as the limit.
///
/// # Errors
/// `TooLarge`.
pub fn check_page_tree(pdf: &Pdf) -> Result<()> {
    let xref = pdf.xref();
    let catalog = xref.get::<Dict<'_>>(xref.root_id());
    let Some(root) = catalog.and_then(|catalog| catalog.get::<Dict<'_>>(b"Pages")) else {
        return Ok(());
    };
    let mut left = vec![root];
    let (mut nodes, mut inner) = (0, HashSet::new());
    while let Some(node) = left.pop() {
        nodes += 1;
        if nodes > limits::PDF_PAGES * TREE_NODES {
            return Err(too_large(format!("the PDF has more than {} pages", limits::PDF_PAGES)));
        }
        // A tree in which a node stands twice is none.
        if node.contains_key(b"Kids") && node.obj_id().is_some_and(|id| !inner.insert(id)) {
            return Err(malformed("the PDF's page tree has a node in several places"));
        }
        if let Some(kids) = node.get::<Array<'_>>(b"Kids") {
            for kid in kids
                .iter::<Dict<'_>>()
                .take(limits::PDF_PAGES * TREE_NODES - nodes.min(limits::PDF_PAGES) + 1)
            {
                left.push(kid);
                if left.len() > limits::PDF_PAGES * TREE_NODES {
                    return Err(too_large(format!("the PDF has more than {} pages", limits::PDF_PAGES)));
                }
            }
        }
    }
    Ok(())
}

/// How many forms pages draw.
#[derive(Default)]
pub struct Forms {
    /// `None` while the form is being looked at.
    costs: HashMap<ObjectIdentifier, Option<u64>>,
    drawn: u64,
}

impl Forms {
    /// # Errors
    /// `TooLarge`, `Malformed`: a form draws itself.
    pub fn check(&mut self, page: &Page<'_>) -> Result<()> {
        if page.resources().x_objects.is_empty() {
            return Ok(());
        }
        let cost = self.cost(page.page_stream().unwrap_or_default(), page.resources(), 0)?;
        self.drawn = self.drawn.saturating_add(cost);
        if self.drawn > DRAWN_FORMS * 10 {
            return Err(too_large(format!(
                "the PDF's pages draw more than {} forms",
                DRAWN_FORMS * 10
            )));
        }
        Ok(())
    }

    fn cost(&mut self, content: &[u8], resources: &Resources<'_>, depth: usize) -> Result<u64> {
        let mut cost = 1_u64;
        for (name, times) in drawn_names(content) {
            let Some(form) = resources.x_objects.get::<Stream<'_>>(name) else {
                continue;
            };
            let id = form.obj_id();
            let of_form = match self.costs.get(&id) {
                Some(Some(known)) => *known,
                Some(None) => return Err(malformed("a form of the PDF draws itself")),
                None => self.form_cost(&form, resources, depth)?,
            };
            cost = cost.saturating_add(of_form.saturating_mul(times));
            if cost > DRAWN_FORMS {
                return Err(too_large(format!(
                    "a page of the PDF draws more than {DRAWN_FORMS} forms"
                )));
            }
        }
        Ok(cost)
    }

    fn form_cost(&mut self, form: &Stream<'_>, outer: &Resources<'_>, depth: usize) -> Result<u64> {
        let is_form = form
            .dict()
            .get::<hayro_interpret::hayro_syntax::object::Name<'_>>(b"Subtype")
            .is_some_and(|kind| kind.as_ref() == b"Form");
        if !is_form || depth > 60 {
            return Ok(1);
        }
        self.costs.insert(form.obj_id(), None);
        let own = form.dict().get::<Dict<'_>>(b"Resources").map(Resources::new);
        let content = form.decoded().unwrap_or_default();
        let cost = self.cost(&content, own.as_ref().unwrap_or(outer), depth + 1)?;
        self.costs.insert(form.obj_id(), Some(cost));
        Ok(cost)
    }
}

/// The names before the operator `Do`, and how often each is drawn.
fn drawn_names(content: &[u8]) -> HashMap<&[u8], u64> {
    let mut names = HashMap::new();
    let mut at = 0;
    while let Some(found) = find(content.get(at..).unwrap_or_default(), b"Do") {
        let operator = at + found;
        at = operator + 2;
        let before = content.get(operator.saturating_sub(130)..operator).unwrap_or_default();
        let before = before.trim_ascii_end();
        let start = before.iter().rposition(|byte| *byte == b'/').map(|slash| slash + 1);
        let name = start
            .and_then(|start| before.get(start..))
            .filter(|name| !name.iter().any(u8::is_ascii_whitespace));
        if let Some(name) = name.filter(|name| !name.is_empty()) {
            *names.entry(name).or_default() += 1;
        }
    }
    names
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    let first = *wanted.first()?;
    let mut at = 0;
    loop {
        at += bytes.get(at..)?.iter().position(|byte| *byte == first)?;
        if bytes.get(at..)?.starts_with(wanted) {
            return Some(at);
        }
        at += 1;
    }
}

fn find_last(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).rposition(|window| window == wanted)
}

fn count(bytes: &[u8], wanted: &[u8]) -> usize {
    bytes.windows(wanted.len()).filter(|window| *window == wanted).count()
}
