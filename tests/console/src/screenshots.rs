//! Which pages are kept as pictures, and where. Few, so that all of them are looked at.

use anyhow::{Context, Result};
use std::{
    fs,
    path::{Path, PathBuf},
};

/// Who sees it, its path, and whether it is also kept narrow and dark.
const KEPT: [(&str, &str, bool); 9] = [
    ("admin with an answer", "/console/playground", true),
    ("admin", "/console/documents", false),
    ("admin", "/console/plugins", false),
    ("admin", "/console/usage", false),
    ("admin", "/console/keys", true),
    ("operator", "/console/overview", true),
    ("operator", "/console/tenants/acme", false),
    ("operator", "/console/fairness", false),
    ("stranger", "/console/sign-in", false),
];

pub struct Screenshots(PathBuf);

impl Screenshots {
    pub fn new(folder: &Path) -> Result<Self> {
        fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
        Ok(Self(folder.to_owned()))
    }

    /// Of a page that is kept. A page that is seen again replaces its picture.
    pub fn name(&self, who: &str, path: &str, scheme: &str, width: u32) -> Option<String> {
        let (_, _, all) = KEPT.iter().find(|(viewer, page, _)| *viewer == who && *page == path)?;
        let is_usual = scheme == "light" && width > 1000;
        let page = path.trim_start_matches("/console/").replace('/', "-");
        (*all || is_usual).then(|| format!("{page}-{width}-{scheme}.png"))
    }

    pub fn write(&self, name: &str, picture: &[u8]) -> Result<()> {
        let file = self.0.join(name);
        fs::write(&file, picture).with_context(|| format!("cannot write {}", file.display()))
    }
}
