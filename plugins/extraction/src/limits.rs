//! What bounds the work on one file, beside the caller's options. Each is far above what documents have and far below what hurts.

/// Unpacked bytes of an archive's parts together. Declared sizes are not believed; every byte that comes out counts.
pub const UNPACKED_BYTES: u64 = 256 << 20;
/// Files in an archive.
pub const ARCHIVE_ENTRIES: usize = 20_000;
/// One text or tag of XML: the reader holds it whole.
pub const XML_NODE_BYTES: usize = 8 << 20;
/// Elements of XML or HTML, or values of JSON, that may be open at a time.
pub const DEPTH: usize = 400;
/// Texts that a workbook's cells share.
pub const SHARED_BYTES: usize = 48 << 20;
pub const SHARED_STRINGS: usize = 2 << 20;
/// Cells of a row, and of a table's first row.
pub const COLUMNS: usize = 1_000;
/// Sheets, slides or chapters.
pub const PARTS: usize = 5_000;
pub const PDF_PAGES: usize = 10_000;
/// Glyphs of a PDF file, drawn or not.
pub const PDF_GLYPHS: usize = 20_000_000;
pub const PDF_BOOKMARKS: usize = 20_000;
pub const TITLE_CHARACTERS: usize = 300;
pub const HEADING_DEPTH: usize = 12;
pub const METADATA_CHARACTERS: usize = 1_000;
pub const WARNINGS: usize = 20;
pub const WARNING_CHARACTERS: usize = 300;
/// Rows of a table in one section, so that a section is a readable amount.
pub const SECTION_ROWS: usize = 200;
