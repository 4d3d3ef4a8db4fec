//! Walks the console of a running server in a real browser, as the operator and as keys of every role, and checks each page: accessibility (axe-core),
//! size, what code strangers' text could have become, and that a phone shows it without scrolling sideways. It makes its own tenant.
//! Not here: starting the server and the browser's driver (`cargo xtask console`).

mod browser;
mod operator;
mod paints;
mod plugins;
mod screenshots;
mod tenant;
mod untrusted;

use anyhow::{Result, bail};
use browser::Browser;
use clap::Parser;
use std::path::PathBuf;

/// A tenant's name, a document's title: code, if a page takes it for HTML.
pub const SCRIPT: &str = "<script>window.hacked = 1</script><img src=x onerror=\"window.hacked = 1\">";
pub const TENANT: &str = "acme";

#[derive(Parser)]
pub struct Options {
    /// A server without tenants
    #[arg(long)]
    url: String,
    #[arg(long)]
    operator_key: String,
    /// Where `chromedriver` listens
    #[arg(long)]
    driver: String,
    /// `axe.min.js`; pages are not checked with it if it is not given
    #[arg(long)]
    axe: Option<PathBuf>,
    /// Two components, the second of which serves what the first does
    #[arg(long, num_args = 2)]
    components: Vec<PathBuf>,
    /// A folder for pictures of pages
    #[arg(long)]
    screenshots: Option<PathBuf>,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let options = Options::parse();
    let browser = Browser::start(&options).await?;
    // The browser must end, whatever was found.
    let walked = walk(&browser, &options).await;
    let (pages, paints) = (browser.pages(), browser.paints());
    let faults = browser.end().await?;
    for fault in &faults {
        println!("WRONG {fault}");
    }
    println!("{paints}");
    walked?;
    if !faults.is_empty() {
        bail!("{} faults on {pages} pages", faults.len());
    }
    println!("{pages} pages were as they should be");
    Ok(())
}

async fn walk(browser: &Browser, options: &Options) -> Result<()> {
    let key = operator::begin(browser, options).await?;
    tenant::walk(browser, options, &key).await?;
    operator::walk(browser, options).await
}
