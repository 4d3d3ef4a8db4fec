//! Files made by code, for the tests: archives, Office and OpenDocument files, PDF.

mod archives;
mod pdf;

pub use archives::{bomb, docx, epub, odp, ods, odt, pptx, xlsx, zip};
pub use pdf::{Font, PdfFile, Show, text_pdf};
