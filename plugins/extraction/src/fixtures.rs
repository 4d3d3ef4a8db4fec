//! Files made by code, for the tests: archives, Office and OpenDocument files, PDF.
#![allow(
    clippy::unwrap_used,
    reason = "only tests and fuzz targets use them: what breaks has to stop them"
)]

mod archives;
mod pdf;

pub use archives::{bomb, docx, epub, odp, ods, odt, pptx, xlsx, zip};
pub use pdf::{Font, PdfFile, Show, text_pdf};
