//! A browser, and what every page must be. Not here: which pages there are.

use crate::{Options, paints::Paints, screenshots::Screenshots};
use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use std::{
    cell::{Cell, RefCell},
    fs,
    path::Path,
    time::{Duration, Instant},
};
use thirtyfour::{
    By, ChromiumLikeCapabilities, Cookie, DesiredCapabilities, WebDriver, WebElement, extensions::cdp::ChromeDevTools,
};
use tokio::time::sleep;

/// Until a page shows what it should; only one that never does makes the walk wait for it.
const PATIENCE: Duration = Duration::from_secs(60);
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// How often it is asked when a page was painted. A page of which it does not tell is not measured.
const PAINT_LOOKS: u32 = 20;
/// A page with all that it loads.
const PAGE_BYTES: u64 = 150 << 10;
/// Widths of a desk and of a phone, in pixels.
const WIDE: u32 = 1440;
const NARROW: u32 = 360;
const SESSION: &str = "riad_session";
const SCHEMES: [&str; 2] = ["light", "dark"];

pub struct Browser {
    driver: WebDriver,
    tools: ChromeDevTools,
    url: String,
    axe: Option<String>,
    screenshots: Option<Screenshots>,
    faults: RefCell<Vec<String>>,
    pages: Cell<u32>,
    paints: RefCell<Paints>,
}

impl Browser {
    pub async fn start(options: &Options) -> Result<Self> {
        let mut wanted = DesiredCapabilities::chrome();
        for argument in [
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
        ] {
            wanted.add_arg(argument)?;
        }
        let driver = WebDriver::new(&options.driver, wanted)
            .await
            .context("the browser does not start")?;
        let axe = options.axe.as_ref().map(fs::read_to_string).transpose();
        let browser = Self {
            tools: ChromeDevTools::new(driver.handle.clone()),
            driver,
            url: options.url.trim_end_matches('/').to_owned(),
            axe: axe.context("there is no axe-core")?,
            screenshots: options.screenshots.as_deref().map(Screenshots::new).transpose()?,
            faults: RefCell::default(),
            pages: Cell::default(),
            paints: RefCell::default(),
        };
        browser.resize(WIDE).await?;
        Ok(browser)
    }

    /// Returns what was wrong.
    pub async fn end(self) -> Result<Vec<String>> {
        self.driver.quit().await?;
        Ok(self.faults.into_inner())
    }

    pub fn pages(&self) -> u32 {
        self.pages.get()
    }

    /// When pages were first painted.
    pub fn paints(&self) -> String {
        self.paints.borrow().to_string()
    }

    pub fn fault(&self, what: impl Into<String>) {
        self.faults.borrow_mut().push(what.into());
    }

    pub async fn go(&self, path: &str) -> Result<()> {
        self.driver.goto(format!("{}{path}", self.url)).await?;
        Ok(())
    }

    /// The path of the page that is shown.
    pub async fn path(&self) -> Result<String> {
        Ok(self.driver.current_url().await?.path().to_owned())
    }

    /// What a script returns. `arguments[0]` is the argument.
    pub async fn script(&self, script: &str, argument: Value) -> Result<Value> {
        let returned = self.driver.execute(script, vec![argument]).await;
        let returned = returned.with_context(|| format!("the script failed: {script}"))?;
        Ok(returned.json().clone())
    }

    /// Until the expression is true; its value.
    pub async fn wait(&self, expression: &str) -> Result<Value> {
        let begun = Instant::now();
        loop {
            // A page that is being left has no document.
            let value = self.script(&format!("return {expression}"), Value::Null).await;
            match value {
                Ok(value) if is_true(&value) => return Ok(value),
                Ok(_) | Err(_) if begun.elapsed() < PATIENCE => sleep(LOOK_EVERY).await,
                Ok(_) => {
                    let text = self.script("return document.body.innerText", Value::Null).await?;
                    bail!("{} never has {expression}: {text}", self.path().await?);
                }
                Err(error) => return Err(error),
            }
        }
    }

    pub async fn element(&self, selector: &str) -> Result<WebElement> {
        let found = self.driver.find(By::Css(selector)).await;
        match found {
            Ok(element) => Ok(element),
            Err(_) => bail!("{} has no {selector}", self.path().await?),
        }
    }

    pub async fn fill(&self, selector: &str, text: &str) -> Result<()> {
        // As somebody who reads its summary first.
        let open = "document.querySelector(arguments[0])?.closest('details')?.setAttribute('open', '')";
        self.script(open, selector.into()).await?;
        let field = self.element(selector).await?;
        field.clear().await?;
        field.send_keys(text).await?;
        Ok(())
    }

    /// Chooses a file, as a click on the field does.
    pub async fn choose(&self, selector: &str, file: &Path) -> Result<()> {
        let file = fs::canonicalize(file).with_context(|| format!("there is no {}", file.display()))?;
        let field = self.element(selector).await?;
        field.send_keys(file.to_string_lossy()).await?;
        Ok(())
    }

    pub async fn click(&self, selector: &str) -> Result<()> {
        let element = self.element(selector).await?;
        element.scroll_into_view().await?;
        element.click().await?;
        Ok(())
    }

    /// Sends a form, and waits for the page that follows.
    pub async fn submit(&self, form: &str) -> Result<()> {
        self.script("window.isOld = true", Value::Null).await?;
        self.click(&format!("{form} button[type=submit], {form} button.primary"))
            .await?;
        self.wait("!window.isOld && document.readyState === 'complete'").await?;
        Ok(())
    }

    /// A button, and waits for the page that follows.
    pub async fn press(&self, button: &str) -> Result<()> {
        self.script("window.isOld = true", Value::Null).await?;
        self.wait(&format!("Boolean({button})")).await?;
        self.script(&format!("({button}).click()"), Value::Null).await?;
        self.wait("!window.isOld && document.readyState === 'complete'").await?;
        Ok(())
    }

    pub async fn sign_in(&self, key: &str) -> Result<()> {
        self.go("/console/sign-in").await?;
        self.fill("#key", key).await?;
        self.submit("form.sign-in").await?;
        if self.path().await? == "/console/sign-in" {
            bail!("a key was refused");
        }
        Ok(())
    }

    pub async fn sign_out(&self) -> Result<()> {
        self.submit("form[action='/console/sign-out']").await?;
        self.wait("location.pathname === '/console/sign-in'").await?;
        Ok(())
    }

    /// A key that the page shows, once.
    pub async fn new_key(&self) -> Result<String> {
        let key = self.wait("document.querySelector('[data-copy]')?.textContent").await?;
        Ok(key.as_str().unwrap_or_default().to_owned())
    }

    /// That of the session, which scripts cannot read.
    pub async fn cookie(&self) -> Result<Cookie> {
        Ok(self.driver.get_named_cookie(SESSION).await?)
    }

    pub async fn set_cookie(&self, cookie: &Cookie) -> Result<()> {
        self.driver.add_cookie(cookie.clone()).await?;
        Ok(())
    }

    pub async fn forget_cookie(&self) -> Result<()> {
        self.driver.delete_cookie(SESSION).await?;
        Ok(())
    }

    /// Goes there, and checks the page.
    pub async fn visit(&self, who: &str, path: &str) -> Result<()> {
        self.go(path).await?;
        self.measure_paint(path).await?;
        self.check(who).await
    }

    /// The page that is shown, in both schemes and widths.
    pub async fn check(&self, who: &str) -> Result<()> {
        let path = self.path().await?;
        let place = format!("{path} as {who}");
        self.pages.set(self.pages.get() + 1);
        self.wait("document.readyState === 'complete'").await?;
        self.check_inert(&place).await?;
        let bytes = self.script(BYTES, Value::Null).await?.as_u64().unwrap_or(u64::MAX);
        if bytes > PAGE_BYTES {
            self.fault(format!("{place}: the page has {bytes} bytes, {PAGE_BYTES} at most"));
        }
        for scheme in SCHEMES {
            self.set_scheme(scheme).await?;
            self.check_accessibility(&format!("{place}, {scheme}")).await?;
            for width in [WIDE, NARROW] {
                self.resize(width).await?;
                self.check_width(&place, width).await?;
                self.take_picture(who, &path, scheme, width).await?;
            }
            self.resize(WIDE).await?;
        }
        self.set_scheme("light").await
    }

    /// Whether something that somebody wrote has become a part of the page, or has run.
    pub async fn check_inert(&self, place: &str) -> Result<()> {
        let found = self.script(FOREIGN, Value::Null).await?;
        for part in found.as_array().into_iter().flatten() {
            self.fault(format!("{place}: what somebody wrote is code: {part}"));
        }
        Ok(())
    }

    /// The browser tells of it a moment after it has painted.
    async fn measure_paint(&self, path: &str) -> Result<()> {
        for _ in 0..PAINT_LOOKS {
            if let Some(millis) = self.script(PAINT, Value::Null).await?.as_f64() {
                self.paints.borrow_mut().add(path, millis);
                return Ok(());
            }
            sleep(LOOK_EVERY).await;
        }
        Ok(())
    }

    async fn check_accessibility(&self, place: &str) -> Result<()> {
        let Some(axe) = &self.axe else { return Ok(()) };
        let is_there = self.script("return Boolean(window.axe)", Value::Null).await?;
        if is_there != true {
            self.script(&format!("{axe}\nwindow.axe = axe;"), Value::Null).await?;
        }
        let found = self.driver.execute_async(VIOLATIONS, Vec::new()).await?;
        for violation in found.json().as_array().into_iter().flatten() {
            self.fault(format!("{place}: {}", violation.as_str().unwrap_or_default()));
        }
        Ok(())
    }

    async fn check_width(&self, place: &str, width: u32) -> Result<()> {
        let wider = self.script(WIDER, Value::Null).await?;
        if wider != 0 {
            self.fault(format!("{place}: at {width} px it is {wider} px wider than the window"));
        }
        Ok(())
    }

    async fn take_picture(&self, who: &str, path: &str, scheme: &str, width: u32) -> Result<()> {
        let Some(screenshots) = &self.screenshots else {
            return Ok(());
        };
        let Some(name) = screenshots.name(who, path, scheme, width) else {
            return Ok(());
        };
        screenshots.write(&name, &self.driver.screenshot_as_png().await?)
    }

    async fn resize(&self, width: u32) -> Result<()> {
        let height = if width == NARROW { 800 } else { 1000 };
        let metrics = json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": false});
        self.tools
            .execute_cdp_with_params("Emulation.setDeviceMetricsOverride", metrics)
            .await?;
        Ok(())
    }

    async fn set_scheme(&self, scheme: &str) -> Result<()> {
        let features = json!({"features": [{"name": "prefers-color-scheme", "value": scheme}]});
        self.tools
            .execute_cdp_with_params("Emulation.setEmulatedMedia", features)
            .await?;
        Ok(())
    }
}

fn is_true(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(is_true) => *is_true,
        Value::String(text) => !text.is_empty(),
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::Array(_) | Value::Object(_) => true,
    }
}

/// Of the page and all that it loads.
const BYTES: &str = "return performance.getEntriesByType('navigation').concat(performance.getEntriesByType('resource'))
    .reduce((sum, entry) => sum + (entry.decodedBodySize || 0), 0)";
/// In milliseconds since the page was asked for.
const PAINT: &str = "return performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? null";
/// No page has such elements of its own.
const FOREIGN: &str = "return [...document.querySelectorAll('main script, main img, main iframe, main [onerror]')]
    .map((element) => element.outerHTML.slice(0, 160)).concat(window.hacked ? ['it has run'] : [])";
/// What is wider than the window scrolls by itself.
const WIDER: &str = "return Math.max(0, document.documentElement.scrollWidth - window.innerWidth)";
/// WCAG 2.2 AA, and best practices.
const VIOLATIONS: &str = "const done = arguments[arguments.length - 1];
    window.axe.run(document).then(({violations}) => done(violations.map(({id, help, nodes}) =>
        `${id}: ${help}: ${nodes.map((node) => node.html.slice(0, 160)).join(' | ')}`)), (error) => done([String(error)]))";
