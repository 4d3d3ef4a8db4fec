//! From tokens to paragraphs, lists, headings and rows.

use super::{
    push_collapsed,
    tokens::{Tag, Token, Tokens},
};
use crate::{
    grid::Grid,
    limits,
    output::{Output, Result, one_line},
};
use riad_sdk::SectionKind;

/// Elements with no content.
const VOID: [&str; 14] = [
    "area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "param", "source", "track", "wbr",
];
/// Elements whose content is no text of the page.
const DROPPED: [&str; 18] = [
    "audio", "button", "canvas", "datalist", "dialog", "head", "iframe", "math", "noembed", "noframes", "noscript",
    "object", "script", "select", "style", "svg", "template", "video",
];
/// Elements around the text of a page.
const AROUND: [&str; 4] = ["aside", "footer", "menu", "nav"];
/// Elements that begin and end a paragraph, and those that have a meaning here. Others are not put on the stack.
const KNOWN: [&str; 48] = [
    "address",
    "article",
    "aside",
    "blockquote",
    "body",
    "caption",
    "center",
    "dd",
    "details",
    "div",
    "dl",
    "dt",
    "fieldset",
    "figcaption",
    "figure",
    "footer",
    "form",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "header",
    "hgroup",
    "html",
    "legend",
    "li",
    "main",
    "menu",
    "nav",
    "ol",
    "p",
    "pre",
    "search",
    "section",
    "span",
    "summary",
    "table",
    "tbody",
    "td",
    "tfoot",
    "th",
    "thead",
    "tr",
    "ul",
    "xmp",
    "listing",
];
/// Characters of a block of code that is a section of its own.
const LONG_CODE: usize = 1_500;

/// How far up the stack an element is looked for whose end tag was left out.
const IMPLIED: usize = 32;

struct Open {
    name: &'static str,
    drops: Drops,
}

#[derive(Clone, Copy, PartialEq)]
enum Drops {
    Nothing,
    /// A page's head: its headings are the page's.
    AllButHeadings,
    All,
}

pub struct Walk<'o> {
    output: &'o mut Output,
    without_around: bool,
    stack: Vec<Open>,
    /// How many of the open elements drop all, drop all but headings, are the page's content, are headings: looking through the stack for
    /// each text would make a deep page slow.
    open: Counts,
    /// Text since the last block began.
    inline: String,
    /// The number of the last item, of lists with numbers; one per open list.
    lists: Vec<Option<u32>>,
    heading: Option<u8>,
    pre: usize,
    grid: Grid,
    first: String,
}

#[derive(Default)]
struct Counts {
    dropping: usize,
    dropping_but_headings: usize,
    content: usize,
    headings: usize,
}

impl Counts {
    fn of(&mut self, open: &Open, change: fn(usize) -> usize) {
        let counts = [
            (open.drops == Drops::All, &mut self.dropping),
            (open.drops == Drops::AllButHeadings, &mut self.dropping_but_headings),
            (matches!(open.name, "main" | "article"), &mut self.content),
            (
                matches!(open.name, "h1" | "h2" | "h3" | "h4" | "h5" | "h6"),
                &mut self.headings,
            ),
        ];
        for (is_one, count) in counts {
            if is_one {
                *count = change(*count);
            }
        }
    }
}

impl<'o> Walk<'o> {
    pub fn new(output: &'o mut Output, without_around: bool) -> Self {
        Self {
            output,
            without_around,
            stack: Vec::new(),
            open: Counts::default(),
            inline: String::new(),
            lists: Vec::new(),
            heading: None,
            pre: 0,
            grid: Grid::default(),
            first: String::new(),
        }
    }

    /// Returns the first heading of the first level.
    pub fn run(mut self, text: &str) -> Result<String> {
        for token in Tokens::new(text) {
            match token {
                Token::Text(text) => self.text(&text),
                Token::Start(tag) => self.start(&tag)?,
                Token::End(name) => self.end(&name)?,
            }
        }
        while !self.stack.is_empty() {
            self.pop()?;
        }
        self.end_block()?;
        Ok(self.first)
    }

    fn is_dropped(&self) -> bool {
        self.open.dropping > 0 || self.heading.is_none() && self.open.dropping_but_headings > 0
    }

    fn text(&mut self, text: &str) {
        if self.is_dropped() {
            return;
        }
        if self.pre > 0 {
            self.inline.push_str(text);
        } else {
            push_collapsed(text, &mut self.inline);
        }
    }

    fn start(&mut self, tag: &Tag) -> Result<()> {
        let name = tag.name.as_str();
        if VOID.contains(&name) {
            return self.void(tag);
        }
        let drops = self.drops(tag);
        let dropped = DROPPED.iter().find(|dropped| **dropped == name);
        let Some(name) = dropped.or_else(|| KNOWN.iter().find(|known| **known == name)).copied() else {
            return Ok(());
        };
        if tag.is_closed && matches!(name, "script" | "svg" | "math" | "span" | "div" | "p") {
            return Ok(());
        }
        self.close_implied(name)?;
        if name == "span" && drops == Drops::Nothing {
            return Ok(());
        }
        if name != "span" {
            self.end_block()?;
        }
        match name {
            "ul" | "menu" | "dl" => self.lists.push(None),
            "ol" => self.lists.push(Some(0)),
            "pre" | "xmp" | "listing" => self.pre += 1,
            "table" => self.grid.start_table(),
            "tr" => self.grid.start_row(),
            "td" | "th" => {
                let span = tag.attribute("colspan").and_then(|columns| columns.trim().parse().ok());
                self.grid.start_cell(span.unwrap_or(1));
            }
            "h1" | "h2" | "h3" | "h4" | "h5" | "h6" if self.grid.is_empty() => {
                self.heading = name.as_bytes().get(1).map(|digit| digit - b'0');
            }
            _ => {}
        }
        // Deeper elements are closed with the ones around them.
        if self.stack.len() < limits::DEPTH {
            let open = Open { name, drops };
            self.open.of(&open, |count| count + 1);
            self.stack.push(open);
        } else {
            self.close(name)?;
        }
        Ok(())
    }

    fn drops(&self, tag: &Tag) -> Drops {
        let name = tag.name.as_str();
        if DROPPED.contains(&name) {
            return Drops::All;
        }
        let style = tag.attribute("style").unwrap_or_default();
        let is_hidden = tag.attribute("hidden").is_some_and(|value| value != "until-found")
            || tag.attribute("aria-hidden") == Some("true")
            || style.contains("display:none")
            || style.contains("display: none");
        if is_hidden && !matches!(name, "html" | "body") {
            return Drops::All;
        }
        if !self.without_around {
            return Drops::Nothing;
        }
        let in_content = self.open.content > 0;
        let role = tag.attribute("role").unwrap_or_default();
        if matches!(role, "navigation" | "contentinfo" | "search")
            || AROUND.contains(&name) && !(name == "footer" && in_content)
        {
            return Drops::All;
        }
        if (name == "header" || role == "banner") && !in_content {
            return Drops::AllButHeadings;
        }
        Drops::Nothing
    }

    fn void(&mut self, tag: &Tag) -> Result<()> {
        if self.is_dropped() {
            return Ok(());
        }
        match tag.name.as_str() {
            "br" => {
                self.inline.truncate(self.inline.trim_end_matches(' ').len());
                self.inline.push('\n');
            }
            "hr" => self.end_block()?,
            "img" => {
                if let Some(text) = tag.attribute("alt") {
                    push_collapsed(" ", &mut self.inline);
                    push_collapsed(text, &mut self.inline);
                    push_collapsed(" ", &mut self.inline);
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn end(&mut self, name: &str) -> Result<()> {
        if name == "br" {
            self.inline.push('\n');
        }
        let Some(at) = self.stack.iter().rposition(|open| open.name == name) else {
            // `</p>` without its beginning still ends a paragraph.
            return if name == "p" && !self.is_dropped() {
                self.end_block()
            } else {
                Ok(())
            };
        };
        // What is in a cell does not end the table around it.
        let barrier = self.stack.iter().rposition(|open| matches!(open.name, "td" | "th"));
        if barrier.is_some_and(|barrier| at < barrier)
            && !matches!(name, "td" | "th" | "tr" | "table" | "tbody" | "thead" | "body" | "html")
        {
            return Ok(());
        }
        while self.stack.len() > at {
            self.pop()?;
        }
        Ok(())
    }

    fn pop(&mut self) -> Result<()> {
        let Some(open) = self.stack.last() else {
            return Ok(());
        };
        let name = open.name;
        if name != "span" {
            self.end_block()?;
        }
        if let Some(open) = self.stack.pop() {
            self.open.of(&open, |count| count.saturating_sub(1));
        }
        self.close(name)
    }

    /// What the end of an element means, after its last block.
    fn close(&mut self, name: &str) -> Result<()> {
        match name {
            "ul" | "ol" | "menu" | "dl" => {
                self.lists.pop();
            }
            "pre" | "xmp" | "listing" => self.pre = self.pre.saturating_sub(1),
            "td" | "th" => self.grid.end_cell(),
            "table" => self.grid.end_table(self.output)?,
            _ => {}
        }
        Ok(())
    }

    /// Elements whose end tags may be left out.
    fn close_implied(&mut self, name: &str) -> Result<()> {
        let (ends, barriers): (&[&str], &[&str]) = match name {
            "li" => (&["li"], &["ul", "ol", "menu", "table"]),
            "dt" | "dd" => (&["dt", "dd"], &["dl", "table"]),
            "tr" => (&["tr"], &["table"]),
            "td" | "th" => (&["td", "th"], &["tr", "table"]),
            "tbody" | "thead" | "tfoot" => (&["tbody", "thead", "tfoot"], &["table"]),
            "span" => return Ok(()),
            _ => (
                &["p"],
                &[
                    "table",
                    "td",
                    "th",
                    "li",
                    "dd",
                    "div",
                    "section",
                    "article",
                    "blockquote",
                    "body",
                ],
            ),
        };
        for at in (0..self.stack.len()).rev().take(IMPLIED) {
            let open = self.stack.get(at).map_or("", |open| open.name);
            if ends.contains(&open) {
                while self.stack.len() > at {
                    self.pop()?;
                }
                return Ok(());
            }
            if barriers.contains(&open) {
                return Ok(());
            }
        }
        Ok(())
    }

    fn end_block(&mut self) -> Result<()> {
        let text = std::mem::take(&mut self.inline);
        let is_code = self.pre > 0;
        let text = if is_code {
            text.trim_matches('\n').trim_end()
        } else {
            text.trim()
        };
        if text.is_empty() {
            self.heading = self.heading.filter(|_| self.open.headings > 0);
            return Ok(());
        }
        if self.grid.push(text) {
            return Ok(());
        }
        if let Some(level) = self.heading.take() {
            if level == 1 && self.first.is_empty() {
                self.first = one_line(text, limits::TITLE_CHARACTERS);
            }
            return self.output.heading(level, text);
        }
        if is_code && text.len() > LONG_CODE {
            self.output.begin_kind(SectionKind::Code)?;
            return self.output.line(text);
        }
        self.output.begin_kind(SectionKind::Prose)?;
        let Some(list) = self.lists.last_mut() else {
            return if is_code {
                self.output.paragraph_as_is(text)
            } else {
                self.output.paragraph(text)
            };
        };
        let mark = match list {
            Some(number) => {
                *number = number.saturating_add(1);
                format!("{number}. ")
            }
            None => "- ".to_string(),
        };
        let indent = "  ".repeat(self.lists.len().min(10) - 1);
        self.output.line(&format!("{indent}{mark}{text}"))
    }
}
