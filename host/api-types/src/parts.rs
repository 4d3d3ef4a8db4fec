//! "A string or a list of parts with text", of messages. Not here: reading it, which differs by API.

use utoipa::openapi::{
    ArrayBuilder, ObjectBuilder, RefOr, Schema,
    schema::{OneOfBuilder, Type},
};

pub fn schema() -> RefOr<Schema> {
    let text = || ObjectBuilder::new().schema_type(Type::String).build();
    let part = ObjectBuilder::new()
        .property(
            "type",
            ObjectBuilder::new()
                .schema_type(Type::String)
                .enum_values(Some(["text"])),
        )
        .property("text", text())
        .required("type")
        .required("text")
        .build();
    OneOfBuilder::new()
        .item(text())
        .item(ArrayBuilder::new().items(part).build())
        .item(ObjectBuilder::new().schema_type(Type::Null).build())
        .into()
}
