//! Progress bars, on stderr and only on a terminal.

use indicatif::{ProgressBar, ProgressStyle};
use std::{io::IsTerminal, time::Duration};

/// A bar that counts things.
#[must_use]
pub fn count(length: u64, what: &str) -> ProgressBar {
    styled(ProgressBar::new(length), "{msg} {bar:30} {pos}/{len}", what)
}

/// A bar that counts bytes.
#[must_use]
pub fn bytes(length: u64, what: &str) -> ProgressBar {
    styled(
        ProgressBar::new(length),
        "{msg} {bar:30} {bytes}/{total_bytes} {eta}",
        what,
    )
}

/// For work of unknown length.
#[must_use]
pub fn spinner(what: &str) -> ProgressBar {
    let bar = styled(ProgressBar::new_spinner(), "{spinner} {msg} {elapsed}", what);
    bar.enable_steady_tick(Duration::from_millis(120));
    bar
}

fn styled(bar: ProgressBar, template: &str, what: &str) -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    // An invalid template would only change the look.
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    bar.set_message(what.to_owned());
    bar
}
