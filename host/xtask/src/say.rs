//! Where tasks write to: standard error, so that a task's own output can be piped.

#[expect(clippy::print_stderr, reason = "the one place where tasks write")]
pub fn line(text: &str) {
    eprintln!("{text}");
}
