//! Modules of a crate form no cycles, as crates do not: for every module, its children can be ordered so that each uses only the ones
//! before it.
//!
//! A module is a file. What counts is every path that begins with `crate`, `self` or `super`, in `use` and in code; names that a module
//! re-exports lead to where they are defined. A module and the modules inside it are one unit for those outside, so a parent that
//! uses its children, and children that use their parent, are not counted. Code under `#[cfg(test)]` is not either.

use crate::environment::Environment;
use anyhow::{Context, Result};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};
use syn::{
    Attribute, Item, ItemMod, UseTree,
    visit::{self, Visit},
};

/// `["chat", "choice"]` is `crate::chat::choice`; the root is empty.
type ModulePath = Vec<String>;

/// How often a re-export may lead to another one.
const RE_EXPORTS_MOST: usize = 8;

/// Cycles of every crate in `host/`, in words; empty if there are none.
pub fn check(environment: &Environment) -> Result<Vec<String>> {
    let host = environment.root.join("host");
    let mut crates: Vec<_> = fs::read_dir(&host)?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|folder| folder.join("Cargo.toml").is_file() && folder.join("src/lib.rs").is_file())
        .collect();
    crates.sort();
    let mut wrong = Vec::new();
    for folder in crates {
        let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let mut found = Modules::default();
        let source = folder.join("src");
        found.read(&source, &Vec::new(), "lib.rs", false)?;
        wrong.extend(
            cycles(&found.files)?
                .into_iter()
                .map(|cycle| format!("{name}: {cycle}")),
        );
        for path in rust_files(&source)? {
            let is_root = ["lib.rs", "main.rs"].iter().any(|root| path == source.join(root));
            if !is_root && !found.read.contains(&path) {
                wrong.push(format!("{} is in no module; delete it, or declare it", path.display()));
            }
        }
    }
    Ok(wrong)
}

/// The modules of a crate.
#[derive(Default)]
struct Modules {
    /// Text by module, without tests.
    files: BTreeMap<ModulePath, String>,
    /// Every file that belongs to a module, tests among them.
    read: BTreeSet<PathBuf>,
}

impl Modules {
    /// Reads a module's file and those of the modules that it declares.
    fn read(&mut self, folder: &Path, module: &ModulePath, file: &str, in_test: bool) -> Result<()> {
        let path = folder.join(file);
        let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let parsed = syn::parse_file(&text).with_context(|| format!("cannot parse {}", path.display()))?;
        self.read.insert(path);
        if !in_test {
            self.files.insert(module.clone(), text);
        }
        for item in parsed.items {
            let Item::Mod(ItemMod {
                ident,
                attrs,
                content: None,
                ..
            }) = item
            else {
                continue;
            };
            let child: ModulePath = module.iter().cloned().chain([ident.to_string()]).collect();
            let file = format!("{}.rs", child.join("/"));
            // A module with a `#[path]` outside of `src` is not ours to follow: it is what unit tests share with those in `tests/`.
            if folder.join(&file).is_file() {
                self.read(folder, &child, &file, in_test || is_test(&attrs))?;
            }
        }
        Ok(())
    }
}

fn rust_files(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            found.extend(rust_files(&path)?);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    Ok(found)
}

fn cycles(files: &BTreeMap<ModulePath, String>) -> Result<Vec<String>> {
    let mut parsed = BTreeMap::new();
    for (module, text) in files {
        let mut paths = Paths::default();
        paths.visit_file(&syn::parse_file(text)?);
        parsed.insert(module.clone(), paths);
    }
    // For each parent: which child uses which, and by which path.
    let mut uses: BTreeMap<ModulePath, BTreeMap<(String, String), String>> = BTreeMap::new();
    for (module, paths) in &parsed {
        for path in &paths.used {
            let Some(target) = resolve(&parsed, module, path, RE_EXPORTS_MOST) else {
                continue;
            };
            let common = module
                .iter()
                .zip(&target)
                .take_while(|(one, other)| one == other)
                .count();
            if let (Some(from), Some(to)) = (module.get(common), target.get(common)) {
                let parent = module.iter().take(common).cloned().collect();
                uses.entry(parent)
                    .or_default()
                    .entry((from.clone(), to.clone()))
                    .or_insert_with(|| format!("{} uses {}", module.join("::"), path.join("::")));
            }
        }
    }
    Ok(uses
        .iter()
        .filter_map(|(parent, edges)| {
            let cycle = find_cycle(edges)?;
            let reasons: Vec<&str> = cycle
                .iter()
                .zip(cycle.iter().skip(1))
                .filter_map(|(from, to)| edges.get(&(from.clone(), to.clone())).map(String::as_str))
                .collect();
            let inside = if parent.is_empty() {
                String::new()
            } else {
                format!(" in {}", parent.join("::"))
            };
            Some(format!(
                "modules{inside} form a cycle: {} ({})",
                cycle.join(" → "),
                reasons.join("; ")
            ))
        })
        .collect())
}

/// The module that a path leads to.
fn resolve(
    parsed: &BTreeMap<ModulePath, Paths>,
    module: &ModulePath,
    path: &[String],
    re_exports: usize,
) -> Option<ModulePath> {
    let mut rest = path.iter();
    let mut at: ModulePath = match rest.next()?.as_str() {
        "crate" => Vec::new(),
        "self" => module.clone(),
        "super" => module.split_last()?.1.to_vec(),
        _ => return None,
    };
    let mut rest = rest.peekable();
    while rest.next_if(|segment| *segment == "super").is_some() {
        at.pop()?;
    }
    while let Some(segment) = rest.next() {
        let child: ModulePath = at.iter().cloned().chain([segment.clone()]).collect();
        if parsed.contains_key(&child) {
            at = child;
            continue;
        }
        // A module's private `use` gives names to the modules inside it only.
        let source = parsed
            .get(&at)
            .and_then(|paths| paths.names.get(segment))
            .filter(|name| name.public || module.starts_with(&at))
            .map(|name| &name.path);
        if let (Some(source), Some(left)) = (source, re_exports.checked_sub(1)) {
            let whole: Vec<String> = source.iter().chain(rest).cloned().collect();
            return resolve(parsed, &at, &whole, left).or(Some(at));
        }
        break;
    }
    Some(at)
}

/// The shortest cycle, as its nodes with the first one again at the end.
fn find_cycle(edges: &BTreeMap<(String, String), String>) -> Option<Vec<String>> {
    let nodes: BTreeSet<&String> = edges.keys().map(|(from, _)| from).collect();
    let mut shortest: Option<Vec<String>> = None;
    for start in nodes {
        // Breadth first, back to where it began.
        let mut paths = vec![vec![start.clone()]];
        let mut seen = BTreeSet::new();
        while let Some(path) = paths.first().cloned() {
            paths.remove(0);
            let Some(last) = path.last() else { continue };
            for (_, to) in edges.keys().filter(|(from, _)| from == last) {
                let longer: Vec<String> = path.iter().cloned().chain([to.clone()]).collect();
                if to == start {
                    if shortest.as_ref().is_none_or(|known| longer.len() < known.len()) {
                        shortest = Some(longer);
                    }
                } else if seen.insert(to.clone()) {
                    paths.push(longer);
                }
            }
        }
    }
    shortest
}

/// A name that a `use` makes a module's own.
struct Name {
    path: Vec<String>,
    public: bool,
}

/// What a file uses, and which names it makes its own by `use`.
#[derive(Default)]
struct Paths {
    used: BTreeSet<Vec<String>>,
    names: BTreeMap<String, Name>,
    /// Inside of how many modules in the same file.
    depth: usize,
}

impl Paths {
    /// A path in an inline module begins deeper than the file.
    fn add(&mut self, path: Vec<String>) {
        let inline = path.iter().take_while(|segment| *segment == "super").count();
        let path: Vec<String> = if inline > self.depth || inline == 0 {
            path.into_iter().skip(self.depth.min(inline)).collect()
        } else {
            return;
        };
        self.used.insert(path);
    }

    fn add_use(&mut self, tree: &UseTree, prefix: &[String], public: bool) {
        let extended = |name: String| -> Vec<String> { prefix.iter().cloned().chain([name]).collect() };
        match tree {
            UseTree::Path(path) => self.add_use(&path.tree, &extended(path.ident.to_string()), public),
            UseTree::Name(name) => {
                let ident = name.ident.to_string();
                if ident == "self" {
                    self.add_name(prefix.last().cloned().unwrap_or_default(), prefix.to_vec(), public);
                } else {
                    self.add_name(ident.clone(), extended(ident), public);
                }
            }
            UseTree::Rename(rename) => {
                self.add_name(rename.rename.to_string(), extended(rename.ident.to_string()), public)
            }
            UseTree::Glob(_) => self.add(prefix.to_vec()),
            UseTree::Group(group) => group.items.iter().for_each(|item| self.add_use(item, prefix, public)),
        }
    }

    fn add_name(&mut self, name: String, path: Vec<String>, public: bool) {
        if self.depth == 0 {
            // `pub use child::Name` in a module's own file begins with the child.
            let begins_here = path
                .first()
                .is_some_and(|first| !["crate", "self", "super"].contains(&first.as_str()));
            let absolute = if begins_here {
                ["self".to_owned()].into_iter().chain(path.clone()).collect()
            } else {
                path.clone()
            };
            self.names.insert(name, Name { path: absolute, public });
        }
        self.add(path);
    }
}

impl<'ast> Visit<'ast> for Paths {
    fn visit_item(&mut self, item: &'ast Item) {
        let attributes: &[Attribute] = if let Item::Mod(item) = item {
            &item.attrs
        } else if let Item::Fn(item) = item {
            &item.attrs
        } else if let Item::Impl(item) = item {
            &item.attrs
        } else if let Item::Use(item) = item {
            &item.attrs
        } else {
            &[]
        };
        if !is_test(attributes) {
            visit::visit_item(self, item);
        }
    }

    fn visit_item_mod(&mut self, module: &'ast ItemMod) {
        self.depth += 1;
        visit::visit_item_mod(self, module);
        self.depth -= 1;
    }

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        let public = !matches!(item.vis, syn::Visibility::Inherited);
        self.add_use(&item.tree, &[], public);
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        self.add(path.segments.iter().map(|segment| segment.ident.to_string()).collect());
        visit::visit_path(self, path);
    }
}

fn is_test(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        attribute.path().is_ident("cfg")
            && attribute
                .parse_args::<syn::Path>()
                .is_ok_and(|condition| condition.is_ident("test"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(files: &[(&str, &str)]) -> Vec<String> {
        let files = files
            .iter()
            .map(|(module, text)| {
                let module = module.split("::").filter(|part| !part.is_empty()).map(str::to_owned);
                (module.collect(), (*text).to_owned())
            })
            .collect();
        cycles(&files).unwrap()
    }

    #[test]
    fn siblings_that_use_each_other_are_a_cycle_with_its_reasons() {
        let found = found(&[
            ("", "mod a; mod b;"),
            ("a", "use crate::b::B;"),
            ("b", "fn f() -> super::a::A { todo!() }"),
        ]);
        assert_eq!(
            found,
            ["modules form a cycle: a → b → a (a uses crate::b::B; b uses super::a::A)"]
        );
    }

    #[test]
    fn a_cycle_over_several_modules_and_deeper_ones_is_found() {
        let long = found(&[
            ("", ""),
            ("a", "use crate::b::x;"),
            ("b", "use crate::c::x;"),
            ("c", "use crate::{d::x, a};"),
            ("d", ""),
        ]);
        assert!(long[0].starts_with("modules form a cycle: a → b → c → a"), "{long:?}");
        let deep = found(&[
            ("", ""),
            ("p", ""),
            ("p::a", "use super::b;"),
            ("p::b", "use super::a::A;"),
        ]);
        assert!(deep[0].starts_with("modules in p form a cycle"), "{deep:?}");
        let nested = found(&[("", ""), ("a::x", "use crate::b;"), ("a", ""), ("b", "use crate::a;")]);
        assert_eq!(nested.len(), 1, "what is inside of a module is a part of it");
    }

    #[test]
    fn a_re_export_leads_to_where_the_name_is_defined() {
        let root = "pub use a::A; pub use b::B; mod a; mod b;";
        let found_one = found(&[("", root), ("a", "use crate::B;"), ("b", "")]);
        assert!(found_one.is_empty());
        let found_two = found(&[("", root), ("a", "use crate::B;"), ("b", "use crate::A;")]);
        assert_eq!(found_two.len(), 1);
    }

    #[test]
    fn parents_tests_and_one_way_uses_are_no_cycles() {
        let files = [
            ("", "mod a; mod b;"),
            ("a", "mod x; use self::x::X; use crate::b::B; struct A;"),
            ("a::x", "use super::A;"),
            (
                "b",
                "#[cfg(test)] mod tests { use crate::a::A; use super::*; } mod inner { use super::b_item; }",
            ),
        ];
        assert!(found(&files).is_empty(), "{:?}", found(&files));
    }
}
