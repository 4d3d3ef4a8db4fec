//! "A string or a list of parts", of messages. Not here: reading it, which differs by API.

use utoipa::openapi::{
    Array, ArrayBuilder, Object, ObjectBuilder, RefOr, Schema,
    schema::{OneOfBuilder, Type},
};

/// Parts with text.
pub fn schema() -> RefOr<Schema> {
    content(ArrayBuilder::new().items(text_part()).build())
}

/// Parts with text, and files.
pub fn with_files() -> RefOr<Schema> {
    let text = || ObjectBuilder::new().schema_type(Type::String).build();
    let file = ObjectBuilder::new()
        .property("file_id", text())
        .property("file_data", text())
        .property("filename", text())
        .build();
    let file_part = ObjectBuilder::new()
        .property("type", word("file"))
        .property("file", file)
        .required("type")
        .required("file")
        .build();
    let part = OneOfBuilder::new().item(text_part()).item(file_part);
    content(ArrayBuilder::new().items(part).build())
}

fn content(parts: Array) -> RefOr<Schema> {
    OneOfBuilder::new()
        .item(ObjectBuilder::new().schema_type(Type::String).build())
        .item(parts)
        .item(ObjectBuilder::new().schema_type(Type::Null).build())
        .into()
}

fn text_part() -> Object {
    ObjectBuilder::new()
        .property("type", word("text"))
        .property("text", ObjectBuilder::new().schema_type(Type::String).build())
        .required("type")
        .required("text")
        .build()
}

fn word(word: &str) -> Object {
    ObjectBuilder::new()
        .schema_type(Type::String)
        .enum_values(Some([word]))
        .build()
}
